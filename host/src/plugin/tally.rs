//! How a version of a plugin does, in numbers.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts how a generation does.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// What a generation's batches and calls came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches that it was given to shape, and those that it failed on: it trapped, broke a limit or the contract.
    pub batches: u64,
    /// See `batches`.
    pub batches_failed: u64,
    /// Events of batches that it shaped, and those of them that it refused to send.
    pub events: u64,
    /// See `events`.
    pub events_rejected: u64,
    /// Attempts at its calls that ended.
    pub attempts: u64,
    /// Attempts after which something is tried again.
    pub attempts_retried: u64,
    /// Attempts after which something is given up on as undeliverable.
    pub attempts_rejected: u64,
    /// Attempts whose outcome it failed to handle.
    pub attempts_failed: u64,
}

/// What went wrong, as shares of what was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Of batches and attempts: the plugin itself failed.
    pub failures: Share,
    /// Of events, or of attempts if that is more: given up on.
    pub rejections: Share,
    /// Of attempts: tried again.
    pub retries: Share,
}

/// A part of something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// From 0 to 1.
    pub share: f64,
    /// How many chances there were for it, each of its own: the share says little if they are few.
    pub trials: u64,
}

impl Tally {
    /// Adds something.
    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.lock());
    }

    /// What is counted by now.
    pub fn counts(&self) -> Counts {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// What was counted since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            batches: self.batches - before.batches,
            batches_failed: self.batches_failed - before.batches_failed,
            events: self.events - before.events,
            events_rejected: self.events_rejected - before.events_rejected,
            attempts: self.attempts - before.attempts,
            attempts_retried: self.attempts_retried - before.attempts_retried,
            attempts_rejected: self.attempts_rejected - before.attempts_rejected,
            attempts_failed: self.attempts_failed - before.attempts_failed,
        }
    }

    /// What it comes to.
    pub fn rates(self) -> Rates {
        let share = |part: u64, trials: u64| Share {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            share: part as f64 / trials.max(1) as f64,
            trials,
        };
        let refused = Share {
            // Events of one batch go together: a plugin rejects all of them, or none.
            trials: self.batches,
            ..share(self.events_rejected, self.events)
        };
        let given_up = share(self.attempts_rejected, self.attempts);
        Rates {
            failures: share(
                self.batches_failed + self.attempts_failed,
                self.batches + self.attempts,
            ),
            rejections: match given_up.share > refused.share {
                true => given_up,
                false => refused,
            },
            retries: share(self.attempts_retried, self.attempts),
        }
    }
}
