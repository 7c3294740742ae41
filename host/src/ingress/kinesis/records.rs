//! The records of one answer, as events: those that a producer has aggregated are taken apart when it is their turn.
//!
//! Taken apart, an aggregate can be fifty times as large: so there is one at a time, of each shard.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::aggregate::{UserRecords, take_apart};
use crate::event::{Event, Incoming, Position, ShardPosition};

/// A record as the service gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) sequence: Box<str>,
    /// None where the producer gave none, as a stream with the record distribution `AUTO` allows.
    pub(super) key: Option<String>,
    pub(super) arrived_ms: u64,
    pub(super) data: Bytes,
}

/// What is left of an answer, in the shard's order.
#[derive(Debug)]
pub(super) struct Records {
    /// `ingress/shard`, which the ids of events begin with.
    prefix: Arc<str>,
    partition: u32,
    raws: VecDeque<Raw>,
    /// An earlier run has settled the user records of the first up to this one.
    settled: Option<u64>,
    aggregate: Option<Aggregate>,
    taken_apart: usize,
}

/// The one that is taken apart.
#[derive(Debug)]
struct Aggregate {
    sequence: Box<str>,
    arrived_ms: u64,
    /// The number of the next user record.
    next: u64,
    user_records: UserRecords,
}

impl Records {
    /// None, of this shard.
    pub(super) fn new(prefix: Arc<str>, partition: u32) -> Self {
        Self {
            prefix,
            partition,
            raws: VecDeque::new(),
            settled: None,
            aggregate: None,
            taken_apart: 0,
        }
    }

    /// Adds the next one.
    pub(super) fn push(&mut self, raw: Raw) {
        self.raws.push_back(raw);
    }

    /// The same of the first one, of which an earlier run has settled the user records up to this one.
    pub(super) fn push_settled(&mut self, raw: Raw, settled: u64) {
        self.settled = Some(settled);
        self.push(raw);
    }

    /// Whether nothing is left; what is left may be aggregates without records.
    pub(super) fn is_empty(&self) -> bool {
        self.raws.is_empty() && self.aggregate.is_none()
    }

    /// Bytes of the aggregates that were taken apart so far.
    pub(super) fn taken_apart(&self) -> usize {
        self.taken_apart
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<Incoming> {
        loop {
            if let Some(aggregate) = &mut self.aggregate {
                if let Some(incoming) = aggregate.pop(&self.prefix, self.partition) {
                    if aggregate.user_records.len() == 0 {
                        self.aggregate = None;
                    }
                    return Some(incoming);
                }
                self.aggregate = None;
            }
            let raw = self.raws.pop_front()?;
            let settled = self.settled.take();
            match take_apart(&raw.data) {
                None => return Some(whole(raw, &self.prefix, self.partition)),
                Some(user_records) => {
                    self.taken_apart += raw.data.len();
                    self.aggregate = Some(Aggregate::behind(raw, user_records, settled));
                }
            }
        }
    }
}

impl Aggregate {
    fn behind(raw: Raw, mut user_records: UserRecords, settled: Option<u64>) -> Self {
        let next = settled.map_or(0, |settled| settled.saturating_add(1));
        let skipped = usize::try_from(next).unwrap_or(usize::MAX);
        user_records.by_ref().take(skipped).for_each(drop);
        Self {
            sequence: raw.sequence,
            arrived_ms: raw.arrived_ms,
            next,
            user_records,
        }
    }

    fn pop(&mut self, prefix: &str, partition: u32) -> Option<Incoming> {
        let user_record = self.user_records.next()?;
        let (sequence, sub) = (&self.sequence, self.next);
        self.next += 1;
        let is_last = self.user_records.len() == 0;
        Some(Incoming {
            event: Event {
                id: format!("{prefix}:{sequence}.{sub}").into(),
                key: Some(user_record.key.into()),
                timestamp_ms: self.arrived_ms,
                attributes: Vec::new(),
                data: user_record.data,
            },
            partition,
            position: Position::Shard(ShardPosition::Record {
                sequence: sequence.clone(),
                sub: (!is_last).then_some(sub),
                arrived_ms: self.arrived_ms,
            }),
        })
    }
}

/// The event that is the whole record.
fn whole(raw: Raw, prefix: &str, partition: u32) -> Incoming {
    Incoming {
        event: Event {
            id: format!("{prefix}:{}", raw.sequence).into(),
            key: raw.key.map(Into::into),
            timestamp_ms: raw.arrived_ms,
            attributes: Vec::new(),
            data: raw.data,
        },
        partition,
        position: Position::Shard(ShardPosition::Record {
            sequence: raw.sequence,
            sub: None,
            arrived_ms: raw.arrived_ms,
        }),
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::*;

    /// Of so many user records without data.
    fn aggregate(sequence: &str, count: usize) -> Raw {
        let body = [
            &b"\x0a\x01u"[..],
            &b"\x1a\x04\x08\x00\x1a\x00".repeat(count),
        ]
        .concat();
        let data = [b"\xf3\x89\x9a\xc2", &body[..], &Md5::digest(&body)].concat();
        Raw {
            sequence: sequence.into(),
            key: None,
            arrived_ms: 0,
            data: data.into(),
        }
    }

    fn ids(records: &mut Records) -> Vec<String> {
        let ids = std::iter::from_fn(|| Some(records.pop()?.event.id.to_string()));
        ids.collect()
    }

    #[test]
    fn one_aggregate_at_a_time_is_taken_apart() {
        let mut records = Records::new("s".into(), 0);
        records.push(aggregate("1", 2));
        records.push(aggregate("2", 1));

        let before = records.aggregate.is_none();
        let first = records.pop().expect("there are three").event.id;
        let meanwhile = records.raws.len();

        assert!(before);
        assert_eq!((&*first, meanwhile), ("s:1.0", 1));
        assert_eq!(ids(&mut records), ["s:1.1", "s:2.0"]);
        assert!(records.is_empty());
    }

    #[test]
    fn aggregates_of_which_nothing_is_left_give_nothing() {
        for settled in [1, 5, u64::MAX] {
            let mut records = Records::new("s".into(), 0);
            records.push_settled(aggregate("1", 2), settled);
            records.push(aggregate("2", 0));
            records.push(aggregate("3", 1));

            assert_eq!(ids(&mut records), ["s:3.0"], "{settled}");
            assert!(records.is_empty());
        }
    }
}
