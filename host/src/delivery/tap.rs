//! A look at what passes through a sink, for whoever records it: batches, what the plugin made of them, and what came of
//! the calls.
//!
//! # Invariants
//! - While nobody records, a batch costs one look at an empty place, and a call nothing.
//! - One recording at a time, bounded in batches and in bytes.
//! - When a recording is dropped, nothing of it stays in the sink.

mod reel;

pub use reel::{Judged, LeftOut, Made, Reeled, Taken};

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use self::reel::Reel;
use crate::plugin::{Events, Identity, PluginError, Shaped};

/// Somebody records already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sink is being recorded already")]
pub struct Busy;

/// Why a recording has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEnd {
    /// As many batches as were wanted have passed, and all of their calls have their end.
    Complete,
    /// There was no room for a further batch.
    Full,
    /// The sink has ended.
    SinkEnded,
}

/// Where one sink is recorded; clones are of the same one.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Place>);

/// The end of a [`Tap`] that goes into the sink. By default nobody records it.
#[derive(Debug, Default)]
pub struct Tapped(Tap);

#[derive(Debug, Default)]
struct Place {
    running: ArcSwapOption<Running>,
    has_ended: AtomicBool,
}

#[derive(Debug)]
struct Running {
    reel: Mutex<Reel>,
    /// One waits for it: whoever records.
    changed: Notify,
}

impl Running {
    /// Changes the reel, and has whoever records look at it.
    fn change<T>(&self, change: impl FnOnce(&mut Reel) -> T) -> T {
        let changed = change(&mut self.reel());
        self.changed.notify_one();
        changed
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// A sink's tap, and the end that goes into the sink.
    pub fn new() -> (Self, Tapped) {
        let tap = Self::default();
        (tap.clone(), Tapped(tap))
    }

    /// Records so many batches from now on, in at most so many bytes.
    ///
    /// # Errors
    /// When somebody does already.
    pub fn record(&self, batches: usize, bytes: usize) -> Result<Recording, Busy> {
        let running = Arc::new(Running {
            reel: Mutex::new(Reel::new(batches, bytes)),
            changed: Notify::new(),
        });
        let place = &self.0.running;
        let before = place.compare_and_swap(&None::<Arc<Running>>, Some(Arc::clone(&running)));
        match &*before {
            Some(_) => Err(Busy),
            None => Ok(Recording {
                tap: self.clone(),
                running,
            }),
        }
    }
}

impl Tapped {
    /// A batch is about to be shaped by this generation; none if it is not recorded.
    pub(super) fn batch(
        &self,
        events: &Events,
        generation: u64,
        identity: impl FnOnce() -> Arc<Identity>,
    ) -> Option<BatchTape> {
        let running = self.0.0.running.load();
        let running = running.as_ref()?;
        let number = running.change(|reel| reel.begin(events, generation, identity))?;
        Some(BatchTape(Arc::new(Part {
            running: Arc::clone(running),
            number,
        })))
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.0.0.has_ended.store(true, Ordering::Release);
        if let Some(running) = &*self.0.0.running.load() {
            running.changed.notify_one();
        }
    }
}

/// A recording; it ends when dropped.
#[derive(Debug)]
pub struct Recording {
    tap: Tap,
    running: Arc<Running>,
}

impl Recording {
    /// Waits until there is nothing more to record.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn done(&self) -> RecordingEnd {
        loop {
            // First: what a sink has recorded to its end is complete.
            if let Some(end) = self.running.reel().end() {
                return end;
            }
            if self.tap.0.has_ended.load(Ordering::Acquire) {
                return RecordingEnd::SinkEnded;
            }
            self.running.changed.notified().await;
        }
    }

    /// Ends it, and gives what there is: also batches whose calls go on.
    pub fn finish(self) -> Reeled {
        self.running.reel().take()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.tap.0.running.store(None);
        // Calls that go on hold on to the reel, and not to what is on it.
        drop(self.running.reel().take());
    }
}

/// What is recorded of a batch. When the last clone is gone, so is the last of its calls.
#[derive(Debug, Clone)]
pub(super) struct BatchTape(Arc<Part>);

#[derive(Debug)]
struct Part {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.running.change(|reel| reel.over(self.number));
    }
}

impl BatchTape {
    /// What the plugin answered.
    pub(super) fn shaped(&self, answer: Result<&Shaped, &PluginError>) {
        let Part { running, number } = &*self.0;
        running.change(|reel| reel.shaped(*number, answer));
    }

    /// The answer breaks the contract.
    pub(super) fn unusable(&self) {
        let Part { running, number } = &*self.0;
        running.change(|reel| reel.not_shaped(*number));
    }

    /// The call of the request in this place of the answer.
    pub(super) fn call(&self, request: usize) -> CallTape {
        CallTape {
            batch: self.clone(),
            request,
        }
    }
}

/// What is recorded of a call.
#[derive(Debug)]
pub(super) struct CallTape {
    batch: BatchTape,
    request: usize,
}

impl CallTape {
    /// What came of an attempt; none if the plugin failed on it.
    pub(super) fn judged(&self, judged: Option<Judged>) {
        let Part { running, number } = &*self.batch.0;
        running.change(|reel| reel.judged(*number, self.request, judged));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn events(bytes: usize) -> Events {
        let event = Event {
            id: "t/in:1".into(),
            key: None,
            timestamp_ms: 0,
            attributes: Vec::new(),
            data: vec![b'x'; bytes].into(),
        };
        [Arc::new(event)].into()
    }

    #[tokio::test]
    async fn one_records_at_a_time_and_leaves_nothing_behind() {
        let (tap, tapped) = Tap::new();
        let first = tap.record(1, 1 << 20).expect("nobody else");
        let second = tap.record(1, 1 << 20).map(drop);
        let tape = tapped.batch(&events(1), 1, Arc::default);
        let beyond = tapped.batch(&events(1), 1, Arc::default);
        let held = events(7);

        drop(first);
        let third = tap.record(1, 1 << 20).expect("nobody else any more");
        let other = tapped.batch(&held, 1, Arc::default);
        drop(third);

        assert_eq!(second, Err(Busy));
        assert!(tape.is_some() && beyond.is_none() && other.is_some());
        assert_eq!(Arc::strong_count(&held), 1, "though the batch goes on");
        assert!(tapped.batch(&held, 1, Arc::default).is_none());
    }

    #[tokio::test]
    async fn it_is_complete_when_the_last_call_has_its_end_and_over_when_the_sink_is() {
        let (tap, tapped) = Tap::new();
        let recording = tap.record(1, 1 << 20).expect("nobody else");
        let tape = tapped.batch(&events(1), 3, Arc::default).expect("recorded");
        tape.shaped(Ok(&Shaped::default()));
        let call = tape.call(0);
        drop(tape);
        let before = recording.running.reel().end();

        drop(call);
        let complete = recording.done().await;
        let reeled = recording.finish();
        let recording = tap.record(1, 1 << 20).expect("nobody else");
        drop(tapped);
        let gone = recording.done().await;

        assert_eq!((before, complete), (None, RecordingEnd::Complete));
        assert_eq!(reeled.batches.len(), 1);
        assert!(reeled.batches[0].is_over);
        assert_eq!(gone, RecordingEnd::SinkEnded);
    }
}
