//! What the endpoint has seen and accepted.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

/// What came and what was accepted; `GET /stats` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// Requests that were read to their end.
    pub calls: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Connections that were reset in place of an answer.
    pub resets: u64,
    /// Records accepted, each time counted.
    pub accepted: u64,
    /// Different ids among them.
    pub unique: u64,
    /// Records accepted again.
    pub duplicates: u64,
}

/// Counts by id. It holds 12 bytes for each id: enough for runs of millions.
#[derive(Debug, Default)]
pub(super) struct Counter {
    counts: Counts,
    ids: HashMap<u64, u32>,
}

impl Counter {
    pub(super) fn answered(&mut self, status: u16) {
        self.counts.calls += 1;
        *self.counts.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn reset(&mut self) {
        self.counts.calls += 1;
        self.counts.resets += 1;
    }

    pub(super) fn accept(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.counts.accepted += 1;
            let times = self.ids.entry(id).or_default();
            *times += 1;
            if *times == 1 {
                self.counts.unique += 1;
            } else {
                self.counts.duplicates += 1;
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.clone()
    }
}
