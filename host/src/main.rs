//! The `nozzle` binary.
fn main() {}
