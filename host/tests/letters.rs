//! Dead letters and what becomes of them, and routers with conditions: the real binary, real files, and kills.

#[path = "letters/quiet.rs"]
mod quiet;
#[path = "letters/replay.rs"]
mod replay;
#[path = "letters/routing.rs"]
mod routing;
#[path = "letters/second_sink.rs"]
mod second_sink;
#[path = "letters/summary.rs"]
mod summary;

use std::{collections::BTreeMap, path::Path, process::Command};

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, plugin};
use serde_json::Value;

/// The binary, in a folder.
fn nozzle(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    Child::start(command.current_dir(folder).args(args))
}

/// Runs to its end, which must be an exit code of 0.
fn done(folder: &Path, args: &[&str]) -> Ended {
    let ended = nozzle(folder, args).finish();
    assert_eq!(ended.code(), 0, "{args:?}: {}", ended.stderr);
    ended
}

/// Ends a host under way: it is killed, or, the last time, asked to end, and does so in order.
fn end(child: Child, is_last: bool) {
    let (signal, code) = if is_last {
        (Signal::SIGTERM, 0)
    } else {
        (Signal::SIGKILL, -1)
    };
    child.signal(signal);
    let ended = child.finish();
    assert_eq!(ended.code(), code, "{}", ended.stderr);
}

/// A sink that makes a call per record, which carries what `body` says.
fn sink(id: &str, url: &str, body: &str, rest: &str) -> String {
    let path = plugin("per_record.wasm").display().to_string();
    format!(
        "  - id: {id}\n    plugin: {{ path: {path}, config: {{ body: '{body}', results: none }} }}\n    endpoint: {{ url: \"{url}\" }}\n    batch: {{ max-records: 50, max-wait: 20ms }}\n{rest}"
    )
}

/// A module file of a file ingress `t/in`, with what comes behind its kind, and the rest.
fn module(folder: &Path, routers: &str, sinks: &[String], egresses: &str) {
    let egresses = match egresses {
        "" => String::new(),
        some => format!("egresses:\n{some}"),
    };
    let text = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n{routers}sinks:\n{}{egresses}progress: {{ interval: 50ms }}\n",
        sinks.concat()
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

fn write_records(folder: &Path, count: u64) {
    let lines: String = (0..count).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    std::fs::write(folder.join("in.ndjson"), lines).expect("written");
}

/// The letters in a file; none where it is missing.
fn letters(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a letter is JSON"))
        .collect()
}

/// How often each of the bodies came.
fn counts(bodies: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for body in bodies {
        *counts.entry(body.as_str()).or_default() += 1;
    }
    counts
}

#[test]
fn help_is_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = |command| done(folder.path(), &[command, "--help"]).stdout;

    insta::assert_snapshot!([help("dead-letters"), help("replay")].join("\n=====\n"));
}
