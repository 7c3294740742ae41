//! Named places where a test lets the process die, as by a crash. A build without debug assertions has none.
//!
//! `NOZZLE_FAIL_POINT=progress.before-commit:3` aborts at the third pass through that place.

/// The places: what is durable, and what is known to whom, changes between each two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailPoint {
    /// A call is about to be sent.
    BeforeSend,
    /// Its outcome has come; nobody has seen it.
    AfterSend,
    /// Records were written to a file, and not synced.
    BeforeSync,
    /// They are durable; nobody knows.
    AfterSync,
    /// Progress was written, and not committed.
    BeforeCommit,
    /// It is durable; nobody knows.
    AfterCommit,
    /// A new version of a plugin was accepted, and is not remembered.
    BeforeRemember,
    /// It is remembered, and does not serve.
    AfterRemember,
    /// A reload has stopped the ingresses that change.
    ReloadStopped,
    /// It has taken what sinks hand over; nobody delivers it.
    ReloadRetired,
    /// The sinks have begun; the ingresses have not.
    ReloadBegun,
}

impl FailPoint {
    /// What the variable calls it.
    #[cfg(debug_assertions)]
    fn name(self) -> &'static str {
        match self {
            Self::BeforeSend => "call.before-send",
            Self::AfterSend => "call.after-send",
            Self::BeforeSync => "file.before-sync",
            Self::AfterSync => "file.after-sync",
            Self::BeforeCommit => "progress.before-commit",
            Self::AfterCommit => "progress.after-commit",
            Self::BeforeRemember => "plugin.before-remember",
            Self::AfterRemember => "plugin.after-remember",
            Self::ReloadStopped => "reload.stopped",
            Self::ReloadRetired => "reload.retired",
            Self::ReloadBegun => "reload.begun",
        }
    }

    /// The process has come to this place.
    #[cfg(not(debug_assertions))]
    #[inline(always)]
    pub(crate) fn pass(self) {}

    /// The process has come to this place.
    #[cfg(debug_assertions)]
    pub(crate) fn pass(self) {
        use std::sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering::Relaxed},
        };

        static ARMED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| {
            let armed = std::env::var("NOZZLE_FAIL_POINT").ok()?;
            let (name, passes) = armed.split_once(':')?;
            Some((name.to_owned(), AtomicU64::new(passes.parse().ok()?)))
        });
        if let Some((name, passes)) = armed
            && name == self.name()
            && passes.fetch_sub(1, Relaxed) == 1
        {
            std::process::abort();
        }
    }
}
