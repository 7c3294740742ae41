//! The oracle: it issues numbered records, receives everything that a sink lets out, and judges.
//!
//! It stands outside the host, and is never killed. Of each record it knows what its text is (made anew from a seed
//! whenever it is needed), in which incarnations of the host it was sent, and how it ended.

mod judge;
mod ledger;
mod order;
mod records;
mod written;

pub use judge::{Enough, Report, Violation};
pub use ledger::Oracle;
pub use order::Promise;
pub use records::{Framing, Records};
