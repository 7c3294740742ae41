//! Clocks that stand still, and numbers that are always the same: a batch is shaped alike by each instance, and after
//! each restart.

use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder, random::Deterministic};

/// At the beginning of 1970, and of the instance.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

pub(super) fn clocks(builder: &mut WasiCtxBuilder) {
    builder.wall_clock(Still).monotonic_clock(Still);
}

/// Blocks of 32 bytes before the sequence begins anew.
const BLOCKS: u32 = 128;

/// Numbers that depend on the sink alone: who sends records cannot know beforehand how a guest lays out its tables.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    bytes: Vec<u8>,
    seed: u128,
}

impl Sequence {
    pub(super) fn of(sink: &str) -> Self {
        let block = |number: u32| {
            let block = Sha256::new().chain_update(number.to_be_bytes());
            block.chain_update(sink).finalize()
        };
        let seed = block(BLOCKS);
        let seed = seed.iter().take(16);
        Self {
            bytes: (0..BLOCKS).flat_map(block).collect(),
            seed: seed.fold(0, |seed, byte| (seed << 8) | u128::from(*byte)),
        }
    }

    pub(super) fn give(&self, builder: &mut WasiCtxBuilder) {
        let sequence = || Deterministic::new(self.bytes.clone());
        builder
            .secure_random(sequence())
            .insecure_random(sequence())
            .insecure_random_seed(self.seed);
    }
}
