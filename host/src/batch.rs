//! From a stream of events to batches: pure, driven by the caller's clock.

mod fifo;
mod lanes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use self::{fifo::Fifo, lanes::Lanes};
use crate::event::Arrival;

/// When a batch is full, and what may share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// Events in one batch, at least 1 (Flink: maxBatchSize).
    pub max_records: usize,
    /// Sum of the data sizes in bytes, at least 1 (Flink: maxBatchSizeInBytes).
    pub max_bytes: usize,
    /// Age of the oldest event that forces a batch (Flink: maxTimeInBufferMS).
    pub max_wait: Duration,
    /// What may share a batch.
    pub by: BatchBy,
}

/// What may share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchBy {
    /// Any events.
    Any,
    /// Events of one key only; events without a key share batches of their own.
    Key,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            max_records: 500,
            max_bytes: 5 * 1024 * 1024,
            max_wait: Duration::from_secs(5),
            by: BatchBy::Any,
        }
    }
}

/// An event that waits for its batch.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The event and its ticket.
    pub arrival: Arrival,
    /// The event's number in its sink, in the order of arrival.
    pub seq: u64,
    /// When it came; `seq` and `arrived` grow together.
    pub arrived: Instant,
}

impl Pending {
    fn size(&self) -> usize {
        self.arrival.event.data.len()
    }
}

/// Cuts a stream of events into batches.
///
/// # Invariants
/// - Every event that is pushed is popped exactly once, and events of one lane (all events, or those
///   of one key) in the order of their `seq`.
/// - No batch has more than `max_records` events or, unless it holds a single event, more than
///   `max_bytes` of data.
/// - Under `exclusive` keys, a key is in at most one batch that is not yet released.
#[derive(Debug)]
pub struct Batcher {
    settings: BatchSettings,
    queue: Queue,
}

#[derive(Debug)]
enum Queue {
    Fifo(Fifo),
    Lanes(Lanes),
}

impl Batcher {
    /// An empty batcher. With `exclusive` keys, an event waits while another of its key is in a batch
    /// that was popped and not released.
    pub fn new(settings: BatchSettings, exclusive: KeyUse) -> Self {
        let queue = match (settings.by, exclusive) {
            (BatchBy::Any, KeyUse::Shared) => Queue::Fifo(Fifo::default()),
            (by, exclusive) => Queue::Lanes(Lanes::new(by, exclusive)),
        };
        Self { settings, queue }
    }

    /// Takes an event in.
    pub fn push(&mut self, pending: Pending) {
        match &mut self.queue {
            Queue::Fifo(fifo) => fifo.push(pending),
            Queue::Lanes(lanes) => lanes.push(pending, &self.settings),
        }
    }

    /// The next batch that is due: full by count or bytes, old enough, or any at all with [`Due::Now`].
    pub fn pop(&mut self, now: Instant, due: Due) -> Option<Vec<Pending>> {
        match &mut self.queue {
            Queue::Fifo(fifo) => fifo.pop(now, due, &self.settings),
            Queue::Lanes(lanes) => lanes.pop(now, due, &self.settings),
        }
    }

    /// When the age of an event that may be popped forces a batch.
    pub fn deadline(&self) -> Option<Instant> {
        let oldest = match &self.queue {
            Queue::Fifo(fifo) => fifo.oldest(),
            Queue::Lanes(lanes) => lanes.oldest(),
        };
        oldest.map(|arrived| arrived + self.settings.max_wait)
    }

    /// Says that one popped event of `key` has its end.
    pub fn release(&mut self, key: Option<&str>) {
        if let (Queue::Lanes(lanes), Some(key)) = (&mut self.queue, key) {
            lanes.release(key, &self.settings);
        }
    }

    /// All events that wait, in no order.
    pub fn into_pending(self) -> Vec<Pending> {
        match self.queue {
            Queue::Fifo(fifo) => fifo.into_pending(),
            Queue::Lanes(lanes) => lanes.into_pending(),
        }
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        match &self.queue {
            Queue::Fifo(fifo) => fifo.is_empty(),
            Queue::Lanes(lanes) => lanes.is_empty(),
        }
    }
}

/// Whether batches may share keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// A key may be in any number of batches at a time.
    Shared,
    /// A key is in one batch at a time. Events without a key do not wait for each other.
    Exclusive,
}

/// Which batches may be popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Those that are full or old enough.
    WhenFull,
    /// Any: the source has ended, or the buffer is spent.
    Now,
}
