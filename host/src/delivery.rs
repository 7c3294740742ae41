//! Delivers events to an endpoint: at least once, each with exactly one end.
//!
//! The engine owns every decision (retry, give up, dead-letter, settle); a [`Transport`] owns one
//! attempt and a [`Plugin`] one answer, and neither decides anything.
//!
//! # Invariants
//! - An event is settled only when its call is judged delivered, it was dropped on purpose, or its dead
//!   letter is durable; and, where it has results, these are accepted.
//! - An event is settled once: what a call still running says afterwards is not listened to.
//! - What is held counts against `buffer`; when that is spent, nothing is taken in.
//!
//! [`Transport`]: crate::http::Transport
//! [`Plugin`]: crate::plugin::Plugin

pub mod breaker;
pub mod contract;
pub mod control;
pub mod gate;
pub mod outage;
pub mod retry;
pub mod settings;
pub mod verdict;
mod ways;

mod engine;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod item;
mod letters;
mod order;
mod outbox;
mod prepare;

pub use engine::{SinkEnd, calls_of, dry_run, rehearse, run};
pub use prepare::Endpoint;
pub use ways::{DEFAULT, Endpoints, Names, Way};

use std::sync::Arc;

use self::settings::DeliverySettings;
use crate::{
    egress::EgressHandle,
    event::{Arrival, Ticket},
    metrics::SinkStats,
    plugin::Slot,
    progress::Ledger,
    trace::Tracer,
};

/// Everything the engine of one sink works with.
pub struct Sink<P, T> {
    /// `namespace/name`, for logs and dead letters.
    pub id: Arc<str>,
    /// The checked settings.
    pub settings: DeliverySettings,
    /// Where requests go, by the names that the plugin knows.
    pub endpoints: Endpoints,
    /// What each of them is reached by, in the same order.
    pub ways: Vec<Way<T>>,
    /// Shapes and handles, in the version that serves.
    pub plugin: Arc<Slot<P>>,
    /// `shape` calls side by side, at least 1: the plugin's instances.
    pub shape_slots: usize,
    /// Where results go; without it they are thrown away.
    pub results: Option<EgressHandle>,
    /// Where dead letters go.
    pub dead_letters: EgressHandle,
    /// The ingresses, by [`Ticket::ingress`].
    pub sources: Vec<Source>,
    /// What the sink counts.
    pub stats: Arc<SinkStats>,
    /// Makes the spans of its batches.
    pub tracer: Tracer,
    /// What it is told from outside.
    pub control: control::Controlled,
}

/// An ingress as a sink sees it.
#[derive(Debug, Clone)]
pub struct Source {
    /// `namespace/name`.
    pub id: Arc<str>,
    /// Its progress.
    pub ledger: Arc<Ledger>,
    /// Whether its events came to Nozzle through another ingress, which their ids name.
    pub relays: bool,
}

impl<P, T> Sink<P, T> {
    /// The ingress through which an event came to Nozzle.
    fn ingress_of<'a>(&'a self, arrival: &'a Arrival) -> &'a str {
        let source = self.sources.get(usize::from(arrival.ticket.ingress));
        match (source, arrival.event.origin()) {
            (Some(source), Some(origin)) if source.relays => origin,
            (source, _) => source.map_or("", |source| &source.id),
        }
    }

    fn settle(&self, tickets: impl Iterator<Item = Ticket> + Clone) {
        for (index, source) in (0..).zip(&self.sources) {
            let mut own = tickets
                .clone()
                .filter(|ticket| ticket.ingress == index)
                .peekable();
            if own.peek().is_some() {
                source.ledger.settle(own);
            }
        }
    }
}
