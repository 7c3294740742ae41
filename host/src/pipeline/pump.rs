//! Moves events from an ingress to its sinks.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Feeder, Place},
    event::{Arrival, Incoming, Ticket},
    ingress::{Ingress, IngressError, ReadLimit},
    metrics::IngressStats,
    progress::Ledger,
    router::Router,
};

/// What one read takes at most: it is also what stands outside a sink's buffer, once for each that leads to it.
const READ_LIMIT: ReadLimit = ReadLimit {
    records: 500,
    bytes: 512 * 1024,
};

/// Where the events of one ingress go.
pub(super) struct Route {
    /// The ingress, by its place in the module.
    pub(super) ingress: u16,
    pub(super) ledger: Arc<Ledger>,
    /// Whether what is read is counted here: the ingress does not do so itself.
    pub(super) counts: bool,
    /// Events that the smallest of its sinks' buffers holds.
    pub(super) capacity: usize,
    /// One queue for each sink that its routers name; one more may be that of `unrouted`.
    pub(super) sinks: Vec<Feeder>,
    /// Which of them an event goes to.
    pub(super) router: Router,
    /// What becomes of an event that goes to none.
    pub(super) unrouted: Unrouted,
    pub(super) stats: Arc<IngressStats>,
}

/// What becomes of an event that no router takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unrouted {
    /// It is settled.
    Drop,
    /// Nothing is read any more.
    Halt,
    /// It goes to one of the queues, by its place.
    To(usize),
}

/// Reads until the source ends or `stop`: then the ingress can be read on. A read begins only when every sink has taken
/// the one before.
pub(super) async fn pump<I: Ingress>(
    mut ingress: I,
    route: Route,
    stop: CancellationToken,
) -> Result<Option<I>, IngressError> {
    let limit = ReadLimit {
        records: READ_LIMIT.records.min(route.capacity.div_ceil(4)),
        ..READ_LIMIT
    };
    loop {
        let step = async {
            let Some(free) = places_in(&route.sinks).await else {
                return Ok(None);
            };
            let incoming = read(&mut ingress, &route, limit).await?;
            Ok(incoming.map(|incoming| (free, incoming)))
        };
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Some(ingress)),
            read = step => read?,
        };
        let Some((free, mut incoming)) = read else {
            return Ok(None);
        };
        if route.counts {
            count(&route.stats, &incoming);
        }
        let halted = if route.router.is_unconditional() {
            let all = u16::try_from(route.sinks.len()).unwrap_or(u16::MAX);
            let arrivals = begin(&ingress, &route, incoming, |_| all);
            if !arrivals.is_empty() {
                put(free, arrivals);
            }
            None
        } else {
            let (places, halted) = places(&route, &mut incoming);
            let sinks = |index: usize| places.get(index).map_or(0, Vec::len);
            let arrivals = begin(&ingress, &route, incoming, |index| {
                u16::try_from(sinks(index)).unwrap_or(u16::MAX)
            });
            put_each(free, arrivals, &places);
            halted
        };
        if let Some(event) = halted {
            return Err(IngressError::Unrouted { event });
        }
        // They lie behind all that was read.
        route.ledger.begin(ingress.passed().into_iter(), 0);
    }
}

/// The sinks of each event, by their places; an event of which the ingress says to halt ends the list, and is named.
fn places(route: &Route, incoming: &mut Vec<Incoming>) -> (Vec<Vec<usize>>, Option<String>) {
    let mut all = Vec::with_capacity(incoming.len());
    for read in incoming.iter() {
        let mut places = route.router.route(&read.event);
        if places.is_empty() {
            route.stats.unrouted.add(1);
            match route.unrouted {
                Unrouted::Drop => {}
                Unrouted::To(place) => places.push(place),
                Unrouted::Halt => {
                    let event = read.event.id.to_string();
                    incoming.truncate(all.len());
                    return (all, Some(event));
                }
            }
        }
        all.push(places);
    }
    (all, None)
}

