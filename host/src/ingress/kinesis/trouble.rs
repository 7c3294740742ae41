//! Failures in a row of one task: what they cost in time, and who says so.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tracing::{info, warn};

use super::reader::Shared;
use crate::aws::{Backoff, Failure, FailureKind};

/// Throttled calls in a row that are everyday business.
const USUAL_THROTTLES: u32 = 5;

/// The failures of one task in a row. Of all tasks of an ingress, the first in trouble says so, and the last.
#[derive(Debug)]
pub(super) struct Trouble {
    shared: Arc<Shared>,
    backoff: Backoff,
    is_counted: bool,
}

impl Trouble {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            backoff: Backoff::default(),
            is_counted: false,
        }
    }

    /// Takes in a failure that may pass, and waits before the next attempt.
    pub(super) async fn pause(&mut self, failure: &Failure) {
        let pause = self.failed(failure);
        tokio::time::sleep(pause).await;
    }

    fn failed(&mut self, failure: &Failure) -> Duration {
        let shared = &self.shared;
        let usual = match failure.kind {
            FailureKind::Throttled => {
                shared.stats.throttled.add(1);
                USUAL_THROTTLES
            }
            _ => {
                shared.stats.failed_reads.add(1);
                1
            }
        };
        let pause = self.backoff.next(fastrand::f64());
        if self.backoff.failures() > usual && !self.is_counted {
            self.is_counted = true;
            if shared.troubled.fetch_add(1, Relaxed) == 0 {
                warn!(ingress = %shared.id, stream = %shared.stream, %failure, "the stream cannot be read; trying on");
            }
        }
        pause
    }

    /// A call has succeeded.
    pub(super) fn over(&mut self) {
        self.backoff.succeeded();
        self.uncount();
    }

    fn uncount(&mut self) {
        if std::mem::take(&mut self.is_counted) && self.shared.troubled.fetch_sub(1, Relaxed) == 1 {
            info!(ingress = %self.shared.id, stream = %self.shared.stream, "the stream is read again");
        }
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.uncount();
    }
}
