//! What a proof is about.

use std::time::Duration;

use nozzle_testkit::fault_endpoint::Wire;

use crate::module::Source;

/// What a proof is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) source: Source,
    pub(crate) wire: Wire,
    pub(crate) records: u64,
    pub(crate) seed: u64,
    /// `timeout.attempt`.
    pub(crate) timeout: Duration,
    /// `batch.max-records`.
    pub(crate) batch: usize,
    /// Further lines of every sink.
    pub(crate) sink: &'static str,
    /// What endpoints are called, without TLS.
    pub(crate) host: &'static str,
    /// Dead letters go to a second sink, which refuses all of them, and from there to their file.
    pub(crate) second_sink: bool,
    /// Writes fail in the middle: see `Oracle::with_rewrites`.
    pub(crate) rewrites: bool,
}

impl Setup {
    /// So many records over plain HTTP, and no attempt that times out by itself.
    pub(crate) fn new(source: Source, records: u64) -> Self {
        Self {
            source,
            wire: Wire::Http,
            records,
            seed: number("NOZZLE_PROOF_SEED").unwrap_or(1),
            timeout: Duration::from_secs(60),
            batch: 50,
            sink: "buffer: { max-records: 2000 }\n    retry: { initial-delay: 2ms, max-delay: 40ms, max-attempts: 30 }",
            host: "127.0.0.1",
            second_sink: false,
            rewrites: false,
        }
    }
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// How an incarnation is started, beside its module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// `NOZZLE_FAIL_POINT`.
    pub(crate) fail_point: Option<String>,
    /// `ulimit -n`.
    pub(crate) max_files: Option<u64>,
}