/// Takes what was read into the ledger, each event for as many sinks as `sinks` says of its index.
fn begin(
    ingress: &impl Ingress,
    route: &Route,
    incoming: Vec<Incoming>,
    sinks: impl Fn(usize) -> u16,
) -> Vec<Arrival> {
    route.ledger.learn(ingress.partitions());
    let positions = (incoming.iter().enumerate()).map(|(index, read)| {
        (
            read.partition,
            read.position.clone(),
            Some(read.event.timestamp_ms),
            sinks(index),
        )
    });
    let ordinals = route.ledger.begin_each(positions);
    let arrival = |(read, ordinal): (Incoming, u64)| Arrival {
        event: Arc::new(read.event),
        ticket: Ticket {
            ingress: route.ingress,
            partition: read.partition,
            ordinal,
        },
    };
    incoming.into_iter().zip(ordinals).map(arrival).collect()
}

fn count(stats: &IngressStats, incoming: &[Incoming]) {
    let size = |Incoming { event, .. }: &Incoming| {
        event.data.len() + event.key.as_ref().map_or(0, |key| key.len())
    };
    stats.events.add(incoming.len());
    stats.bytes.add(incoming.iter().map(size).sum());
}

/// Reads from the partitions that are not held, for as long as they are not.
async fn read(
    ingress: &mut impl Ingress,
    route: &Route,
    limit: ReadLimit,
) -> Result<Option<Vec<Incoming>>, IngressError> {
    loop {
        let held = route.ledger.held(share(route.capacity, ingress.active()));
        let all =
            !held.is_empty() && !held.contains(&false) && held.len() >= ingress.partitions().len();
        let some = held.contains(&true);
        ingress.hold(&held);
        tokio::select! {
            biased;
            read = ingress.read(limit), if !all => return read,
            () = route.ledger.settling(), if some => {}
        }
    }
}

/// How many events of one partition may be unsettled, of `capacity` for all that are read: twice its even part, so that
/// an uneven stream goes on at full speed, and up to half of the partitions may be stuck without stopping the others. A
/// single one stops none: its sinks' buffers alone bound it.
fn share(capacity: usize, active: usize) -> usize {
    match active {
        0 | 1 => usize::MAX,
        _ => (2 * capacity / (active + 1)).max(1),
    }
}

/// A place in every queue; none if a sink has ended.
async fn places_in(sinks: &[Feeder]) -> Option<Vec<Place>> {
    let mut places = Vec::with_capacity(sinks.len());
    for sink in sinks {
        places.push(sink.place().await?);
    }
    Some(places)
}

fn put(mut free: Vec<Place>, arrivals: Vec<Arrival>) {
    let last = free.pop();
    for place in free {
        place.put(arrivals.clone());
    }
    if let Some(place) = last {
        place.put(arrivals);
    }
}

