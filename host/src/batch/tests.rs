use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::{Event, Ticket};

fn pending(seq: u64, key: Option<&str>, size: usize, arrived: Instant) -> Pending {
    let event = Event {
        id: seq.to_string().into(),
        key: key.map(Into::into),
        timestamp_ms: 0,
        attributes: Vec::new(),
        data: Bytes::from(vec![b'x'; size]),
    };
    let ticket = Ticket {
        ingress: 0,
        partition: 0,
        ordinal: seq,
    };
    Pending {
        arrival: Arrival {
            event: Arc::new(event),
            ticket,
        },
        seq,
        arrived,
    }
}

fn settings(max_records: usize, max_bytes: usize, by: BatchBy) -> BatchSettings {
    BatchSettings {
        max_records,
        max_bytes,
        max_wait: Duration::from_secs(5),
        by,
    }
}

fn seqs(batch: &[Pending]) -> Vec<u64> {
    batch.iter().map(|pending| pending.seq).collect()
}

#[test]
fn a_batch_is_cut_by_count_by_bytes_and_by_age() {
    let start = Instant::now();
    let mut batcher = Batcher::new(settings(3, 100, BatchBy::Any), KeyUse::Shared);
    for (seq, size) in [(0, 10), (1, 10), (2, 10), (3, 60), (4, 60), (5, 1)] {
        batcher.push(pending(seq, None, size, start));
    }

    let by_count = batcher
        .pop(start, Due::WhenFull)
        .expect("three are a batch");
    let by_bytes = batcher
        .pop(start, Due::WhenFull)
        .expect("121 bytes are over 100");
    let too_young = batcher.pop(start, Due::WhenFull);
    let deadline = batcher.deadline().expect("two events wait");
    let by_age = batcher
        .pop(deadline, Due::WhenFull)
        .expect("they are old now");

    assert_eq!(seqs(&by_count), [0, 1, 2]);
    assert_eq!(seqs(&by_bytes), [3]);
    assert!(too_young.is_none());
    assert_eq!(deadline, start + Duration::from_secs(5));
    assert_eq!(seqs(&by_age), [4, 5]);
    assert!(batcher.is_empty());
}

#[test]
fn a_batch_by_key_holds_one_key_and_full_keys_go_first() {
    let start = Instant::now();
    let mut batcher = Batcher::new(settings(2, 1000, BatchBy::Key), KeyUse::Shared);
    for (seq, key) in [(0, "a"), (1, "b"), (2, "c"), (3, "b")] {
        batcher.push(pending(seq, Some(key), 1, start));
    }

    let full = batcher.pop(start, Due::WhenFull).expect("b has two");
    let none = batcher.pop(start, Due::WhenFull);
    let flushed = batcher.pop(start, Due::Now).expect("a waits");

    assert_eq!(seqs(&full), [1, 3]);
    assert!(none.is_none());
    assert_eq!(seqs(&flushed), [0]);
}

#[test]
fn an_exclusive_key_waits_until_every_event_of_its_batch_is_released() {
    let start = Instant::now();
    let mut batcher = Batcher::new(settings(3, 1000, BatchBy::Any), KeyUse::Exclusive);
    for (seq, key) in [
        (0, Some("a")),
        (1, Some("a")),
        (2, None),
        (3, Some("a")),
        (4, None),
        (5, Some("b")),
    ] {
        batcher.push(pending(seq, key, 1, start));
    }

    let first = batcher.pop(start, Due::Now).expect("events wait");
    let second = batcher.pop(start, Due::Now).expect("others go on");
    batcher.release(Some("a"));
    let held = batcher.pop(start, Due::Now);
    batcher.release(Some("a"));
    let freed = batcher.pop(start, Due::Now).expect("a is free");

    assert_eq!(seqs(&first), [0, 1, 2]);
    assert_eq!(seqs(&second), [4, 5]);
    assert!(held.is_none());
    assert_eq!(seqs(&freed), [3]);
    assert!(batcher.is_empty());
}

