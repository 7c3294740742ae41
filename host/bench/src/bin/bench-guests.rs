//! Measures the plugin that is there in every language, with `nozzle plugin bench`, and prints a table.

use std::{fs, path::Path, process::Command};

use clap::Parser;
use nozzle::author::Bench;
use nozzle_bench::{Error, measure::median};
use nozzle_testkit::plugin;

/// Each does the same job: `guest-plugins/vectors/bulk`.
const PLUGINS: [(&str, &str); 5] = [
    ("Rust", "bulk.wasm"),
    ("C", "c_bulk.wasm"),
    ("Go", "go_bulk.wasm"),
    ("TypeScript (QuickJS)", "typescript_bulk.wasm"),
    ("Python", "python_bulk.wasm"),
];

#[derive(Debug, Clone, Copy, Parser)]
struct Args {
    /// Rounds; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let baseline = folder.path().join("measured.json");
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let measured: Result<Vec<Bench>, Error> = PLUGINS
            .iter()
            .map(|(_, file)| bench(&plugin(file), &baseline))
            .collect();
        rounds.push(measured?);
    }
    println!(
        "| language | size, KiB | compile and start, ms | instance memory, KiB | µs a call | µs a record at {} a batch |",
        rounds[0][0].batch
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (place, (language, _)) in PLUGINS.iter().enumerate() {
        let of =
            |figure: fn(&Bench) -> f64| median(rounds.iter().map(|round| figure(&round[place])));
        println!(
            "| {language} | {:.0} | {:.0} | {:.0} | {:.1} | {:.2} |",
            of(|bench| bench.bytes as f64 / 1024.0),
            of(|bench| bench.compile_ms),
            of(|bench| bench.memory_bytes as f64 / 1024.0),
            of(|bench| bench.call_us),
            of(|bench| bench.record_us),
        );
    }
    Ok(())
}

/// One run of `nozzle plugin bench`.
fn bench(plugin: &Path, baseline: &Path) -> Result<Bench, Error> {
    let nozzle = std::env::current_exe()?.with_file_name("nozzle");
    let run = Command::new(nozzle)
        .args(["plugin", "bench"])
        .arg(plugin)
        .arg("--save")
        .arg(baseline)
        .output()?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("`nozzle plugin bench {}` failed: {said}", plugin.display()).into());
    }
    Ok(serde_json::from_slice(&fs::read(baseline)?)?)
}
