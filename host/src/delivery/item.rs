//! What the engine moves around: events with their history, calls, and ends.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{breaker::Mark, gate::Load, tap::CallTape, verdict::Seen};
use crate::{
    batch::Pending,
    event::{Arrival, Record},
    http::Request,
    plugin::{Judge, ShapedRequest},
    trace::CallSpan,
};

/// An event between its batch and its end.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) arrival: Arrival,
    /// Its number in the sink.
    pub(super) seq: u64,
    /// Attempts made, and those that count against `retry.max-attempts`.
    pub(super) attempts: u32,
    pub(super) counted: u32,
    /// Whether an attempt failed while the endpoint answered others: `timeout.total` holds.
    pub(super) timed: bool,
    pub(super) first: Option<First>,
    /// When the plugin was first seen to fail on a batch, and on a call, that held it.
    pub(super) shape_failed: Option<Mark>,
    pub(super) handle_failed: Option<Mark>,
}

/// When the first attempt began, and what outages have taken since.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
    /// The place of the last attempt's endpoint, and the time that its outages, and pauses, had taken when the event came to it.
    pub(super) way: usize,
    pub(super) outage: Duration,
    /// What outages of the endpoints before it have taken.
    pub(super) excused: Duration,
}

impl First {
    /// An attempt begins at the endpoint `way`; `spent` is the time that outages of an endpoint have taken by now.
    pub(super) fn goes_to(&mut self, way: usize, spent: impl Fn(usize) -> Duration) {
        if way != self.way {
            self.excused += spent(self.way).saturating_sub(self.outage);
            (self.way, self.outage) = (way, spent(way));
        }
    }

    /// The time since then, outages aside.
    pub(super) fn elapsed(&self, now: Instant, spent: impl Fn(usize) -> Duration) -> Duration {
        let outages = self.excused + spent(self.way).saturating_sub(self.outage);
        (now - self.at).saturating_sub(outages)
    }
}

impl Item {
    pub(super) fn key(&self) -> Option<&str> {
        self.arrival.event.key.as_deref()
    }

    /// The place of the endpoint that it was last sent to.
    pub(super) fn way(&self) -> Option<usize> {
        self.first.map(|first| first.way)
    }
}

impl From<Pending> for Item {
    fn from(pending: Pending) -> Self {
        Self {
            arrival: pending.arrival,
            seq: pending.seq,
            attempts: 0,
            counted: 0,
            timed: false,
            first: None,
            shape_failed: None,
            handle_failed: None,
        }
    }
}

/// One HTTP request with the events that it delivers, through all its attempts.
#[derive(Debug)]
pub(super) struct Call {
    /// Never empty.
    pub(super) items: Vec<Item>,
    /// What the plugin returned, for its `handle`.
    pub(super) shaped: Arc<ShapedRequest>,
    /// The version that returned it, which judges what comes of it.
    pub(super) shaped_by: Arc<dyn Judge>,
    pub(super) request: Request,
    /// The place of its endpoint.
    pub(super) way: usize,
    /// When the attempt before ended, or the first one began.
    pub(super) before: Option<Instant>,
    /// What the request holds beside its events, in bytes.
    pub(super) memory: usize,
    /// Its span, which ends with it.
    pub(super) trace: CallSpan,
    /// What is recorded of it, if somebody records.
    pub(super) tape: Option<CallTape>,
}

impl Call {
    /// The first event's number: calls go in this order.
    pub(super) fn first_seq(&self) -> u64 {
        self.items
            .iter()
            .map(|item| item.seq)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// What it weighs at the endpoint's gate.
    pub(super) fn load(&self) -> Load {
        Load {
            events: self.items.len(),
            bytes: self.request.body.as_ref().map_or(0, Bytes::len),
        }
    }

    /// Attempts made for the event that had most.
    pub(super) fn attempts(&self) -> u32 {
        self.items
            .iter()
            .map(|item| item.attempts)
            .max()
            .unwrap_or(0)
    }
}

/// What is known of the last attempt, for a dead letter.
#[derive(Debug, Clone)]
pub(super) struct LastAttempt {
    pub(super) seen: Seen,
    /// The first bytes of the response's body.
    pub(super) excerpt: Bytes,
}

/// Events that have their end, and what must be written before they are settled.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) delivered: Vec<Item>,
    pub(super) dropped: Vec<Item>,
    /// With the dead letter of each, at the same index.
    pub(super) dead: Vec<Item>,
    pub(super) letters: Vec<Record>,
    pub(super) results: Vec<Record>,
}

impl Ended {
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> + Clone {
        self.delivered.iter().chain(&self.dropped).chain(&self.dead)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items().next().is_none() && self.results.is_empty()
    }
}
