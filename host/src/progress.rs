//! How far each partition is settled: the pure tracker, and the store behind it.
//!
//! # Invariants
//! - [`Tracker::settled`] never passes an event that a sink has not settled.
//! - A position is stored only after every event up to it is settled by every sink that it was routed to.

mod any;
pub mod dynamodb;
pub mod embedded;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod ledger;
pub mod settings;
pub mod state_dir;
pub mod store;
mod tracker;

pub use any::AnyStore;
pub use ledger::{Advanced, Ledger, PartitionView, Watermark};
pub use tracker::{SettledTwice, Tracker};
