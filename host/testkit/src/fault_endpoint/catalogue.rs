//! What an HTTP endpoint can do wrong, and what a sender may conclude from it.

mod parts;
mod rows;

pub use rows::FAULTS;

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Greeting, Script, Step, Wire, WireRequest};

/// What a sender may conclude from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A whole, valid answer with this status came.
    Status(u16),
    /// No whole answer came, and the sender learns of it: the endpoint may have processed the request.
    NoAnswer,
    /// No whole answer comes, and nothing tells the sender: its own time limit must.
    Never,
}

/// When a fault happens.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// As a connection is made.
    Connection(fn() -> Greeting),
    /// When the head of a request has come.
    Early(fn() -> Vec<Step>),
    /// In answer to a request.
    Call(fn() -> Vec<Step>),
    /// In answer to a request on a connection that has served one before.
    KeptCall(fn() -> Vec<Step>),
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Of the catalogue, such as `H4`.
    pub row: &'static str,
    /// In kebab case, unique.
    pub name: &'static str,
    /// What the endpoint speaks.
    pub wire: Wire,
    /// When it happens.
    pub at: At,
    /// What may be concluded.
    pub meaning: Meaning,
}

impl Fault {
    /// A script that does this the first `times` times that it can be done, and leaves all else to `then`.
    pub fn script<S: Script>(&self, times: u64, then: S) -> Faulty<S> {
        Faulty {
            at: self.at,
            left: AtomicU64::new(times),
            then,
        }
    }
}

/// See [`Fault::script`].
#[derive(Debug)]
pub struct Faulty<S> {
    at: At,
    left: AtomicU64,
    then: S,
}

impl<S> Faulty<S> {
    fn is_due(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
    }
}

impl<S: Script> Script for Faulty<S> {
    fn greet(&self, connection: u64) -> Greeting {
        match self.at {
            At::Connection(greeting) if self.is_due() => greeting(),
            _ => self.then.greet(connection),
        }
    }

    fn reply(&self, request: &WireRequest) -> Vec<Step> {
        match self.at {
            At::Call(steps) if self.is_due() => steps(),
            At::KeptCall(steps) if request.place > 0 && self.is_due() => steps(),
            _ => self.then.reply(request),
        }
    }

    fn early(&self, head: &WireRequest) -> Option<Vec<Step>> {
        match self.at {
            At::Early(steps) if self.is_due() => Some(steps()),
            _ => self.then.early(head),
        }
    }
}
