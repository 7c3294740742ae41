//! Which shards are read, and from where: parents before children.

use std::collections::{BTreeMap, BTreeSet};

use crate::{event::ShardPosition, ingress::settings::StreamStart};

/// A shard, as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: String,
    /// One for a split, two for a merge, none for a shard that the stream began with.
    pub(super) parents: Vec<String>,
    /// Whether it still takes records.
    pub(super) open: bool,
    /// No record of it has a smaller sequence number.
    pub(super) begins: Box<str>,
}

impl Listed {
    /// Whether the shard can have had this record: sequence numbers grow, and those of a stream that was deleted and
    /// made anew are greater than all before.
    pub(super) fn may_have(&self, sequence: &str) -> bool {
        let number = |text: &str| {
            let digits = text.trim_start_matches('0');
            (digits.len(), digits.to_owned())
        };
        number(sequence) >= number(&self.begins)
    }
}

/// What a listing has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Shards that are read from now on, and where each starts.
    pub(super) begun: Vec<(String, ShardPosition)>,
    /// Stored shards that the stream has no more: what was not read of them is lost, unless they had ended.
    pub(super) gone: Vec<(String, ShardPosition)>,
}

/// The shards of a stream that concern this ingress.
///
/// # Invariants
/// - A shard is ready only when each of its parents that is read here has ended.
/// - A shard that begins beside a parent that is read here begins at its first record.
#[derive(Debug)]
pub(super) struct Lineage {
    start: StreamStart,
    /// When the host came to know the stream, in milliseconds since the Unix epoch: what `latest` means.
    now_ms: u64,
    /// Before the first listing.
    is_new: bool,
    /// By id; in the order of ids, which is the order of their making.
    shards: BTreeMap<String, Shard>,
}

#[derive(Debug)]
struct Shard {
    parents: Vec<String>,
    open: bool,
    from: ShardPosition,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Stored by an earlier run, and not seen in a listing yet.
    Stored,
    Waiting,
    Reading,
    Ended,
}

impl Lineage {
    /// With what is stored; `start` is for a stream of which nothing is.
    pub(super) fn new(
        start: StreamStart,
        stored: Vec<(String, ShardPosition)>,
        now_ms: u64,
    ) -> Self {
        let shard = |from| Shard {
            parents: Vec::new(),
            open: true,
            from,
            state: State::Stored,
        };
        let shards = stored.into_iter().map(|(id, from)| (id, shard(from)));
        Self {
            start,
            now_ms,
            is_new: true,
            shards: shards.collect(),
        }
    }

    /// Takes in all shards of the stream.
    pub(super) fn list(&mut self, listed: &[Listed]) -> Change {
        let mut change = Change::default();
        let began_before = !self.is_new || !self.shards.is_empty();
        let skipped = match began_before {
            true => self.ancestors(listed),
            false => BTreeSet::new(),
        };
        for shard in listed {
            if let Some(known) = self.shards.get_mut(&shard.id) {
                known.parents.clone_from(&shard.parents);
                known.open = shard.open;
                if known.state == State::Stored {
                    known.state = match known.from {
                        ShardPosition::End => State::Ended,
                        _ => State::Waiting,
                    };
                }
                continue;
            }
            let from = match began_before {
                // Its descendants were begun without it: it ended before the ingress was there.
                true if skipped.contains(&shard.id) => continue,
                // Made since: whatever it has, nobody has read.
                true => ShardPosition::Beginning,
                false => match self.start {
                    StreamStart::Earliest => ShardPosition::Beginning,
                    StreamStart::AtTimestamp(at_ms) => ShardPosition::Time(at_ms),
                    StreamStart::Latest if shard.open => ShardPosition::Time(self.now_ms),
                    StreamStart::Latest => continue,
                },
            };
            change.begun.push((shard.id.clone(), from.clone()));
            let shard_state = Shard {
                parents: shard.parents.clone(),
                open: shard.open,
                from,
                state: State::Waiting,
            };
            self.shards.insert(shard.id.clone(), shard_state);
        }
        if self.is_new {
            self.is_new = false;
            // No longer listed: older than the stream keeps records.
            let gone = |(id, shard): (&String, &Shard)| {
                (shard.state == State::Stored).then(|| (id.clone(), shard.from.clone()))
            };
            change.gone = self.shards.iter().filter_map(gone).collect();
            for (id, _) in &change.gone {
                self.shards.remove(id);
            }
        }
        change
    }

