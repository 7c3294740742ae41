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

pub(super) fn line(who: &Peer, what: &str, sink: &str, result: Result<&str, &Refusal>) {
    let sink = (!sink.is_empty()).then_some(sink);
    match result {
        Ok(result) => info!(target: TARGET, %who, what, sink, result, "changed by the admin API"),
        Err(refusal) => {
            let result = refusal.name();
            warn!(target: TARGET, %who, what, sink, result, "a change by the admin API was refused");
        }
    }
}
