//! `nozzle plugin bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{AuthorError, LimitArgs, config, events};
use crate::{
    author::{Bench, events_of},
    cli::{
        speak::{print, say},
        table::aligned,
    },
    event::Event,
};

/// What `nozzle plugin bench` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct BenchArgs {
    /// The component.
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// `plugin.config`.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = config)]
    config: String,
    /// Records, one on each line. Default: JSON objects of about 100 bytes.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Records in a call, where the time of a record is measured. Default: as in the baseline, or 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: Option<u32>,
    /// Compares with what `--save` has written.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Writes what was measured.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Measures a plugin.
pub(super) async fn bench(args: BenchArgs) -> Result<(), AuthorError> {
    let before = args.baseline.as_deref().map(baseline).transpose()?;
    let batch = batch(&args, before.as_ref())?;
    let records = match &args.events {
        None => samples(),
        Some(path) => events(path)?,
    };
    if cfg!(debug_assertions) {
        say(
            "warning: this `nozzle` is a debug build: what its own code costs is many times what it is in a release build",
        );
    }
    let limits = args.limits.limits();
    let measured = Bench::of(&args.plugin, limits, &args.config, &records, batch);
    let measured = measured.await.map_err(AuthorError::Bench)?;
    print(&format!("{}\n", shown(&measured, before.as_ref())))?;
    if let Some(path) = args.save {
        let text = serde_json::to_string_pretty(&measured).unwrap_or_default();
        fs::write(&path, format!("{text}\n"))
            .map_err(|source| AuthorError::Write { path, source })?;
    }
    Ok(())
}

fn baseline(path: &Path) -> Result<Bench, AuthorError> {
    let read = fs::read(path).map_err(|source| AuthorError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&read).map_err(|source| AuthorError::Baseline {
        path: path.to_owned(),
        source,
    })
}

/// Records in a call: the time of a record depends on it, so that of the baseline is no other.
fn batch(args: &BenchArgs, before: Option<&Bench>) -> Result<usize, AuthorError> {
    let given = args.batch.map(|batch| batch as usize);
    let before = before.map(|before| usize::try_from(before.batch).unwrap_or(usize::MAX));
    match (given, before) {
        (Some(is), Some(was)) if is != was => Err(AuthorError::OtherBatch { was }),
        (given, before) => Ok(given.or(before).unwrap_or(100)),
    }
}

/// As a source of readings would have them.
fn samples() -> Vec<Arc<Event>> {
    let lines = (0..100).map(|n| {
        format!(
            "{{\"id\":{n},\"station\":\"st-{:03}\",\"temperature\":{}.5,\"unit\":\"C\",\"tags\":[\"a\",\"b\"],\"at\":\"2026-01-01T00:00:{:02}Z\"}}\n",
            n % 17,
            n % 40,
            n % 60
        )
    });
    events_of(&Bytes::from(lines.collect::<String>()))
}

fn shown(measured: &Bench, before: Option<&Bench>) -> String {
    type Figure = (&'static str, fn(&Bench) -> f64, &'static str, usize);
    let figures: [Figure; 5] = [
        ("size", |bench| bench.bytes as f64 / 1024.0, "KiB", 1),
        ("compile and start", |bench| bench.compile_ms, "ms", 0),
        (
            "instance memory",
            |bench| bench.memory_bytes as f64 / 1024.0,
            "KiB",
            0,
        ),
        ("a call with 1 record", |bench| bench.call_us, "µs", 1),
        ("a record of a batch", |bench| bench.record_us, "µs", 2),
    ];
    let rows = figures.map(|(name, value, unit, digits)| {
        let number = |bench: &Bench| format!("{:.digits$}", value(bench));
        let mut row = vec![name.to_owned(), number(measured), unit.to_owned()];
        if let Some(before) = before {
            let change = (value(measured) / value(before) - 1.0) * 100.0;
            row.extend([number(before), format!("{change:+.0}%")]);
        }
        row
    });
    let of = format!("{} a batch", measured.batch);
    let head: &[&str] = match before {
        None => &[&of, "", ""],
        Some(_) => &[&of, "now", "", "baseline", "change"],
    };
    aligned(head, &[0, 2], rows)
}
