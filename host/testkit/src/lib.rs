//! Process helpers for Nozzle's tests and benchmarks; nothing of the host.

mod boto;
mod event_reader;
pub mod fault_endpoint;
mod faults;
mod function_url;
mod line_process;
mod log;
mod oracle;
mod os_faults;
mod packages;
mod process;
mod python;
mod recorder;
mod schemathesis;
mod serve;
mod servers;
mod stores;
mod verifier;

pub use boto::{Boto, credentials};
pub use event_reader::EventReader;
pub use faults::{Fault, FaultLayer, ServiceCall};
pub use function_url::FunctionUrl;
pub use log::{LogGuard, log_to};
pub use oracle::{Enough, Framing, Oracle, Promise, Records, Report, Violation};
pub use os_faults::{OsFault, OsFaults};
pub use packages::{
    REGISTRY_USER, RegistryAuth, minisign_key, minisign_program, minisign_sign, oras_pull,
    oras_push, oras_push_signature, wkg_pull, wkg_push,
};
pub use process::{Child, Ended};
pub use python::{python, python_toolchain};
pub use recorder::Recorder;
pub use schemathesis::{Conformance, schemathesis};
pub use servers::{ACCOUNT, Server, free_port};
pub use stores::read_otlp_logs;
pub use verifier::Verifier;

use std::{path::PathBuf, time::Duration};

/// How long a condition may take to come true before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// One of the plugins that `make guests` builds.
///
/// # Panics
/// When it is not built.
pub fn plugin(name: &str) -> PathBuf {
    let path = plugins().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `make guests` first",
        path.display()
    );
    path
}

/// The folder that `make guests` fills.
///
/// # Panics
/// When it is missing.
pub fn plugins() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../guest-plugins/dist");
    folder
        .canonicalize()
        .expect("guest-plugins/dist is there: run `make guests` first")
}
