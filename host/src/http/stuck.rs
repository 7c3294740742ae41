//! Connections that no longer carry requests: found by the attempts that time out on them.
//!
//! Dropping an attempt closes an HTTP/1.1 connection, but only a stream of an HTTP/2 one: a connection that still answers
//! PINGs, and whose windows stay closed, would take every later attempt too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Extensions;
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::Instant;

/// Attempts in a row that end by their timeout on one connection, before it gets no more of them.
const TIMEOUTS: u32 = 2;

/// What a connection shows of itself: shared by its stream and the attempts on it.
#[derive(Debug)]
pub(super) struct Signs {
    began: Instant,
    /// When something was read, in nanoseconds since it began.
    last_read: AtomicU64,
    /// Attempts in a row that ended by their timeout.
    timeouts: AtomicU32,
}

impl Signs {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last_read: AtomicU64::new(0),
            timeouts: AtomicU32::new(0),
        }
    }

    /// Something was read.
    pub(super) fn read(&self) {
        let passed = self.began.elapsed().as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.last_read.store(passed, Ordering::Relaxed);
    }

    fn is_silent_since(&self, since: Instant) -> bool {
        self.began + Duration::from_nanos(self.last_read.load(Ordering::Relaxed)) < since
    }
}

/// Watches an attempt. Dropped before the attempt has ended, it counts as a timeout of its connection.
pub(super) struct Watch {
    connection: CaptureConnection,
    began: Instant,
    has_ended: bool,
}

impl Watch {
    pub(super) fn new(connection: CaptureConnection) -> Self {
        Self {
            connection,
            began: Instant::now(),
            has_ended: false,
        }
    }

    /// The attempt has ended by itself.
    pub(super) fn ended(mut self) {
        self.has_ended = true;
        if let Some(signs) = self.signs() {
            signs.timeouts.store(0, Ordering::Relaxed);
        }
    }

    /// Sends no further request on the connection.
    pub(super) fn give_up(&self) {
        if let Some(connection) = &*self.connection.connection_metadata() {
            connection.poison();
        }
    }

    fn signs(&self) -> Option<Arc<Signs>> {
        let mut extensions = Extensions::new();
        (self.connection.connection_metadata().as_ref())?.get_extras(&mut extensions);
        extensions.remove()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let Some(signs) = self.signs() else {
            return;
        };
        let timeouts = signs.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        if timeouts >= TIMEOUTS || signs.is_silent_since(self.began) {
            self.give_up();
        }
    }
}
