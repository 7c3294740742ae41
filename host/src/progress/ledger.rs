//! The trackers of one ingress, shared between its reader and the sinks.

#[cfg(not(feature = "loom"))]
use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "loom")]
use loom::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tracing::error;

use super::Tracker;
use crate::event::{Position, Ticket};

/// The trackers of one ingress, by partition. Locked for moments, never over an `.await`.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    partitions: Vec<Partition>,
    /// Somebody waits for a partition that is held. Under the same lock as what it was told: a settled event is
    /// seen by whoever looks, or wakes them.
    watched: bool,
}

/// How many events a partition may have between the first that is not settled and the last that was read, settled
/// ones among them: it bounds the memory that one stuck event costs, and what a restart delivers twice.
const WINDOW: usize = 100_000;

#[derive(Debug, Default)]
struct Partition {
    name: String,
    tracker: Tracker,
    /// The last position that was handed out for storing.
    stored: Option<Position>,
}

/// A partition whose settled prefix has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// Its index.
    pub partition: u32,
    /// Its name.
    pub name: String,
    /// Every event up to here is settled.
    pub position: Position,
}

/// How far a partition is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Its name.
    pub name: String,
    /// Every event up to here is settled; none if nothing is.
    pub settled: Option<Position>,
    /// The position that was stored last.
    pub stored: Option<Position>,
    /// Events that some sink has not settled.
    pub unsettled: usize,
}

/// How far an ingress is settled, over all of its partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermark {
    /// Events that are settled, as everything before them in their partition is.
    pub settled: u64,
    /// Events that some sink has not settled.
    pub unsettled: u64,
    /// Events that were begun.
    pub taken: u64,
    /// When the oldest event that is not settled entered the ingress, in milliseconds since the Unix epoch.
    pub oldest_unsettled_ms: Option<u64>,
    /// The same of the newest one that is settled.
    pub newest_settled_ms: Option<u64>,
}

impl Watermark {
    /// Every event that was read and is older is settled, in milliseconds since the Unix epoch: a partition of which
    /// nothing is open does not hold it back.
    pub fn ms(&self) -> Option<u64> {
        self.oldest_unsettled_ms.or(self.newest_settled_ms)
    }
}

impl Ledger {
    /// Takes in the names of the partitions, by index: those that it does not know yet.
    pub fn learn(&self, names: &[String]) {
        let partitions = &mut self.lock().partitions;
        let known = partitions.len();
        partitions.extend(names.iter().skip(known).map(|name| Partition {
            name: name.clone(),
            ..Partition::default()
        }));
    }

    /// Takes in events that were read, in order, each for `sinks` sinks; gives the ordinals. With no sinks, the
    /// positions are settled as soon as all that was read before them is.
    pub fn begin(&self, events: impl Iterator<Item = (u32, Position)>, sinks: u16) -> Vec<u64> {
        let events = events.map(|(partition, position)| (partition, position, None, sinks));
        self.begin_each(events)
    }

    /// As [`Ledger::begin`], each event for its own number of sinks, and with the time when it entered the ingress, in
    /// milliseconds since the Unix epoch.
    pub fn begin_each(
        &self,
        events: impl Iterator<Item = (u32, Position, Option<u64>, u16)>,
    ) -> Vec<u64> {
        let partitions = &mut self.lock().partitions;
        events
            .map(|(partition, position, timestamp_ms, sinks)| {
                let index = partition as usize;
                if partitions.len() <= index {
                    partitions.resize_with(index + 1, Partition::default);
                }
                partitions[index]
                    .tracker
                    .begin_at(position, timestamp_ms, sinks)
            })
            .collect()
    }

    /// One sink has settled these events.
    pub fn settle(&self, tickets: impl Iterator<Item = Ticket>) {
        let mut state = self.lock();
        for ticket in tickets {
            let settled = state
                .partitions
                .get_mut(ticket.partition as usize)
                .map(|partition| partition.tracker.settle(ticket.ordinal));
            if let Some(Err(error)) = settled {
                error!(%error, "an event has two ends");
                debug_assert!(false, "{error}");
            }
        }
        let watched = state.watched;
        drop(state);
        if watched {
            self.settled.notify_one();
        }
    }

