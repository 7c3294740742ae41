//! Events that get no further attempt: what counts against them, and where they go.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::{
    delivery::{
        item::{Ended, Item, LastAttempt},
        letters::{self, Cause},
        outage::Against,
        retry,
        settings::OnGivenUp,
    },
    http::Transport,
    plugin::Plugin,
};

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// An attempt of these events has failed.
    pub(super) fn count_against(&self, items: &mut [Item], against: Against) {
        if against != Against::Attempts {
            self.sink.stats.held.add(items.len());
        }
        for item in items {
            item.counted = item
                .counted
                .saturating_add(u32::from(against == Against::Attempts));
            item.timed |= against != Against::Nothing;
        }
    }

    /// Why the event gets no further attempt. Time that outages and pauses took does not count; where both were at once, it
    /// counts twice: an event is then tried for longer, and none for less.
    fn given_up(&self, item: &Item, now: Instant) -> Option<retry::GivenUp> {
        let paused = self.control.paused(now);
        let spent = |way: usize| self.passages[way].gate.outage_spent(now) + paused;
        let first = item.first;
        let elapsed = first.map_or(Duration::ZERO, |first| first.elapsed(now, spent));
        let settings = &self.sink.settings;
        retry::given_up(
            &settings.retry,
            &settings.timeout,
            item.counted,
            item.timed,
            elapsed,
        )
    }

    pub(super) fn give_up_any(&self, items: &[Item]) -> bool {
        let now = Instant::now();
        items.iter().any(|item| self.given_up(item, now).is_some())
    }

    /// Lets go of those whose attempts or time are over; gives the others.
    pub(super) fn give_up(
        &mut self,
        items: Vec<Item>,
        last: &LastAttempt,
        ended: &mut Ended,
    ) -> Vec<Item> {
        let now = Instant::now();
        let mut rest = Vec::new();
        for item in items {
            let Some(given_up) = self.given_up(&item, now) else {
                rest.push(item);
                continue;
            };
            let cause: Cause =
                letters::given_up(given_up, &self.sink.settings, item.counted, &last.seen);
            let to = self.sink.settings.retry.on_exhausted;
            self.let_go(vec![item], to, cause, last, ended);
        }
        rest
    }

    /// These events get no further attempt.
    pub(super) fn let_go(
        &mut self,
        items: Vec<Item>,
        to: OnGivenUp,
        cause: Cause,
        last: &LastAttempt,
        ended: &mut Ended,
    ) {
        match to {
            OnGivenUp::DeadLetter => {
                ended.dead.extend(items);
                self.write_letters(ended, &cause, Some(last));
            }
            OnGivenUp::Drop => ended.dropped.extend(items),
            OnGivenUp::Halt => self.halted = Some(cause.message),
        }
    }
}
