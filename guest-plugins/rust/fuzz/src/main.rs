//! The fuzz targets of the plugins under libFuzzer: `make fuzz` runs them.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
#[expect(dead_code, reason = "the host's targets use the rest")]
#[path = "../../../../host/src/fuzzing/draw.rs"]
mod draw;
#[cfg(fuzzing)]
#[path = "../../../../host/fuzz/src/engine.rs"]
mod engine;
#[cfg(fuzzing)]
#[path = "../../per-record/src/fuzz.rs"]
mod fuzz;

#[cfg(fuzzing)]
const TARGETS: [draw::Target; 1] = [fuzz::TARGET];

/// Without `make fuzz` there is nothing to run.
#[cfg(not(fuzzing))]
fn main() {}