    /// All shards from which a shard that is read here stems.
    fn ancestors(&self, listed: &[Listed]) -> BTreeSet<String> {
        let parents: BTreeMap<&str, &[String]> = listed
            .iter()
            .map(|shard| (&*shard.id, &*shard.parents))
            .collect();
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self.shards.keys().map(String::as_str).collect();
        while let Some(shard) = open.pop() {
            for parent in parents.get(shard).copied().unwrap_or_default() {
                if found.insert(parent.clone()) {
                    open.push(parent);
                }
            }
        }
        found
    }

    /// Shards that may be read from now on, and where each starts. Each is given once.
    pub(super) fn ready(&mut self) -> Vec<(String, ShardPosition)> {
        let open = |parent: &String| {
            self.shards
                .get(parent)
                .is_some_and(|parent| parent.state != State::Ended)
        };
        let ready: Vec<String> = self
            .shards
            .iter()
            .filter(|(_, shard)| shard.state == State::Waiting && !shard.parents.iter().any(open))
            .map(|(id, _)| id.clone())
            .collect();
        ready
            .into_iter()
            .filter_map(|id| {
                let shard = self.shards.get_mut(&id)?;
                shard.state = State::Reading;
                Some((id, shard.from.clone()))
            })
            .collect()
    }

    /// A shard is read to its end.
    pub(super) fn ended(&mut self, id: &str) {
        if let Some(shard) = self.shards.get_mut(id) {
            shard.state = State::Ended;
        }
    }

