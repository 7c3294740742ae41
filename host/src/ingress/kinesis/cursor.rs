//! Where a reader stands in its shard.

use std::sync::Arc;

use super::records::{Raw, Records};
use crate::event::ShardPosition;

/// Where reading is to begin, in the service's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    Latest,
    Beginning,
    Time(u64),
    At(Box<str>),
    After(Box<str>),
}

/// Records that the stream gave up before they were read: a range, as nobody can tell how many there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// The last record that was read, and when it arrived.
    pub(super) behind: (Box<str>, u64),
    /// The first that is left, and when it arrived.
    pub(super) before: (Box<str>, u64),
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) records: Records,
    /// Bytes of the records, as the service counts them.
    pub(super) bytes: usize,
    pub(super) gap: Option<Gap>,
}

/// Where a reader stands in its shard.
#[derive(Debug)]
pub(super) struct Cursor {
    /// `ingress/shard`, which the ids of its events begin with.
    prefix: Arc<str>,
    partition: u32,
    from: From,
    /// The last record that was read, and behind which of its user records: looked for at the next start, as
    /// only that tells whether records behind it are gone.
    last: Option<Last>,
    /// Whether the next record is expected to be `last`.
    expects_last: bool,
}

#[derive(Debug, Clone)]
struct Last {
    sequence: Box<str>,
    sub: Option<u64>,
    arrived_ms: u64,
}

impl Cursor {
    /// `is_latest` reads a [`ShardPosition::Time`] as now.
    pub(super) fn new(
        prefix: Arc<str>,
        partition: u32,
        start: ShardPosition,
        is_latest: bool,
    ) -> Self {
        let mut cursor = Self {
            prefix,
            partition,
            from: From::Beginning,
            last: None,
            expects_last: false,
        };
        match start {
            ShardPosition::Beginning | ShardPosition::End => {}
            ShardPosition::Time(_) if is_latest => cursor.from = From::Latest,
            ShardPosition::Time(ms) => cursor.from = From::Time(ms),
            ShardPosition::Record {
                sequence,
                sub,
                arrived_ms,
            } => {
                cursor.last = Some(Last {
                    sequence,
                    sub,
                    arrived_ms,
                });
                cursor.restart();
            }
        }
        cursor
    }

    /// Where to begin.
    pub(super) fn from(&self) -> &From {
        &self.from
    }

    /// Reading begins anew: at the last record, to see that it is still there.
    pub(super) fn restart(&mut self) {
        if let Some(last) = &self.last {
            self.from = From::At(last.sequence.clone());
            self.expects_last = true;
        }
    }

    /// The first reading of `latest` has begun, or was to begin; should it have to begin again, it begins at this time.
    pub(super) fn begun_at(&mut self, ms: u64) {
        if self.from == From::Latest {
            self.from = From::Time(ms);
        }
    }

    /// Reading goes on behind this sequence number, which need not be a record's; unless the last record of an
    /// earlier run is still looked for, as an answer without records may come first.
    pub(super) fn go_on_behind(&mut self, sequence: Box<str>) {
        if !self.expects_last {
            self.from = From::After(sequence);
        }
    }

