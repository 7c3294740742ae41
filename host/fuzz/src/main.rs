//! The fuzz targets of the host under libFuzzer: `make fuzz` runs them.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod engine;

#[cfg(fuzzing)]
use nozzle::fuzzing::{TARGETS, draw};

/// Without `make fuzz` there is nothing to run.
#[cfg(not(fuzzing))]
fn main() {}
