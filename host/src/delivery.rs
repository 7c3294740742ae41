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
mod names;
pub mod outage;
pub mod retry;
pub mod settings;
pub mod tap;
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
mod queue;
mod sources;

pub use engine::{Left, Rest, SinkEnd, calls_of, dry_run, rehearse, run, run_on};
pub use names::{DEFAULT, Names};
pub use prepare::Endpoint;
pub use queue::{Feeder, Intake, Place, Queue, WeakQueue};
pub use sources::{Source, Sources};
pub use ways::{Endpoints, Way};

use std::sync::Arc;

use self::settings::DeliverySettings;
use crate::{egress::EgressHandle, metrics::SinkStats, plugin::Slot, trace::Tracer};

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
    /// The ingresses, and the sinks that hand over their dead letters.
    pub sources: Sources,
    /// What the sink counts.
    pub stats: Arc<SinkStats>,
    /// Makes the spans of its batches.
    pub tracer: Tracer,
    /// What it is told from outside.
    pub control: control::Controlled,
    /// Where it is recorded.
    pub tap: tap::Tapped,
}