    /// Takes in what was read, in the shard's order.
    pub(super) fn take_in(&mut self, records: Vec<Raw>) -> Read {
        let mut read = Read {
            records: Records::new(Arc::clone(&self.prefix), self.partition),
            bytes: 0,
            gap: None,
        };
        let count = records.len();
        for (index, raw) in records.into_iter().enumerate() {
            read.bytes += raw.data.len() + raw.key.as_ref().map_or(0, String::len);
            // User records up to this one were settled by an earlier run.
            let mut settled = None;
            if std::mem::take(&mut self.expects_last)
                && let Some(last) = self.last.take()
            {
                if last.sequence == raw.sequence {
                    match last.sub {
                        None => {
                            self.last = Some(last);
                            continue;
                        }
                        Some(sub) => settled = Some(sub),
                    }
                } else {
                    read.gap = Some(Gap {
                        behind: (last.sequence, last.arrived_ms),
                        before: (raw.sequence.clone(), raw.arrived_ms),
                    });
                }
            }
            if index + 1 == count {
                self.last = Some(Last {
                    sequence: raw.sequence.clone(),
                    sub: None,
                    arrived_ms: raw.arrived_ms,
                });
            }
            match settled {
                None => read.records.push(raw),
                Some(settled) => read.records.push_settled(raw, settled),
            }
        }
        if let Some(last) = &self.last
            && !self.expects_last
        {
            self.from = From::After(last.sequence.clone());
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Incoming, Position};

    fn raw(sequence: &str, data: &[u8]) -> Raw {
        Raw {
            sequence: sequence.into(),
            key: Some("k".to_owned()),
            arrived_ms: 40,
            data: Bytes::copy_from_slice(data),
        }
    }

    /// Three user records, `a`, `b` and `c`.
    fn aggregated(sequence: &str) -> Raw {
        use md5::{Digest, Md5};

        let body =
            b"\x0a\x01u\x1a\x05\x08\x00\x1a\x01a\x1a\x05\x08\x00\x1a\x01b\x1a\x05\x08\x00\x1a\x01c";
        raw(
            sequence,
            &[b"\xf3\x89\x9a\xc2", &body[..], &Md5::digest(body)].concat(),
        )
    }

    fn cursor(start: ShardPosition) -> Cursor {
        Cursor::new("t/in/s".into(), 0, start, false)
    }

    fn behind(sequence: &str, sub: Option<u64>) -> ShardPosition {
        ShardPosition::Record {
            sequence: sequence.into(),
            sub,
            arrived_ms: 40,
        }
    }

    fn taken(read: &mut Read) -> Vec<Incoming> {
        std::iter::from_fn(|| read.records.pop()).collect()
    }

    fn ids(read: &mut Read) -> Vec<String> {
        let taken = taken(read).into_iter();
        taken
            .map(|incoming| incoming.event.id.to_string())
            .collect()
    }

    #[test]
    fn records_become_events_and_aggregates_are_numbered() {
        let mut cursor = cursor(ShardPosition::Beginning);

        let mut read = cursor.take_in(vec![raw("7", b"x"), aggregated("8")]);

        let expected = [
            ("t/in/s:7", "k", behind("7", None)),
            ("t/in/s:8.0", "u", behind("8", Some(0))),
            ("t/in/s:8.1", "u", behind("8", Some(1))),
            ("t/in/s:8.2", "u", behind("8", None)),
        ];
        let seen = taken(&mut read).into_iter().map(|incoming| {
            let Incoming {
                event, position, ..
            } = incoming;
            (event.id, event.key, position)
        });
        let expected = expected
            .map(|(id, key, position)| (id.into(), Some(key.into()), Position::Shard(position)));
        assert_eq!(seen.collect::<Vec<_>>(), expected);
        assert!(read.records.is_empty());
        assert_eq!(*cursor.from(), From::After("8".into()));
    }

    #[test]
    fn a_restart_skips_what_is_settled_down_to_the_user_record() {
        for (sub, expected) in [
            (None, vec!["t/in/s:9"]),
            (Some(0), vec!["t/in/s:8.1", "t/in/s:8.2", "t/in/s:9"]),
            (Some(1), vec!["t/in/s:8.2", "t/in/s:9"]),
        ] {
            let mut cursor = cursor(behind("8", sub));

            let from = cursor.from().clone();
            let mut read = cursor.take_in(vec![aggregated("8"), raw("9", b"x")]);

            assert_eq!(from, From::At("8".into()));
            assert_eq!(ids(&mut read), expected);
            assert_eq!(read.gap, None);
        }
    }

    #[test]
    fn a_last_record_that_is_gone_is_a_gap_with_its_range() {
        let mut cursor = cursor(behind("8", Some(1)));

        let nothing = cursor.take_in(Vec::new());
        let mut read = cursor.take_in(vec![raw("12", b"x")]);
        let next = cursor.take_in(vec![raw("13", b"x")]);

        assert_eq!(nothing.gap, None);
        assert_eq!(ids(&mut read), ["t/in/s:12"]);
        let gap = Gap {
            behind: ("8".into(), 40),
            before: ("12".into(), 40),
        };
        assert_eq!((read.gap, next.gap), (Some(gap), None));
    }

    #[test]
    fn a_new_iterator_begins_at_the_last_record_read_and_gives_it_once() {
        let mut cursor = cursor(ShardPosition::Beginning);
        cursor.restart();
        let before_any = cursor.from().clone();
        cursor.take_in(vec![raw("7", b"x")]);

        cursor.restart();
        let from = cursor.from().clone();
        let mut read = cursor.take_in(vec![raw("7", b"x"), raw("8", b"x")]);

        assert_eq!((before_any, from), (From::Beginning, From::At("7".into())));
        assert_eq!(ids(&mut read), ["t/in/s:8"]);
    }

    #[test]
    fn a_continuation_is_followed_once_the_last_record_is_found() {
        let mut cursor = cursor(behind("8", Some(0)));

        cursor.take_in(Vec::new());
        cursor.go_on_behind("8".into());
        let before = cursor.from().clone();
        let mut read = cursor.take_in(vec![aggregated("8")]);
        cursor.go_on_behind("9".into());

        assert_eq!(
            (before, cursor.from()),
            (From::At("8".into()), &From::After("9".into()))
        );
        assert_eq!(ids(&mut read), ["t/in/s:8.1", "t/in/s:8.2"]);
        assert!(read.gap.is_none());
    }

    #[test]
    fn latest_that_has_read_nothing_begins_again_at_its_time() {
        let mut cursor = Cursor::new("t/in/s".into(), 0, ShardPosition::Time(33), true);

        let first = cursor.from().clone();
        cursor.begun_at(33);
        cursor.restart();

        assert_eq!((first, cursor.from()), (From::Latest, &From::Time(33)));
    }
}
