//! Which call may go, and in which order results leave: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    item::{Call, Ended, Item},
    settings::Order,
};

/// A call's place in the queue: its first event, then the order in which it came.
type Place = (u64, u64);

/// Calls that wait for an event's end, by its number.
type Parked = BTreeMap<u64, Vec<(Place, Call)>>;

/// The calls that wait for their turn, lowest first event first: so a call that is tried again
/// goes ahead of new ones. Those of one endpoint do not stand in the way of those of another.
#[derive(Debug)]
pub(super) struct Ready {
    order: Order,
    /// By the place of the endpoint.
    ways: Vec<Queue>,
    /// By lane.
    parked: HashMap<Box<str>, Parked>,
    /// Events in batches that have no end yet, by key ([`Order::Key`]) or all ([`Order::Strict`]).
    open: HashMap<Box<str>, BTreeSet<u64>>,
    next: u64,
}

/// The calls to one endpoint.
#[derive(Debug, Default)]
struct Queue {
    calls: BTreeMap<Place, Call>,
    /// How many more are parked.
    parked: usize,
}

impl Queue {
    fn len(&self) -> usize {
        self.calls.len() + self.parked
    }
}

impl Ready {
    pub(super) fn new(order: Order, ways: usize) -> Self {
        Self {
            order,
            ways: (0..ways).map(|_| Queue::default()).collect(),
            parked: HashMap::new(),
            open: HashMap::new(),
            next: 0,
        }
    }

    /// Events whose order matters from here on; before [`Ready::insert`].
    pub(super) fn begin(&mut self, items: &[Item]) {
        for item in items {
            if let Some(lane) = self.lane(item) {
                self.open.entry(lane.into()).or_default().insert(item.seq);
            }
        }
    }

    /// The event has its end: the next of its key may go.
    pub(super) fn end(&mut self, item: &Item) {
        let Some(lane) = self.lane(item) else { return };
        let Some(seqs) = self.open.get_mut(lane) else {
            return;
        };
        seqs.remove(&item.seq);
        if seqs.is_empty() {
            self.open.remove(lane);
        }
        let Some(parked) = self.parked.get_mut(lane) else {
            return;
        };
        let freed = parked.remove(&item.seq).unwrap_or_default();
        if parked.is_empty() {
            self.parked.remove(lane);
        }
        for (place, call) in freed {
            let queue = &mut self.ways[call.way];
            queue.parked -= 1;
            queue.calls.insert(place, call);
        }
    }

    pub(super) fn insert(&mut self, call: Call) {
        self.next += 1;
        let place = (call.first_seq(), self.next);
        self.ways[call.way].calls.insert(place, call);
    }

    /// Of the endpoints for which `open` is true, the one whose first call is the lowest.
    pub(super) fn first_way(&self, open: impl Fn(usize) -> bool) -> Option<usize> {
        let ways = self.ways.iter().enumerate().filter(|(way, _)| open(*way));
        let first = |(way, queue): (usize, &Queue)| {
            let (place, _) = queue.calls.first_key_value()?;
            Some((*place, way))
        };
        ways.filter_map(first).min().map(|(_, way)| way)
    }

    /// Whether there is a call that may go and has the event `seq`, before which everything has its end.
    pub(super) fn has_first(&self, seq: u64) -> bool {
        let calls = self.ways.iter().map(|queue| &queue.calls);
        calls
            .filter_map(BTreeMap::first_key_value)
            .any(|(place, call)| place.0 <= seq && self.blocked_on(call).is_none())
    }

    /// Takes the endpoint's first call that may go, if it is admitted; `admits` is asked once, and only for a call that is taken then.
    pub(super) fn pop(&mut self, way: usize, admits: impl FnOnce(&Call) -> bool) -> Option<Call> {
        loop {
            let (place, call) = self.ways[way].calls.first_key_value()?;
            match self.blocked_on(call) {
                None => {
                    let place = *place;
                    return if admits(call) {
                        self.ways[way].calls.remove(&place)
                    } else {
                        None
                    };
                }
                Some((lane, seq)) => {
                    let queue = &mut self.ways[way];
                    let (place, call) = queue.calls.pop_first()?;
                    queue.parked += 1;
                    let parked = self.parked.entry(lane).or_default();
                    parked.entry(seq).or_default().push((place, call));
                }
            }
        }
    }

