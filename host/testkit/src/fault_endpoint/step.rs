//! What an endpoint does in answer to a request, one step after another.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Frame, Script, WireRequest};

/// One thing the endpoint does in answer to a request. After the last one the next request on the connection
/// is read, unless a step ended it.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes a whole, valid answer, in whatever version the connection speaks.
    Answer {
        /// The status.
        status: u16,
        /// Beside the length, which is added.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Writes these bytes as they are.
    Write(Bytes),
    /// Writes these bytes one by one.
    Drip {
        /// The bytes.
        bytes: Bytes,
        /// The pause after each.
        every: Duration,
    },
    /// Writes these bytes so many times, or for as long as they are taken.
    Flood {
        /// The bytes.
        bytes: Bytes,
        /// How many times.
        times: u64,
    },
    /// HTTP/2: writes these frames.
    Frames(Vec<Frame>),
    /// HTTP/2: writes these frames so many times, or for as long as they are taken.
    FloodFrames {
        /// The frames.
        frames: Vec<Frame>,
        /// How many times.
        times: u64,
    },
    /// Does nothing for so long.
    Wait(Duration),
    /// Does nothing until the signal.
    WaitFor(Arc<Notify>),
    /// Does nothing any more, and keeps the connection: over HTTP/1.1 nothing is read either, as from a peer
    /// that vanished; over HTTP/2 this holds for the stream alone.
    Hang,
    /// Takes everything and says nothing any more on the connection, whatever is asked: a lost route.
    Vanish,
    /// FIN, after TLS's own farewell; what the client still sends is read, so that its reading is not disturbed.
    Close,
    /// FIN, and nothing is read any more.
    HalfClose,
    /// FIN without TLS's own farewell: how an attacker cuts.
    Cut,
    /// RST: what was written just before may be lost on the way.
    Reset,
}

/// Writes these bytes as they are.
pub fn write(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Write(Bytes::copy_from_slice(bytes.as_ref()))]
}

/// Writes these bytes as they are, then FIN.
pub fn cut(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    [write(bytes), vec![Step::Close]].concat()
}

/// A whole answer with this status, these headers and no body.
pub fn answer(status: u16, headers: &[(&str, &str)]) -> Vec<Step> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    vec![Step::Answer {
        status,
        headers: headers.iter().map(owned).collect(),
        body: Bytes::new(),
    }]
}

/// A whole 200 with this body.
pub fn ok(body: &[u8]) -> Vec<Step> {
    vec![Step::Answer {
        status: 200,
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body),
    }]
}

/// The n-th request gets the n-th reply, later ones the last: counted over all connections.
#[derive(Debug)]
pub struct Replies {
    replies: Vec<Vec<Step>>,
    given: std::sync::atomic::AtomicUsize,
}

impl Replies {
    /// These replies, in their order.
    pub fn new(replies: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self {
            replies: replies.into_iter().collect(),
            given: std::sync::atomic::AtomicUsize::new(0),
        }
    }
}

impl Script for Replies {
    fn reply(&self, _: &WireRequest) -> Vec<Step> {
        let place = self.given.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let reply = self.replies.get(place).or(self.replies.last());
        reply.cloned().unwrap_or_else(|| vec![Step::Hang])
    }
}
