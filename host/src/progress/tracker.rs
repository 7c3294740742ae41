//! The events of one partition, in order, and how many of its sinks have settled each: pure.

use std::collections::VecDeque;

use crate::event::Position;

/// The events of one partition that are read and not yet all settled.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The ordinal of the first entry.
    base: u64,
    entries: VecDeque<Entry>,
    /// Entries that some sink has not settled.
    open: usize,
    settled: Option<Position>,
    /// Events among the entries that are gone, and the newest time of theirs.
    settled_events: u64,
    /// Events that were ever among them.
    events: u64,
    newest_settled_ms: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    /// When the event entered its ingress; none where the position is that of no event.
    timestamp_ms: Option<u64>,
    /// Sinks that have not settled the event.
    open: u16,
}

/// A ticket was settled more often than it was issued: a bug in the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {ordinal} was settled twice")]
pub struct SettledTwice {
    /// The event's number in its partition.
    pub ordinal: u64,
}

impl Tracker {
    /// Takes in the next event of the partition, which `sinks` sinks will settle, and gives its ordinal.
    pub fn begin(&mut self, position: Position, sinks: u16) -> u64 {
        self.begin_at(position, None, sinks)
    }

    /// The same, of an event that entered its ingress at this time, in milliseconds since the Unix epoch.
    pub fn begin_at(&mut self, position: Position, timestamp_ms: Option<u64>, sinks: u16) -> u64 {
        let ordinal = self.base + self.entries.len() as u64;
        self.entries.push_back(Entry {
            position,
            timestamp_ms,
            open: sinks,
        });
        self.events += u64::from(timestamp_ms.is_some());
        if sinks == 0 {
            self.advance();
        } else {
            self.open += 1;
        }
        ordinal
    }

    /// One sink has settled the event.
    ///
    /// # Errors
    /// When it was settled before by as many sinks as it has.
    pub fn settle(&mut self, ordinal: u64) -> Result<(), SettledTwice> {
        let entry = ordinal
            .checked_sub(self.base)
            .and_then(|index| self.entries.get_mut(usize::try_from(index).ok()?))
            .filter(|entry| entry.open > 0)
            .ok_or(SettledTwice { ordinal })?;
        entry.open -= 1;
        if entry.open == 0 {
            self.open -= 1;
        }
        if ordinal == self.base {
            self.advance();
        }
        Ok(())
    }

    /// The position up to which every event is settled; none before the first.
    pub fn settled(&self) -> Option<&Position> {
        self.settled.as_ref()
    }

    /// Events that some sink has not settled.
    pub fn unsettled(&self) -> usize {
        self.open
    }

    /// Events from the first that is not settled on, the settled ones among them.
    pub fn window(&self) -> usize {
        self.entries.len()
    }

    /// Events that are settled, as everything before them is.
    pub fn settled_events(&self) -> u64 {
        self.settled_events
    }

    /// Events that were taken in.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// When the newest of those that are settled entered its ingress, in milliseconds since the Unix epoch.
    pub fn newest_settled_ms(&self) -> Option<u64> {
        self.newest_settled_ms
    }

    /// When the first event that is not settled entered its ingress, in milliseconds since the Unix epoch.
    pub fn oldest_unsettled_ms(&self) -> Option<u64> {
        self.entries.front()?.timestamp_ms
    }

    fn advance(&mut self) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.open == 0) {
            self.base += 1;
            self.settled_events += u64::from(entry.timestamp_ms.is_some());
            self.newest_settled_ms = self.newest_settled_ms.max(entry.timestamp_ms);
            self.settled = Some(entry.position);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_waits_for_the_slowest_sink() {
        let mut tracker = Tracker::default();
        let first = tracker.begin(Position::Count(1), 2);
        let second = tracker.begin(Position::Count(2), 1);

        let after_second = tracker.settle(second).map(|()| tracker.settled().cloned());
        let after_one = tracker.settle(first).map(|()| tracker.settled().cloned());
        let after_both = tracker.settle(first).map(|()| tracker.settled().cloned());

        assert_eq!(after_second, Ok(None));
        assert_eq!(after_one, Ok(None));
        assert_eq!(after_both, Ok(Some(Position::Count(2))));
        assert_eq!(
            tracker.settle(second),
            Err(SettledTwice { ordinal: second })
        );
    }

    #[test]
    fn an_event_that_waits_for_one_before_it_is_settled_once_all_the_same() {
        let mut tracker = Tracker::default();
        tracker.begin(Position::Count(1), 1);
        let second = tracker.begin(Position::Count(2), 1);

        let once = tracker.settle(second);
        let twice = tracker.settle(second);

        assert_eq!(once, Ok(()));
        assert_eq!(twice, Err(SettledTwice { ordinal: second }));
        assert_eq!((tracker.unsettled(), tracker.window()), (1, 2));
    }

    proptest! {
        /// In whatever order events are settled, the prefix ends before the first that is not.
        #[test]
        fn the_prefix_never_passes_an_unsettled_event(order in Just((0_u64..60).collect::<Vec<_>>()).prop_shuffle()) {
            let mut tracker = Tracker::default();
            for n in 0..60 {
                tracker.begin(Position::Count(n), 1);
            }
            let mut open: std::collections::BTreeSet<u64> = order.iter().copied().collect();

            for ordinal in order {
                tracker.settle(ordinal).expect("each is settled once");
                open.remove(&ordinal);
                let first_open = open.first().copied().unwrap_or(60);
                let expected = first_open.checked_sub(1).map(Position::Count);
                prop_assert_eq!(tracker.settled(), expected.as_ref());
            }
        }
    }
}