/// The batcher as one list that is searched from its start.
struct Model {
    settings: BatchSettings,
    exclusive: bool,
    waiting: Vec<Pending>,
    /// The keys of events that were popped and not released.
    out: Vec<Option<Box<str>>>,
}

impl Model {
    fn eligible(&self) -> Vec<&Pending> {
        let free = |pending: &&Pending| {
            let key = &pending.arrival.event.key;
            !self.exclusive || key.is_none() || !self.out.contains(key)
        };
        self.waiting.iter().filter(free).collect()
    }

    fn is_full(&self, events: &[&Pending]) -> bool {
        let bytes: usize = events.iter().map(|pending| pending.size()).sum();
        events.len() >= self.settings.max_records || bytes >= self.settings.max_bytes
    }

    fn pop(&mut self, now: Instant, due: Due) -> Option<Vec<u64>> {
        let eligible = self.eligible();
        let oldest = eligible.first()?;
        let any = due == Due::Now || now >= oldest.arrived + self.settings.max_wait;
        let lanes = match self.settings.by {
            BatchBy::Any => vec![eligible],
            BatchBy::Key => {
                let mut keys: Vec<_> = eligible
                    .iter()
                    .map(|pending| &pending.arrival.event.key)
                    .collect();
                keys.dedup();
                let lane = |key| {
                    eligible
                        .iter()
                        .copied()
                        .filter(|pending| &pending.arrival.event.key == key)
                        .collect()
                };
                keys.into_iter().map(lane).collect::<Vec<Vec<&Pending>>>()
            }
        };
        let full = lanes.iter().find(|lane| self.is_full(lane));
        let lane = full.or_else(|| lanes.first().filter(|_| any))?;
        let mut bytes = 0;
        let fits = |pending: &&&Pending| {
            bytes += pending.size();
            bytes <= self.settings.max_bytes
        };
        let fitting = lane
            .iter()
            .take(self.settings.max_records)
            .take_while(fits)
            .count()
            .max(1);
        let batch: Vec<u64> = lane
            .iter()
            .take(fitting)
            .map(|pending| pending.seq)
            .collect();
        let popped = self
            .waiting
            .extract_if(.., |pending| batch.contains(&pending.seq));
        let keys: Vec<_> = popped
            .map(|pending| pending.arrival.event.key.clone())
            .collect();
        self.out.extend(keys);
        Some(batch)
    }
}

#[test]
fn what_still_waits_is_given_back_whole() {
    for (by, keys) in [
        (BatchBy::Any, KeyUse::Shared),
        (BatchBy::Key, KeyUse::Shared),
        (BatchBy::Any, KeyUse::Exclusive),
    ] {
        let now = Instant::now();
        let mut batcher = Batcher::new(settings(2, 1000, by), keys);
        for (seq, key) in [(0, "a"), (1, "a"), (2, "b"), (3, "a"), (4, "b")] {
            batcher.push(pending(seq, Some(key), 10, now));
        }
        assert_eq!(batcher.pop(now, Due::Now).map(|batch| batch.len()), Some(2));

        let mut left = seqs(&batcher.into_pending());

        left.sort_unstable();
        assert_eq!(left, [2, 3, 4], "{by:?}, {keys:?}");
    }
}

