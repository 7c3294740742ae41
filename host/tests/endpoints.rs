//! Endpoints that sinks share, through the binary: one limit, one rate.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use nozzle_testkit::{Child, Recorder, plugin};
use tokio::time::Instant;

/// A module of two sinks that make a call of each of `records` records, to an endpoint that is told `more`.
fn write_module(folder: &Path, records: usize, url: &str, more: &str) {
    let mut input = String::new();
    for id in 1..=records {
        writeln!(input, "{{\"id\":{id}}}").expect("memory");
    }
    std::fs::write(folder.join("in.ndjson"), input).expect("written");
    let plugin = plugin("json_batch.wasm").display().to_string();
    let sink = |name: &str| {
        format!(
            "  - id: t/{name}\n    plugin: {{ path: {plugin} }}\n    endpoint: t/api\n    batch: {{ max-records: 1, max-wait: 10ms }}\n"
        )
    };
    let module = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/one, t/other] }}]\n\
         endpoints:\n  - id: t/api\n    url: \"{url}\"\n    {more}\nsinks:\n{}{}",
        sink("one"),
        sink("other")
    );
    std::fs::write(folder.join("module.yaml"), module).expect("written");
}

fn run(folder: &Path) -> Child {
    Child::start(
        Command::new(env!("CARGO_BIN_EXE_nozzle"))
            .current_dir(folder)
            .args(["run", "module.yaml"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_of_an_endpoint_share_its_calls_in_flight() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    let limit = "concurrency: { strategy: fixed, max-calls: 3 }";
    write_module(folder.path(), 30, &endpoint.url(), limit);

    let host = run(folder.path());
    endpoint.held(3).await;
    endpoint.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(endpoint.accepted().len(), 60);
    assert_eq!(endpoint.most_held(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_of_an_endpoint_share_its_rate() {
    let endpoint = Recorder::start(|_| 200).await;
    let folder = tempfile::tempdir().expect("a folder");
    let limit = "rate: { calls-per-second: 20 }";
    write_module(folder.path(), 10, &endpoint.url(), limit);

    let started = Instant::now();
    let ended = run(folder.path()).finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(endpoint.accepted().len(), 20);
    // A tenth of a second's calls go at once; a slow machine makes it longer, none makes it shorter.
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(890), "{took:?}");
}
