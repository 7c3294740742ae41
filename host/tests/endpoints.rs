//! Endpoints that sinks share, and sinks with several endpoints, through the binary.

#[path = "endpoints/nginx.rs"]
mod nginx;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_chooses_the_endpoint_of_each_record() {
    let (us, eu) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    us.close();
    let folder = tempfile::tempdir().expect("a folder");
    let mut input = String::new();
    for id in 0..60 {
        let region = ["", "eu", "eu"][id % 3];
        writeln!(input, "{{\"id\":{id},\"region\":\"{region}\"}}").expect("memory");
    }
    input.push_str("{\"id\":60,\"region\":\"mars\"}\n");
    std::fs::write(folder.path().join("in.ndjson"), input).expect("written");
    let module = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/sink] }}]\n\
         endpoints:\n  - id: t/us\n    url: \"{}\"\n    concurrency: {{ strategy: fixed, max-calls: 2 }}\n\
         sinks:\n  - id: t/sink\n    plugin: {{ path: {}, config: {{ endpoint: \"{{json:/region}}\" }} }}\n\
         \x20   endpoint: t/us\n    endpoints: {{ eu: {{ url: \"{}\" }} }}\n\
         \x20   batch: {{ max-records: 4, max-wait: 10ms }}\n    in-flight: {{ max-calls: 4 }}\n\
         \x20   dead-letters: t/failed\negresses:\n  - id: t/failed\n    file: {{ path: failed.ndjson }}\n",
        us.url(),
        plugin("per_record.wasm").display(),
        eu.url(),
    );
    std::fs::write(folder.path().join("module.yaml"), module).expect("written");

    let host = run(folder.path());
    us.held(2).await;
    eu.until("all of `eu`", |bodies| bodies.len() == 40).await;
    us.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!((us.accepted().len(), us.most_held()), (20, 2));
    assert!(eu.accepted().iter().all(|body| body.contains("\"eu\"")));
    let letters = std::fs::read_to_string(folder.path().join("failed.ndjson")).expect("a file");
    let letter: serde_json::Value = serde_json::from_str(&letters).expect("one letter");
    assert_eq!(letter["cause"], "contract-violation");
    assert_eq!(
        letter["message"],
        "requests[0] names the endpoint `mars`, and the sink grants none but `default`, `eu`"
    );
}