    /// Whether a shard still takes records, by the last listing.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.shards.get(id).is_none_or(|shard| shard.open)
    }

    /// How many shards are being read.
    pub(super) fn reading(&self) -> usize {
        let reading = self
            .shards
            .values()
            .filter(|shard| shard.state == State::Reading);
        reading.count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard(id: &str, parents: &[&str], open: bool) -> Listed {
        Listed {
            id: id.to_owned(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            open,
            begins: "1".into(),
        }
    }

    fn behind(sequence: &str) -> ShardPosition {
        ShardPosition::Record {
            sequence: sequence.into(),
            sub: None,
            arrived_ms: 0,
        }
    }

    fn begun(change: &Change) -> Vec<(&str, &ShardPosition)> {
        change
            .begun
            .iter()
            .map(|(id, from)| (&**id, from))
            .collect()
    }

    fn ids(ready: Vec<(String, ShardPosition)>) -> Vec<String> {
        ready.into_iter().map(|(id, _)| id).collect()
    }

    /// `0` was split into `1` and `2`; those were merged into `3`.
    fn diamond() -> [Listed; 4] {
        [
            shard("0", &[], false),
            shard("1", &["0"], false),
            shard("2", &["0"], false),
            shard("3", &["1", "2"], true),
        ]
    }

    #[test]
    fn earliest_reads_parents_before_children_through_a_split_and_a_merge() {
        let mut lineage = Lineage::new(StreamStart::Earliest, Vec::new(), 5);
        lineage.list(&diamond());

        assert_eq!(ids(lineage.ready()), ["0"]);
        assert_eq!(
            ids(lineage.ready()),
            Vec::<String>::new(),
            "each is given once"
        );
        lineage.ended("0");
        assert_eq!(ids(lineage.ready()), ["1", "2"]);
        lineage.ended("2");
        assert_eq!(
            ids(lineage.ready()),
            Vec::<String>::new(),
            "a merge waits for both"
        );
        lineage.ended("1");
        assert_eq!(
            lineage.ready(),
            [("3".to_owned(), ShardPosition::Beginning)]
        );
        assert_eq!(lineage.reading(), 1);
    }

    #[test]
    fn latest_takes_open_shards_and_later_their_children_from_the_beginning() {
        let mut lineage = Lineage::new(StreamStart::Latest, Vec::new(), 5);

        let first = lineage.list(&diamond());
        let ready = ids(lineage.ready());
        let mut later = diamond().to_vec();
        later.extend([shard("4", &["3"], true), shard("5", &["3"], true)]);
        let second = lineage.list(&later);

        assert_eq!(begun(&first), [("3", &ShardPosition::Time(5))]);
        assert_eq!(ready, ["3"]);
        assert_eq!(
            begun(&second),
            [
                ("4", &ShardPosition::Beginning),
                ("5", &ShardPosition::Beginning)
            ]
        );
        assert_eq!(ids(lineage.ready()), Vec::<String>::new());
        lineage.ended("3");
        assert_eq!(ids(lineage.ready()), ["4", "5"]);
    }

    #[test]
    fn a_restart_goes_on_from_what_is_stored_and_finds_what_came_meanwhile() {
        let stored = vec![
            ("1".to_owned(), ShardPosition::End),
            ("2".to_owned(), behind("77")),
        ];
        let mut lineage = Lineage::new(StreamStart::Latest, stored, 5);

        let change = lineage.list(&diamond());

        assert_eq!(
            begun(&change),
            [("3", &ShardPosition::Beginning)],
            "`0` ended before it all began"
        );
        assert_eq!(change.gone, []);
        assert_eq!(lineage.ready(), [("2".to_owned(), behind("77"))]);
        lineage.ended("2");
        assert_eq!(ids(lineage.ready()), ["3"]);
    }

    #[test]
    fn stored_shards_that_the_stream_has_no_more_are_named() {
        let stored = vec![
            ("0".to_owned(), ShardPosition::End),
            ("1".to_owned(), behind("12")),
        ];
        let mut lineage = Lineage::new(StreamStart::Latest, stored.clone(), 5);

        let change = lineage.list(&[shard("3", &["1", "2"], true)]);

        assert_eq!(change.gone, stored);
        assert_eq!(ids(lineage.ready()), ["3"]);
        assert_eq!(
            lineage.list(&[]),
            Change::default(),
            "only at the first listing"
        );
    }

    #[test]
    fn a_record_of_an_earlier_stream_of_that_name_is_known_by_its_number() {
        let listed = Listed {
            begins: "49680424".into(),
            ..shard("0", &[], true)
        };

        let may = [
            "49680424",
            "49680425",
            "149680424",
            "49680423",
            "9",
            "000049680423",
        ]
        .map(|number| listed.may_have(number));

        assert_eq!(may, [true, true, true, false, false, false]);
    }

    #[test]
    fn at_timestamp_starts_every_shard_at_its_time() {
        let mut lineage = Lineage::new(StreamStart::AtTimestamp(9), Vec::new(), 5);

        let change = lineage.list(&diamond());

        assert!(
            change
                .begun
                .iter()
                .all(|(_, from)| *from == ShardPosition::Time(9))
        );
        assert_eq!(ids(lineage.ready()), ["0"]);
    }

    proptest! {
        /// Shards split and merge at random; whatever ends next, no shard is ready before its parents have ended,
        /// and all are read in the end.
        #[test]
        fn every_shard_is_read_once_and_behind_its_parents(steps in proptest::collection::vec((any::<bool>(), any::<u16>()), 1..40)) {
            let mut listed = vec![shard("000", &[], true), shard("001", &[], true)];
            let mut lineage = Lineage::new(StreamStart::Earliest, Vec::new(), 0);
            lineage.list(&listed);
            let mut reading: Vec<String> = Vec::new();
            let mut ended: Vec<String> = Vec::new();
            for (reshard, pick) in steps {
                for id in ids(lineage.ready()) {
                    let parents = &listed.iter().find(|shard| shard.id == id).expect("listed").parents;
                    prop_assert!(parents.iter().all(|parent| ended.contains(parent)));
                    prop_assert!(!reading.contains(&id) && !ended.contains(&id));
                    reading.push(id);
                }
                if reshard {
                    let open: Vec<usize> = (0..listed.len()).filter(|&index| listed[index].open).collect();
                    let one = open[usize::from(pick) % open.len()];
                    listed[one].open = false;
                    let parent = listed[one].id.clone();
                    let merged = open.iter().copied().find(|&other| other != one && pick % 3 == 0);
                    let next = listed.len();
                    match merged {
                        Some(other) => {
                            listed[other].open = false;
                            let other = listed[other].id.clone();
                            listed.push(shard(&format!("{next:03}"), &[&parent, &other], true));
                        }
                        None => {
                            listed.push(shard(&format!("{next:03}"), &[&parent], true));
                            listed.push(shard(&format!("{:03}", next + 1), &[&parent], true));
                        }
                    }
                    lineage.list(&listed);
                } else if !reading.is_empty() {
                    let id = reading.remove(usize::from(pick) % reading.len());
                    lineage.ended(&id);
                    ended.push(id);
                }
            }
            loop {
                reading.extend(ids(lineage.ready()));
                let Some(id) = reading.pop() else { break };
                lineage.ended(&id);
                ended.push(id);
            }
            ended.sort();
            let all: Vec<String> = listed.iter().map(|shard| shard.id.clone()).collect();
            prop_assert_eq!(ended, all);
        }
    }
}