proptest! {
    /// Each pop gives what the list gives, and the deadline is its oldest event's.
    #[test]
    fn the_batcher_is_a_list_that_is_searched(
        steps in prop::collection::vec((0_u8..4, prop::option::of(0_u8..4), 0_usize..40, 0_u64..3000), 0..200),
        max_records in 1_usize..8,
        max_bytes in 1_usize..100,
        by_key in any::<bool>(),
        exclusive in any::<bool>(),
    ) {
        let by = if by_key { BatchBy::Key } else { BatchBy::Any };
        let settings = settings(max_records, max_bytes, by);
        let keys = if exclusive { KeyUse::Exclusive } else { KeyUse::Shared };
        let mut batcher = Batcher::new(settings.clone(), keys);
        let mut model = Model { settings, exclusive, waiting: Vec::new(), out: Vec::new() };
        let mut now = Instant::now();

        for (seq, (step, key, size, later)) in (0..).zip(steps) {
            match step {
                0 | 1 => {
                    let key = key.map(|key| key.to_string());
                    let event = pending(seq, key.as_deref(), size, now);
                    batcher.push(event.clone());
                    model.waiting.push(event);
                }
                2 => {
                    now += Duration::from_millis(later);
                    let due = if size % 4 == 0 { Due::Now } else { Due::WhenFull };
                    let popped = batcher.pop(now, due).map(|batch| seqs(&batch));
                    prop_assert_eq!(popped, model.pop(now, due));
                }
                _ if model.out.is_empty() => {}
                _ => {
                    let key = model.out.remove(size % model.out.len());
                    batcher.release(key.as_deref());
                }
            }
            let oldest = model.eligible().first().map(|pending| pending.arrived + Duration::from_secs(5));
            prop_assert_eq!(batcher.deadline(), oldest);
            prop_assert_eq!(batcher.is_empty(), model.waiting.is_empty());
        }
    }

    /// Whatever comes in, every event leaves once, in order within its key, in batches within the limits.
    #[test]
    fn every_event_leaves_once_in_order_within_the_limits(
        events in prop::collection::vec((prop::option::of(0_u8..4), 0_usize..40), 0..200),
        max_records in 1_usize..10,
        max_bytes in 1_usize..100,
        by_key in any::<bool>(),
        exclusive in any::<bool>(),
        pops in prop::collection::vec(any::<(bool, bool)>(), 0..200),
    ) {
        let by = if by_key { BatchBy::Key } else { BatchBy::Any };
        let keys = if exclusive { KeyUse::Exclusive } else { KeyUse::Shared };
        let settings = settings(max_records, max_bytes, by);
        let mut batcher = Batcher::new(settings.clone(), keys);
        let start = Instant::now();
        let mut out: Vec<Vec<Pending>> = Vec::new();
        let mut last: HashMap<Option<Box<str>>, u64> = HashMap::new();
        let mut seen = 0;
        let mut pushes = events.iter().enumerate();
        let mut steps = pops.into_iter();

        for round in 0.. {
            prop_assert!(round < 10_000, "some event never leaves");
            let (push, release) = steps.next().unwrap_or((true, true));
            let pushed = if push { pushes.next() } else { None };
            if let Some((seq, (key, size))) = pushed {
                let key = key.map(|key| key.to_string());
                batcher.push(pending(seq as u64, key.as_deref(), *size, start));
            }
            let due = if pushed.is_none() { Due::Now } else { Due::WhenFull };
            let popped = batcher.pop(start, due);
            if let Some(batch) = &popped {
                prop_assert!(!batch.is_empty() && batch.len() <= max_records);
                let bytes: usize = batch.iter().map(Pending::size).sum();
                prop_assert!(batch.len() == 1 || bytes <= max_bytes);
                for pending in batch {
                    let key = pending.arrival.event.key.clone();
                    if by_key { prop_assert_eq!(&key, &batch[0].arrival.event.key); }
                    if exclusive && key.is_some() {
                        prop_assert!(out.iter().flatten().all(|other| other.arrival.event.key != key));
                    }
                    if by_key || exclusive {
                        let before = last.insert(key, pending.seq);
                        prop_assert!(before.is_none_or(|before| before < pending.seq));
                    }
                    seen += 1;
                }
                out.push(batch.clone());
            }
            if release && !out.is_empty() {
                for pending in out.remove(0) {
                    batcher.release(pending.arrival.event.key.as_deref());
                }
            }
            if popped.is_none() && pushes.len() == 0 && out.is_empty() && batcher.is_empty() {
                break;
            }
        }
        prop_assert_eq!(seen, events.len());
    }
}