/// Puts each event into the queues that `places` says of it.
fn put_each(free: Vec<Place>, arrivals: Vec<Arrival>, places: &[Vec<usize>]) {
    let mut lists = vec![Vec::new(); free.len()];
    for (arrival, places) in arrivals.into_iter().zip(places) {
        for place in places {
            lists[*place].push(arrival.clone());
        }
    }
    for (place, list) in free.into_iter().zip(lists) {
        if !list.is_empty() {
            place.put(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        delivery::{Intake, Queue},
        event::{Event, Position},
        router::{Condition, Rule, Test},
    };

    #[test]
    fn a_stuck_partition_leaves_room_and_a_single_one_has_all() {
        let table = [
            (1, usize::MAX),
            (2, 6_666),
            (3, 5_000),
            (9, 2_000),
            (100_000, 1),
        ];
        for (active, expected) in table {
            assert_eq!(share(10_000, active), expected, "{active} partitions");
        }
        assert_eq!(share(0, 2), 1);
    }

    /// Gives events with these keys, and then waits for ever.
    struct Keys(Vec<&'static str>);

    impl Ingress for Keys {
        fn partitions(&self) -> &[String] {
            &[]
        }

        async fn read(&mut self, _: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
            if self.0.is_empty() {
                std::future::pending::<()>().await;
            }
            let incoming = |(number, key): (u64, &'static str)| Incoming {
                event: Event {
                    id: key.into(),
                    key: Some(key.into()),
                    timestamp_ms: 0,
                    attributes: Vec::new(),
                    data: Bytes::new(),
                },
                partition: 0,
                position: Position::Count(number),
            };
            Ok(Some((1..).zip(self.0.drain(..)).map(incoming).collect()))
        }
    }

    /// Pumps events with these keys: `a` goes to both sinks, `b` to the second.
    fn start(unrouted: Unrouted) -> (Arc<Ledger>, [Intake; 2], Pumping) {
        let rule = |to: &[usize], key: &str| Rule {
            to: to.to_vec(),
            when: Some(Condition::Key(Test::Equals(key.to_owned()))),
        };
        let ledger = Arc::new(Ledger::default());
        let [(first, first_intake), (second, second_intake)] = [(); 2].map(|()| Queue::open());
        let route = Route {
            ingress: 0,
            ledger: Arc::clone(&ledger),
            capacity: 100,
            sinks: vec![first.feeder(), second.feeder()],
            router: Router::new(vec![rule(&[0, 1], "a"), rule(&[1], "b")], 2),
            unrouted,
            counts: false,
            stats: Arc::default(),
        };
        let keys = Keys(vec!["none", "b", "a", "none", "b"]);
        let pumping = pump(keys, route, CancellationToken::new());
        let pumping = tokio::spawn(async move { pumping.await.map(drop) });
        (ledger, [first_intake, second_intake], pumping)
    }

    type Pumping = tokio::task::JoinHandle<Result<(), IngressError>>;

    fn keys(arrivals: &[Arrival]) -> Vec<&str> {
        arrivals.iter().map(|arrival| &*arrival.event.id).collect()
    }

    fn settled(ledger: &Ledger) -> Option<Position> {
        let mut advanced = ledger.advanced();
        advanced.pop().map(|advanced| advanced.position)
    }

    #[tokio::test(start_paused = true)]
    async fn progress_waits_for_the_sinks_of_each_event_and_for_no_other() {
        let (ledger, [mut first, mut second], pumping) = start(Unrouted::Drop);
        let (first, second) = (first.take().await, second.take().await);
        let (first, second) = (first.expect("events"), second.expect("events"));
        let settle = |arrivals: &[Arrival]| {
            ledger.settle(arrivals.iter().map(|arrival| arrival.ticket));
            settled(&ledger)
        };

        let dropped = settled(&ledger);
        let after_second = settle(&second);
        let after_first = settle(&first);

        assert_eq!(
            (keys(&first), keys(&second)),
            (vec!["a"], vec!["b", "a", "b"])
        );
        assert_eq!(dropped, Some(Position::Count(1)), "nobody has to settle it");
        assert_eq!(after_second, Some(Position::Count(2)));
        assert_eq!(after_first, Some(Position::Count(5)));
        pumping.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_nobody_takes_goes_to_its_sink_or_ends_the_reading() {
        let (_, [_first, mut second], pumping) = start(Unrouted::To(1));
        let all = second.take().await.expect("events");
        pumping.abort();
        let (ledger, [_kept, mut none], halted) = start(Unrouted::Halt);

        let error = halted
            .await
            .expect("no panic")
            .expect_err("the first is for nobody");

        assert_eq!(keys(&all), ["none", "b", "a", "none", "b"]);
        assert_eq!(error.to_string(), "no router takes the event `none`");
        assert!(
            none.take().await.is_none(),
            "what is behind it is not delivered"
        );
        assert_eq!((settled(&ledger), ledger.unsettled()), (None, 0));
    }
}
