//! A line for each change that was asked for, done or refused: who, what, and what came of it. Never a token.

use std::{fmt, net::SocketAddr};

use tracing::{info, warn};

use super::problem::Refusal;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// From this address.
    Tcp(SocketAddr),
    /// A user of this machine, by number; none if the system does not say.
    Unix { uid: Option<u32>, pid: Option<i32> },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix {
                uid: Some(uid),
                pid: Some(pid),
            } => write!(f, "uid {uid}, process {pid}"),
            Self::Unix {
                uid: Some(uid),
                pid: None,
            } => write!(f, "uid {uid}"),
            Self::Unix { uid: None, .. } => f.write_str("unknown"),
        }
    }
}

/// The target of the lines: a filter names it to leave them out, or to have nothing else.
pub const TARGET: &str = "audit";

/// The line of one change; dropped without an end, it says that nobody has waited for it.
#[derive(Debug)]
pub(super) struct Line {
    who: Peer,
    what: &'static str,
    sink: Option<String>,
    has_ended: bool,
}

impl Line {
    pub(super) fn new(who: Peer, what: &'static str, sink: &str) -> Self {
        Self {
            who,
            what,
            sink: (!sink.is_empty()).then(|| sink.to_owned()),
            has_ended: false,
        }
    }

    /// What has come of it.
    pub(super) fn ends(mut self, result: Result<&str, &Refusal>) {
        self.has_ended = true;
        line(&self.who, self.what, self.sink.as_deref(), result);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let Self {
            who, what, sink, ..
        } = self;
        warn!(target: TARGET, %who, what, sink, result = "gone", "who asked for a change by the admin API has gone before its end was known");
    }
}

fn line(who: &Peer, what: &str, sink: Option<&str>, result: Result<&str, &Refusal>) {
    match result {
        Ok(result) => info!(target: TARGET, %who, what, sink, result, "changed by the admin API"),
        Err(refusal) => {
            let result = refusal.name();
            warn!(target: TARGET, %who, what, sink, result, "a change by the admin API was refused");
        }
    }
}
