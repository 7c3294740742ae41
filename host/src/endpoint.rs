//! The misbehaving local endpoint of `nozzle demo` and `nozzle endpoint`: it answers at random, and counts by
//! id what it has accepted, so that a run can be proved.

mod count;
mod options;
mod records;
mod serve;

pub use count::Counts;
pub use options::{EndpointOptions, Roll};
pub use serve::Endpoint;
