//! Grants in a run of the binary, from the module file to the endpoint.

use std::{path::Path, process::Command};

use nozzle_testkit::{
    Child, Ended,
    fault_endpoint::{FaultEndpoint, Replies, Wire, ok},
    plugin,
};

fn run(folder: &Path, ingress: &str, sink: &str) -> Ended {
    let text = format!(
        "version: \"1\"\n\
         ingresses:\n  - id: t/{ingress}\n    datagen: {{ count: 30, key: id }}\n    routers: [{{ to: [t/sink] }}]\n\
         sinks:\n  - id: t/sink\n    batch: {{ max-records: 10, max-wait: 10ms }}\n{sink}"
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
    let mut nozzle = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    let nozzle = nozzle.current_dir(folder).args([
        "run",
        "module.yaml",
        "--state-dir",
        "state",
        "--log",
        "warn",
    ]);
    Child::start(nozzle).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asks_a_service_and_the_host_delivers_what_it_made_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = FaultEndpoint::start(Wire::Http, Replies::new([ok(b"twelve")])).await;
    let endpoint = FaultEndpoint::start(Wire::Http, Replies::new([ok(b"")])).await;
    let (path, service_url) = (plugin("lookup.wasm").display().to_string(), service.url());
    let sink = format!(
        "    plugin: {{ path: {path}, config: {{ url: \"{service_url}\" }}, limits: {{ time: 20s }} }}\n    \
         endpoint: {{ url: \"{}\" }}\n    \
         grants: {{ http: [\"{}\"], http-limits: {{ time: 10s }} }}\n",
        endpoint.url(),
        service_url.trim_end_matches('/'),
    );

    let ended = run(folder.path(), "in", &sink);

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(service.requests().len(), 30);
    let bodies = endpoint.requests();
    let bodies = bodies
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let answers: usize = bodies.map(|body| body.matches("twelve").count()).sum();
    assert_eq!(answers, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_remembers_outlives_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = FaultEndpoint::start(Wire::Http, Replies::new([ok(b"")])).await;
    let path = plugin("dedup.wasm").display().to_string();
    let sink = format!(
        "    plugin: {{ path: {path}, limits: {{ time: 20s }} }}\n    \
         endpoint: {{ url: \"{}\" }}\n    grants: {{ keyvalue: {{}} }}\n",
        endpoint.url()
    );

    let first = run(folder.path(), "first", &sink);
    let sent = endpoint.requests().len();
    let second = run(folder.path(), "second", &sink);

    assert_eq!(
        (first.code(), second.code()),
        (0, 0),
        "{} {}",
        first.stderr,
        second.stderr
    );
    assert!(sent >= 3, "{sent} calls");
    assert_eq!(
        endpoint.requests().len(),
        sent,
        "all keys of the second run are known"
    );
    assert!(second.stderr.contains("30 dropped"), "{}", second.stderr);
}
