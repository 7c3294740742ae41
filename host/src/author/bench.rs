//! What a plugin costs: its size, its start, and its time for a call and for a record.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::workshop::{Workshop, WorkshopError};
use crate::{
    event::Event,
    plugin::{LoadError, LoadedPlugin, Plugin, PluginError, settings::PluginLimits},
};

/// What was measured. As a file, it is a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bench {
    /// The component's size.
    pub bytes: u64,
    /// Compiling it, and making and configuring its first instance, in milliseconds.
    pub compile_ms: f64,
    /// Linear memory of an instance at the end, in bytes.
    pub memory_bytes: u64,
    /// One call of `shape` with one record, in microseconds.
    pub call_us: f64,
    /// A record, where a call has `batch` of them, in microseconds.
    pub record_us: f64,
    /// Records in such a call.
    pub batch: u64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The plugin is none.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// It does not load with this configuration.
    #[error(transparent)]
    Load(#[from] Box<LoadError>),
    /// It fails on the records.
    #[error("`shape` fails on the records of the measurement")]
    Shape(#[source] PluginError),
    /// There are no records.
    #[error("there are no records to measure with")]
    NoRecords,
}

/// Rounds, of which the median counts.
const ROUNDS: usize = 15;
/// How long one of them takes.
const ROUND: Duration = Duration::from_millis(40);

impl Bench {
    /// Measures a plugin with these records, over and over.
    ///
    /// # Errors
    /// See [`BenchError`].
    pub async fn of(
        plugin: &Path,
        limits: PluginLimits,
        config: &str,
        records: &[Arc<Event>],
        batch: usize,
    ) -> Result<Self, BenchError> {
        if records.is_empty() {
            return Err(BenchError::NoRecords);
        }
        // Without a cache, so that it is compiled.
        let workshop = Workshop::open(plugin, limits, None).await?;
        let (_, grants) = workshop.needed();
        let started = Instant::now();
        let loaded = workshop.load("plugin/bench", config, grants).await;
        let loaded = loaded.map_err(Box::new)?;
        let compile = started.elapsed();
        let many: Vec<_> = records.iter().cycle().take(batch).cloned().collect();
        let one: Vec<_> = records.iter().take(1).cloned().collect();
        let call = median(&loaded, &one).await?;
        let full = median(&loaded, &many).await?;
        Ok(Self {
            bytes: workshop.binary.bytes.len() as u64,
            compile_ms: compile.as_secs_f64() * 1e3,
            memory_bytes: loaded.memory() as u64,
            call_us: call,
            record_us: full / many.len() as f64,
            batch: many.len() as u64,
        })
    }
}

/// Microseconds that a call takes: the median of the rounds' means.
async fn median(plugin: &LoadedPlugin, events: &[Arc<Event>]) -> Result<f64, BenchError> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    // The first call of an instance may be slower than all others.
    for _ in 0..3 {
        plugin.shape(events).await.map_err(BenchError::Shape)?;
    }
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let mut calls = 0_u32;
        while calls == 0 || started.elapsed() < ROUND {
            plugin.shape(events).await.map_err(BenchError::Shape)?;
            calls += 1;
        }
        rounds.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}