    /// Takes, of the calls that may go, the one with the fewest attempts: in an outage each gets its
    /// turn as a probe, so that an event which always fails cannot hide that the endpoint is back.
    pub(super) fn pop_probe(
        &mut self,
        way: usize,
        admits: impl FnOnce(&Call) -> bool,
    ) -> Option<Call> {
        let (place, call) = self.ways[way]
            .calls
            .iter()
            .filter(|(_, call)| self.blocked_on(call).is_none())
            .min_by_key(|(place, call)| (call.attempts(), **place))?;
        let place = *place;
        if admits(call) {
            self.ways[way].calls.remove(&place)
        } else {
            None
        }
    }

    /// Whether there is an endpoint for which fewer calls wait than this.
    pub(super) fn has_room(&self, calls: usize) -> bool {
        self.ways.iter().any(|queue| queue.len() < calls)
    }

    /// All calls that wait.
    pub(super) fn into_calls(self) -> impl Iterator<Item = Call> {
        let parked = self.parked.into_values().flat_map(BTreeMap::into_values);
        let parked = parked.flatten().map(|(_, call)| call);
        let ways = self.ways.into_iter();
        ways.flat_map(|queue| queue.calls.into_values())
            .chain(parked)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ways.iter().map(Queue::len).sum()
    }

    /// The last event before one of the call's own that is in its lane, not in the call, and has no end yet.
    fn blocked_on(&self, call: &Call) -> Option<(Box<str>, u64)> {
        if self.order == Order::None {
            return None;
        }
        let mut own: Vec<u64> = call.items.iter().map(|item| item.seq).collect();
        own.sort_unstable();
        let mut looked = HashSet::new();
        // From a lane's last event all of its others are passed: it is enough to look from there.
        call.items.iter().rev().find_map(|item| {
            let lane = self.lane(item)?;
            if !looked.insert(lane) {
                return None;
            }
            let mut earlier = self.open.get(lane)?.range(..item.seq).rev();
            let seq = earlier.find(|seq| own.binary_search(seq).is_err())?;
            Some((lane.into(), *seq))
        })
    }

    fn lane<'a>(&self, item: &'a Item) -> Option<&'a str> {
        match self.order {
            Order::None => None,
            Order::Key => item.key(),
            Order::Strict => Some(""),
        }
    }
}

/// Holds results back until every earlier event of the sink has its end (Flink: orderedWait).
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// The first event without an end.
    next: u64,
    done: BTreeSet<u64>,
    held: BTreeMap<u64, Vec<Ended>>,
}

impl Reorder {
    /// Takes in what a call has ended; `seq` is the call's first event. Gives what may leave.
    pub(super) fn push(&mut self, seq: u64, ended: Ended) -> Vec<Ended> {
        self.done.extend(ended.items().map(|item| item.seq));
        self.held.entry(seq).or_default().push(ended);
        while self.done.remove(&self.next) {
            self.next += 1;
        }
        let later = self.held.split_off(&(self.next + 1));
        std::mem::replace(&mut self.held, later)
            .into_values()
            .flatten()
            .collect()
    }

    /// What was held back.
    pub(super) fn into_held(self) -> impl Iterator<Item = Ended> {
        self.held.into_values().flatten()
    }

    /// Calls whose results wait.
    pub(super) fn held(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// The first event without an end.
    pub(super) fn first_open(&self) -> u64 {
        self.next
    }

    /// Whether nothing earlier than `seq` is open: its call may always go.
    pub(super) fn is_first(&self, seq: u64) -> bool {
        seq <= self.next
    }
}

#[cfg(test)]
mod tests;
