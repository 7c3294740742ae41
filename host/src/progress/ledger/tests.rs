//! The ledger held against a naive model: a list of all events ever read, for each partition.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Events of a partition are read, each for so many sinks.
    Begin {
        partition: u32,
        events: u64,
        sinks: u16,
    },
    /// One sink settles one of the events that are open.
    Settle(usize),
    /// What has advanced is asked for, and perhaps stored.
    Advance { stored: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u32..3, 1_u64..5, 0_u16..4).prop_map(|(partition, events, sinks)| Step::Begin {
            partition,
            events,
            sinks
        }),
        any::<usize>().prop_map(Step::Settle),
        any::<usize>().prop_map(Step::Settle),
        any::<bool>().prop_map(|stored| Step::Advance { stored }),
    ];
    prop::collection::vec(step, 0..200)
}

/// For each event, the sinks that have not settled it; and what is stored.
#[derive(Default)]
struct Model {
    open: [Vec<u16>; 3],
    stored: [u64; 3],
}

impl Model {
    fn settled(&self, partition: usize) -> u64 {
        let open = &self.open[partition];
        open.iter().take_while(|open| **open == 0).count() as u64
    }

    fn unsettled(&self, partition: usize) -> usize {
        self.open[partition]
            .iter()
            .filter(|open| **open > 0)
            .count()
    }

    fn advanced(&self) -> Vec<(u32, u64)> {
        let settled = (0_u32..3).map(|partition| (partition, self.settled(partition as usize)));
        settled
            .filter(|(partition, settled)| *settled > self.stored[*partition as usize])
            .collect()
    }
}

