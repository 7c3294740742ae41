//! What waits for its time: calls that are tried again, and events that are shaped again.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::delivery::item::{Call, Item};

/// Comes back when its time has come.
#[derive(Debug)]
pub(super) enum Delayed {
    Call(Box<Call>),
    Shape(Vec<Item>),
}

impl Delayed {
    /// Whether its last attempt went to this endpoint.
    fn was_sent_to(&self, way: usize) -> bool {
        match self {
            Self::Call(call) => call.way == way,
            Self::Shape(items) => items.iter().any(|item| item.way() == Some(way)),
        }
    }

    /// What its request holds beside its events, in bytes.
    fn memory(&self) -> usize {
        match self {
            Self::Call(call) => call.memory,
            Self::Shape(_) => 0,
        }
    }

    fn into_items(self) -> Vec<Item> {
        match self {
            Self::Call(call) => call.items,
            Self::Shape(items) => items,
        }
    }
}

/// All that waits, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Delays {
    entries: BTreeMap<(Instant, u64), Delayed>,
    next: u64,
    memory: usize,
}

impl Delays {
    pub(super) fn push(&mut self, until: Instant, delayed: Delayed) {
        self.next += 1;
        self.memory += delayed.memory();
        self.entries.insert((until, self.next), delayed);
    }

    /// Takes the first, if its time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Delayed> {
        let entry = self.entries.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let delayed = entry.remove();
        self.memory -= delayed.memory();
        Some(delayed)
    }

    /// Takes what waits after an attempt at this endpoint, whatever its time.
    pub(super) fn take_of(&mut self, way: usize) -> Vec<Delayed> {
        let of_way = self
            .entries
            .extract_if(.., |_, delayed| delayed.was_sent_to(way));
        let taken: Vec<Delayed> = of_way.map(|(_, delayed)| delayed).collect();
        self.memory -= taken.iter().map(Delayed::memory).sum::<usize>();
        taken
    }

    /// When the first comes back.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// What the requests of the calls hold beside their events, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn into_items(self) -> impl Iterator<Item = Item> {
        self.entries.into_values().flat_map(Delayed::into_items)
    }
}
