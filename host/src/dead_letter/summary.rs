//! Dead letters counted by who gave up, why, and on which status.

use std::collections::BTreeMap;

use super::Letter;

/// What letters are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The sink; none where no router took the event.
    pub sink: Option<String>,
    /// The kind of cause.
    pub cause: String,
    /// The last response's status.
    pub status: Option<u16>,
}

/// The letters that have a sink, a cause and a status in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many there are.
    pub count: u64,
    /// When the first was given up on, in milliseconds since the Unix epoch.
    pub first_ms: u64,
    /// When the last was given up on.
    pub last_ms: u64,
    /// The id of the event that was read first.
    pub example: Box<str>,
}

/// Counts of letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<GroupKey, Group>);

impl Groups {
    /// Counts a letter.
    pub fn add(&mut self, letter: &Letter) {
        let key = GroupKey {
            sink: letter.sink.clone(),
            cause: letter.cause.clone(),
            status: letter.status,
        };
        let at = letter.given_up_ms;
        let group = self.0.entry(key).or_insert_with(|| Group {
            count: 0,
            first_ms: at,
            last_ms: at,
            example: letter.event.id.clone(),
        });
        group.count += 1;
        group.first_ms = group.first_ms.min(at);
        group.last_ms = group.last_ms.max(at);
    }

    /// The groups, by sink, cause and status.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupKey, &Group)> {
        self.0.iter()
    }

    /// All letters.
    pub fn total(&self) -> u64 {
        self.0.values().map(|group| group.count).sum()
    }
}
