//! The `nozzle` binary: parses, runs, and maps the result to an exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    nozzle::cli::main()
}
