//! One queue for all events: the batcher where keys do not matter.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{BatchSettings, Due, Pending};

/// Events in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    queue: VecDeque<Pending>,
    bytes: usize,
}

impl Fifo {
    pub(super) fn push(&mut self, pending: Pending) {
        self.bytes += pending.size();
        self.queue.push_back(pending);
    }

    pub(super) fn pop(
        &mut self,
        now: Instant,
        due: Due,
        settings: &BatchSettings,
    ) -> Option<Vec<Pending>> {
        let aged = now >= self.oldest()? + settings.max_wait;
        let full = self.queue.len() >= settings.max_records || self.bytes >= settings.max_bytes;
        if !(due == Due::Now || aged || full) {
            return None;
        }
        let taken = fitting(self.queue.iter(), settings);
        let batch: Vec<_> = self.queue.drain(..taken).collect();
        self.bytes -= batch.iter().map(Pending::size).sum::<usize>();
        Some(batch)
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.queue.front().map(|pending| pending.arrived)
    }

    pub(super) fn into_pending(self) -> Vec<Pending> {
        self.queue.into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// How many of `queue` make one batch: at least one.
pub(super) fn fitting<'a>(
    queue: impl Iterator<Item = &'a Pending>,
    settings: &BatchSettings,
) -> usize {
    let mut bytes = 0_usize;
    queue
        .take(settings.max_records)
        .enumerate()
        .take_while(|(index, pending)| {
            bytes = bytes.saturating_add(pending.size());
            *index == 0 || bytes <= settings.max_bytes
        })
        .count()
}
