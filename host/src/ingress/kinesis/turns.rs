//! Fairness between shards: each that has records gives a part in turn.

use std::collections::VecDeque;

use super::{reader::Room, records::Records};
use crate::{
    event::{Incoming, Position, ShardPosition},
    ingress::ReadLimit,
};

/// What was read from a shard in one go.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) shard: u32,
    pub(super) records: Records,
    /// Nothing comes behind these records.
    pub(super) ends: bool,
    /// Bounds what is read ahead; none in tests.
    pub(super) _room: Option<Room>,
}

/// Chunks that wait, one turn for each shard.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By shard, in the order of their turns; no queue is empty.
    waiting: VecDeque<(u32, VecDeque<Chunk>)>,
}

/// What a round of turns gave.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) records: Vec<Incoming>,
    /// Shards whose last record has been handed out by now.
    pub(super) ended: Vec<u32>,
}

impl Turns {
    pub(super) fn push(&mut self, chunk: Chunk) {
        let shard = chunk.shard;
        match self.waiting.iter_mut().find(|(other, _)| *other == shard) {
            Some((_, chunks)) => chunks.push_back(chunk),
            None => self.waiting.push_back((shard, VecDeque::from([chunk]))),
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes up to `limit`: an even part of each shard that waits, those that `held` names left out.
    pub(super) fn take(&mut self, limit: ReadLimit, held: impl Fn(u32) -> bool) -> Taken {
        let mut taken = Taken::default();
        let mut bytes = 0;
        let turns = self.waiting.len();
        let part = limit.records.div_ceil(turns.max(1)).max(1);
        for _ in 0..turns {
            if taken.records.len() >= limit.records || bytes >= limit.bytes {
                break;
            }
            let Some((shard, mut chunks)) = self.waiting.pop_front() else {
                break;
            };
            let mut left = part.min(limit.records - taken.records.len());
            while !held(shard)
                && let Some(chunk) = chunks.front_mut()
            {
                while left > 0
                    && bytes < limit.bytes
                    && let before = chunk.records.taken_apart()
                    && let Some(record) = chunk.records.pop()
                {
                    // Taking apart takes time, too, whatever is taken of it now.
                    bytes += chunk.records.taken_apart() - before + record.event.data.len();
                    left -= 1;
                    taken.records.push(record);
                }
                if !chunk.records.is_empty() {
                    break;
                }
                if chunk.ends {
                    taken.ended.push(shard);
                }
                chunks.pop_front();
            }
            if !chunks.is_empty() {
                self.waiting.push_back((shard, chunks));
            }
        }
        taken
    }
}

/// Where progress stands when a shard has ended.
pub(super) fn end_of(shard: u32) -> (u32, Position) {
    (shard, Position::Shard(ShardPosition::End))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ingress::kinesis::records::Raw;

    fn chunk(shard: u32, numbers: std::ops::Range<u64>, ends: bool) -> Chunk {
        let mut records = Records::new(shard.to_string().into(), shard);
        for number in numbers {
            records.push(Raw {
                sequence: number.to_string().into(),
                key: None,
                arrived_ms: 0,
                data: Bytes::from_static(b"12345678"),
            });
        }
        Chunk {
            shard,
            records,
            ends,
            _room: None,
        }
    }

    fn ids(taken: &Taken) -> Vec<&str> {
        taken
            .records
            .iter()
            .map(|record| &*record.event.id)
            .collect()
    }

    const LIMIT: ReadLimit = ReadLimit {
        records: 4,
        bytes: 1_000,
    };

    #[test]
    fn a_full_shard_does_not_starve_a_small_one() {
        let mut turns = Turns::default();
        turns.push(chunk(0, 0..100, false));
        turns.push(chunk(1, 0..2, false));

        let first = turns.take(LIMIT, |_| false);
        turns.push(chunk(1, 2..3, true));
        let second = turns.take(LIMIT, |_| false);

        assert_eq!(ids(&first), ["0:0", "0:1", "1:0", "1:1"]);
        assert_eq!(ids(&second), ["0:2", "0:3", "1:2"]);
        assert_eq!(second.ended, [1]);
    }

    #[test]
    fn a_shard_that_is_held_waits_and_the_others_go_on() {
        let mut turns = Turns::default();
        turns.push(chunk(0, 0..4, true));
        turns.push(chunk(1, 0..4, false));

        let first = turns.take(LIMIT, |shard| shard == 0);
        let later = turns.take(LIMIT, |_| false);

        assert_eq!(ids(&first), ["1:0", "1:1"]);
        assert_eq!(ids(&later), ["0:0", "0:1", "1:2", "1:3"]);
    }

    #[test]
    fn bytes_bound_a_round_but_a_large_record_is_still_taken() {
        let mut turns = Turns::default();
        turns.push(chunk(0, 0..9, true));
        let limit = ReadLimit {
            records: 100,
            bytes: 10,
        };

        let taken = turns.take(limit, |_| false);

        assert_eq!(ids(&taken), ["0:0", "0:1"]);
        assert!(taken.ended.is_empty());
    }

    #[test]
    fn a_shard_that_ends_without_a_record_has_its_turn() {
        let mut turns = Turns::default();
        turns.push(chunk(3, 0..0, true));

        let taken = turns.take(LIMIT, |_| false);

        assert_eq!((taken.records.len(), taken.ended), (0, vec![3]));
        assert!(turns.take(LIMIT, |_| false).ended.is_empty());
    }
}
