//! Held against naive models: lists that are searched from their start.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    event::{Arrival, Event, Ticket},
    http::Request,
    outcome::Outcome,
    plugin::{CurrentCall, Handled, Judge, Method, PluginError, ShapedBody, ShapedRequest, Tally},
};

/// None of these calls is ever made.
struct Nobody;

impl Judge for Nobody {
    fn number(&self) -> u64 {
        0
    }

    fn tally(&self) -> &Tally {
        unreachable!()
    }

    fn handles(&self) -> bool {
        false
    }

    fn handle(
        &self,
        _: CurrentCall,
        _: Outcome,
    ) -> Pin<Box<dyn Future<Output = Result<Handled, PluginError>> + Send + '_>> {
        unreachable!()
    }
}

fn item(seq: u64, key: Option<u8>) -> Item {
    let event = Event {
        id: seq.to_string().into(),
        key: key.map(|key| key.to_string().into()),
        timestamp_ms: 0,
        attributes: Vec::new(),
        data: Bytes::new(),
    };
    Item {
        arrival: Arrival {
            event: Arc::new(event),
            ticket: Ticket {
                ingress: 0,
                partition: 0,
                ordinal: seq,
            },
        },
        seq,
        attempts: 0,
        counted: 0,
        timed: false,
        first: None,
        shape_failed: None,
        handle_failed: None,
    }
}

fn call(items: Vec<Item>) -> Call {
    Call {
        items,
        shaped: Arc::new(ShapedRequest {
            method: Method::Post,
            endpoint: None,
            target: String::new(),
            headers: Vec::new(),
            body: ShapedBody::Empty,
            events: Vec::new(),
        }),
        shaped_by: Arc::new(Nobody),
        request: Request {
            method: http::Method::POST,
            uri: http::Uri::from_static("http://t.test/"),
            headers: http::HeaderMap::new(),
            body: None,
        },
        way: 0,
        before: None,
        memory: 0,
        trace: Default::default(),
        tape: None,
    }
}

fn seqs(call: &Call) -> Vec<u64> {
    call.items.iter().map(|item| item.seq).collect()
}

/// Events in calls, as a plugin may ask for them: each lane's events come in order.
fn calls_in_order(keys: &[Option<u8>], places: &[usize], order: Order) -> Vec<Vec<Item>> {
    let mut calls: Vec<Vec<Item>> = (0..6).map(|_| Vec::new()).collect();
    let mut least = BTreeMap::new();
    for (seq, (key, place)) in (0..).zip(keys.iter().zip(places)) {
        let place = match (order, key) {
            (Order::None, _) | (Order::Key, None) => *place,
            (Order::Key | Order::Strict, _) => {
                let lane = if order == Order::Key { *key } else { None };
                let least = least.entry(lane).or_insert(0);
                *least = (*place).max(*least);
                *least
            }
        };
        calls[place].push(item(seq, *key));
    }
    calls.retain(|call| !call.is_empty());
    calls
}

/// Whether nothing in a lane of the call stands before it: the definition.
fn may_go(call: &[u64], keys: &[Option<u8>], open: &BTreeSet<u64>, order: Order) -> bool {
    let same = |a: u64, b: u64| match order {
        Order::None => false,
        Order::Strict => true,
        Order::Key => keys[a as usize].is_some() && keys[a as usize] == keys[b as usize],
    };
    call.iter().all(|own| {
        open.iter()
            .all(|other| other >= own || call.contains(other) || !same(*own, *other))
    })
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::None), Just(Order::Key), Just(Order::Strict)]
}

proptest! {
    /// Whatever a plugin asks for and however calls end, the first call that may go is the one that goes.
    #[test]
    fn the_first_call_that_may_go_goes(
        events in prop::collection::vec((prop::option::of(0_u8..3), 0_usize..6), 1..30),
        order in orders(),
        steps in prop::collection::vec(any::<(bool, bool, usize)>(), 0..300),
    ) {
        let (keys, places): (Vec<_>, Vec<_>) = events.into_iter().unzip();
        let mut ready = Ready::new(order, 1);
        let mut open: BTreeSet<u64> = (0..keys.len() as u64).collect();
        let mut waiting: Vec<Vec<u64>> = Vec::new();
        let mut under_way: Vec<Call> = Vec::new();
        let calls = calls_in_order(&keys, &places, order);
        for items in &calls { ready.begin(items); }
        for items in calls {
            let new = call(items);
            waiting.push(seqs(&new));
            ready.insert(new);
        }

        let last = (true, true, 1);
        let mut steps = steps.into_iter().chain(std::iter::repeat(last)).take(2000);
        while !open.is_empty() {
            let (take, ends, which) = steps.next().expect("every call ends at last");
            if take || under_way.is_empty() {
                let expected = waiting.iter().filter(|call| may_go(call, &keys, &open, order))
                    .min_by_key(|call| call.iter().min().copied()).cloned();
                let popped = ready.pop(0, |_| true);
                prop_assert_eq!(popped.as_ref().map(seqs), expected.clone());
                waiting.retain(|call| Some(call) != expected.as_ref());
                under_way.extend(popped);
            }
            prop_assert_eq!(ready.len(), waiting.len());
            if under_way.is_empty() || (take && ends && !waiting.is_empty() && which % 2 == 0) {
                continue;
            }
            let call = under_way.remove(which % under_way.len());
            if ends {
                for item in &call.items {
                    open.remove(&item.seq);
                    ready.end(item);
                }
            } else {
                waiting.push(seqs(&call));
                ready.insert(call);
            }
        }
        prop_assert_eq!(ready.len(), 0);
    }

    /// What has ended leaves as soon as all before its first event has ended, in the order of first events.
    #[test]
    fn results_leave_once_all_before_them_has_ended(
        places in prop::collection::vec(0_usize..12, 1..40),
        ends in Just((0_usize..12).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut calls: Vec<Vec<Item>> = (0..12).map(|_| Vec::new()).collect();
        for (seq, place) in (0..).zip(&places) { calls[*place].push(item(seq, None)); }
        let mut reorder = Reorder::default();
        let mut open: BTreeSet<u64> = (0..places.len() as u64).collect();
        let mut held: BTreeSet<u64> = BTreeSet::new();

        for place in ends {
            let items = std::mem::take(&mut calls[place]);
            let Some(first) = items.first().map(|item| item.seq) else { continue };
            for item in &items { open.remove(&item.seq); }
            held.insert(first);
            let left = reorder.push(first, Ended { delivered: items, ..Ended::default() });

            let bound = open.first().copied().unwrap_or(u64::MAX);
            let expected: Vec<u64> = held.iter().copied().filter(|first| *first < bound).collect();
            let left: Vec<u64> = left.iter().filter_map(|ended| Some(ended.delivered.first()?.seq)).collect();
            prop_assert_eq!(&left, &expected);
            held.retain(|first| !expected.contains(first));
            prop_assert_eq!(reorder.held(), held.len());
        }
        prop_assert!(held.is_empty() && open.is_empty());
    }
}
