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

pub mod contract;
pub mod outage;
pub mod retry;
pub mod settings;
pub mod verdict;