proptest! {
    #[test]
    fn the_ledger_is_a_list_of_all_events(steps in steps(), share in 1_usize..6) {
        let ledger = Ledger::default();
        ledger.learn(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let mut model = Model::default();

        for step in steps {
            match step {
                Step::Begin { partition, events, sinks } => {
                    let own = &mut model.open[partition as usize];
                    let first = own.len() as u64;
                    let positions = (first..first + events).map(|n| (partition, Position::Count(n + 1)));
                    own.extend((0..events).map(|_| sinks));

                    let ordinals = ledger.begin(positions, sinks);

                    prop_assert_eq!(ordinals, (first..first + events).collect::<Vec<_>>());
                }
                Step::Settle(which) => {
                    let open = model.open.iter_mut().zip(0_u32..).flat_map(|(events, partition)| {
                        let numbered = events.iter_mut().zip(0_u64..);
                        numbered.map(move |(open, ordinal)| (open, partition, ordinal))
                    });
                    let mut open: Vec<_> = open.filter(|(open, ..)| **open > 0).collect();
                    if open.is_empty() { continue; }
                    let which = which % open.len();
                    let (left, partition, ordinal) = &mut open[which];
                    **left -= 1;
                    ledger.settle([Ticket { ingress: 0, partition: *partition, ordinal: *ordinal }].into_iter());
                }
                Step::Advance { stored } => {
                    let advanced = ledger.advanced();
                    let found: Vec<_> = advanced.iter().map(|of| (of.partition, of.position.clone())).collect();
                    let expected: Vec<_> = model.advanced().into_iter()
                        .map(|(partition, settled)| (partition, Position::Count(settled))).collect();
                    prop_assert_eq!(found, expected);
                    if stored {
                        ledger.stored(&advanced);
                        for (partition, settled) in model.advanced() { model.stored[partition as usize] = settled; }
                    }
                }
            }
            let unsettled = [0, 1, 2].map(|partition| model.unsettled(partition));
            prop_assert_eq!(ledger.unsettled(), unsettled.iter().sum::<usize>());
            prop_assert_eq!(ledger.held(share), unsettled.map(|unsettled| unsettled >= share));
        }
    }
}

#[test]
fn a_partition_is_held_when_its_window_is_full_of_settled_events() {
    let ledger = Ledger::default();
    let positions = (1..=WINDOW as u64).map(|n| (0, Position::Count(n)));
    let ordinals = ledger.begin(positions, 1);
    let ticket = |ordinal| Ticket {
        ingress: 0,
        partition: 0,
        ordinal,
    };

    ledger.settle(ordinals.into_iter().skip(1).map(ticket));
    let behind_the_first = (ledger.unsettled(), ledger.held(10));
    ledger.settle([ticket(0)].into_iter());

    assert_eq!(behind_the_first, (1, vec![true]));
    assert_eq!(ledger.held(10), [false]);
}

#[test]
fn the_watermark_is_the_oldest_event_that_is_not_settled() {
    let ledger = Ledger::default();
    let event = |partition, count, ms| (partition, Position::Count(count), Some(ms), 1);
    let ticket = |partition, ordinal| Ticket {
        ingress: 0,
        partition,
        ordinal,
    };

    let nothing = ledger.watermark();
    let events = [event(0, 1, 50), event(0, 2, 70), event(1, 1, 60)];
    ledger.begin_each(events.into_iter());
    let all_open = ledger.watermark();
    ledger.settle([ticket(0, 1)].into_iter());
    let behind_the_first = ledger.watermark();
    ledger.settle([ticket(0, 0)].into_iter());
    let one_partition = ledger.watermark();
    ledger.settle([ticket(1, 0)].into_iter());
    ledger.begin([(1, Position::Count(2))].into_iter(), 0);
    let all_settled = ledger.watermark();

    assert_eq!(nothing.ms(), None);
    assert_eq!((all_open.ms(), all_open.unsettled), (Some(50), 3));
    assert_eq!(
        (behind_the_first.ms(), behind_the_first.settled),
        (Some(50), 0)
    );
    assert_eq!((one_partition.ms(), one_partition.settled), (Some(60), 2));
    assert_eq!((all_settled.ms(), all_settled.settled), (Some(70), 3));
    assert_eq!(all_settled.taken, 3, "a position without an event is none");
    assert_eq!(all_settled.oldest_unsettled_ms, None);
}

fn ticket(partition: u32, ordinal: u64) -> Ticket {
    Ticket {
        ingress: 0,
        partition,
        ordinal,
    }
}

#[test]
fn what_is_shown_of_a_partition_is_how_far_it_is_settled_and_stored() {
    let ledger = Ledger::default();
    ledger.learn(&["a".to_owned()]);
    let events = [
        (0, Position::Count(1)),
        (0, Position::Count(2)),
        (2, Position::Count(9)),
    ];
    ledger.begin(events.into_iter(), 1);
    ledger.settle([ticket(0, 0)].into_iter());
    ledger.stored(&ledger.advanced());
    ledger.learn(&[
        "a".to_owned(),
        "b".to_owned(),
        "c".to_owned(),
        "d".to_owned(),
    ]);

    let shown = ledger.partitions();

    let view = |name: &str, settled: Option<Position>, unsettled| PartitionView {
        name: name.to_owned(),
        stored: settled.clone(),
        settled,
        unsettled,
    };
    let expected = [
        view("a", Some(Position::Count(1)), 1),
        // Known by their events before their names were.
        view("", None, 0),
        view("", None, 1),
        view("d", None, 0),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn what_was_stored_is_not_stored_again_until_it_has_grown() {
    let ledger = Ledger::default();
    ledger.learn(&["a".to_owned()]);
    ledger.begin((1..=3).map(|n| (0, Position::Count(n))), 1);
    ledger.settle([ticket(0, 0)].into_iter());
    let first = ledger.advanced();
    ledger.settle([ticket(0, 1)].into_iter());

    ledger.stored(&first);
    let second = ledger.advanced();
    ledger.stored(&second);

    let advanced = |count| Advanced {
        partition: 0,
        name: "a".to_owned(),
        position: Position::Count(count),
    };
    assert_eq!((first, second), (vec![advanced(1)], vec![advanced(2)]));
    assert!(ledger.advanced().is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_partition_that_is_held_hears_of_what_is_settled_and_not_before() {
    let short = std::time::Duration::from_secs(1);
    let ledger = Ledger::default();
    ledger.begin((1..=3).map(|n| (0, Position::Count(n))), 1);

    ledger.settle([ticket(0, 0)].into_iter());
    let unwatched = tokio::time::timeout(short, ledger.settling()).await;
    assert_eq!(ledger.held(2), [true]);
    let before = tokio::time::timeout(short, ledger.settling()).await;
    ledger.settle([ticket(0, 1)].into_iter());
    let after = tokio::time::timeout(short, ledger.settling()).await;

    assert!(unwatched.is_err(), "nobody had asked");
    assert!(before.is_err());
    assert!(after.is_ok());
    assert_eq!(ledger.held(2), [false]);
}