    /// The partitions of which no more is to be read for now, by index: those with `share` events unsettled, so that
    /// a stuck one leaves room for the others, and those whose window is full.
    pub fn held(&self, share: usize) -> Vec<bool> {
        let is_held = |partition: &Partition| {
            partition.tracker.unsettled() >= share || partition.tracker.window() >= WINDOW
        };
        let mut state = self.lock();
        let held: Vec<bool> = state.partitions.iter().map(is_held).collect();
        state.watched = held.contains(&true);
        held
    }

    /// Waits until events are settled, after [`Ledger::held`] has named a partition.
    pub async fn settling(&self) {
        self.settled.notified().await;
    }

    /// The partitions whose settled prefix has grown since the last call of this method that
    /// was followed by [`Ledger::stored`].
    pub fn advanced(&self) -> Vec<Advanced> {
        (0..)
            .zip(self.lock().partitions.iter())
            .filter_map(|(partition, of)| {
                let settled = of.tracker.settled()?;
                (of.stored.as_ref() != Some(settled)).then(|| Advanced {
                    partition,
                    name: of.name.clone(),
                    position: settled.clone(),
                })
            })
            .collect()
    }

    /// Says that these positions are durable.
    pub fn stored(&self, advanced: &[Advanced]) {
        let partitions = &mut self.lock().partitions;
        for advanced in advanced {
            if let Some(partition) = partitions.get_mut(advanced.partition as usize) {
                partition.stored = Some(advanced.position.clone());
            }
        }
    }

    /// Events read and not settled by all of their sinks.
    pub fn unsettled(&self) -> usize {
        self.lock()
            .partitions
            .iter()
            .map(|partition| partition.tracker.unsettled())
            .sum()
    }

    /// How far each partition is settled.
    pub fn partitions(&self) -> Vec<PartitionView> {
        let view = |partition: &Partition| PartitionView {
            name: partition.name.clone(),
            settled: partition.tracker.settled().cloned(),
            stored: partition.stored.clone(),
            unsettled: partition.tracker.unsettled(),
        };
        self.lock().partitions.iter().map(view).collect()
    }

    /// How far all of it is settled.
    pub fn watermark(&self) -> Watermark {
        let mut all = Watermark::default();
        for Partition { tracker, .. } in &self.lock().partitions {
            all.settled += tracker.settled_events();
            all.unsettled += tracker.unsettled() as u64;
            all.taken += tracker.events();
            let oldest = [all.oldest_unsettled_ms, tracker.oldest_unsettled_ms()];
            all.oldest_unsettled_ms = oldest.into_iter().flatten().min();
            all.newest_settled_ms = all.newest_settled_ms.max(tracker.newest_settled_ms());
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave a tracker half changed in a way that
        // advances it: going on is safe.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests;

#[cfg(all(test, feature = "loom"))]
mod interleavings {
    use std::sync::Arc;

    use loom::{future::block_on, thread};

    use super::*;

    fn ticket(ordinal: u64) -> Ticket {
        Ticket {
            ingress: 0,
            partition: 0,
            ordinal,
        }
    }

    #[test]
    fn whoever_waits_for_a_held_partition_hears_that_it_is_free() {
        loom::model(|| {
            let ledger = Arc::new(Ledger::default());
            let positions = [(0, Position::Count(1)), (0, Position::Count(2))];
            ledger.begin(positions.into_iter(), 1);

            let sink = {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || {
                    ledger.settle([ticket(0)].into_iter());
                    ledger.settle([ticket(1)].into_iter());
                })
            };
            while ledger.held(1).contains(&true) {
                block_on(ledger.settling());
            }

            assert_eq!(ledger.unsettled(), 0);
            sink.join().expect("no panic");
        });
    }

    #[test]
    fn an_event_of_two_sinks_is_settled_once_both_have_settled_it() {
        loom::model(|| {
            let ledger = Arc::new(Ledger::default());
            ledger.begin([(0, Position::Count(1))].into_iter(), 2);

            let sinks = [(); 2].map(|()| {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || ledger.settle([ticket(0)].into_iter()))
            });
            // Whoever stores meanwhile sees all of it or nothing.
            let seen = ledger.advanced();
            ledger.stored(&seen);
            sinks.map(|sink| sink.join().expect("no panic"));

            let left = ledger.advanced();
            assert_eq!(seen.len() + left.len(), 1, "it is handed out once");
            assert_eq!(ledger.unsettled(), 0);
        });
    }
}
