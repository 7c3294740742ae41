//! The `nozzle` binary: parses, runs, and maps the result to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nozzle::cli::main()
}
