//! The services that are called, end to end: the real binary runs the modules of `examples/hooks`, and what it sends is
//! read by packages that nobody here wrote, or answered as the service's documents say.

#[path = "hooks/aws.rs"]
mod aws;
#[path = "hooks/cloudevents.rs"]
mod cloudevents;
#[path = "hooks/messages.rs"]
mod messages;
#[path = "hooks/standard_webhooks.rs"]
mod standard_webhooks;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use nozzle_testkit::{
    Child, Ended,
    fault_endpoint::{FaultEndpoint, Script, Step, Wire, WireRequest},
    plugins,
};
use serde_json::Value;

/// What the module's secret is.
const WEBHOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const AWS_KEY: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG");
const SLACK_HOOK: &str = "T00000000/B00000000/XXXXXXXX";

/// One run of a module.
struct Run {
    server: FaultEndpoint,
    ended: Ended,
    /// The dead letters.
    letters: Vec<Value>,
}

impl Run {
    /// The bodies of all requests, as JSON.
    fn bodies(&self) -> Vec<Value> {
        let requests = self.server.requests();
        let body = |request: &WireRequest| serde_json::from_slice(&request.body).expect("JSON");
        requests.iter().map(body).collect()
    }

    /// What the dead letters say, in their order.
    fn reasons(&self) -> Vec<&str> {
        let letters = self.letters.iter();
        letters
            .map(|letter| letter["message"].as_str().expect("text"))
            .collect()
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hooks")
}

/// The alerts of the example.
fn alerts() -> Vec<Value> {
    let text = std::fs::read_to_string(examples().join("alerts.ndjson")).expect("it is there");
    let alert = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(alert).collect()
}

/// Runs a module of the example to its end, with other words in places: the test's pace in place of the service's.
async fn run(name: &str, script: impl Script, words: &[(&str, &str)]) -> Run {
    let alerts = std::fs::read_to_string(examples().join("alerts.ndjson")).expect("it is there");
    run_with(name, script, words, &alerts).await
}

/// As [`run`], with other records.
async fn run_with(name: &str, script: impl Script, words: &[(&str, &str)], records: &str) -> Run {
    let server = FaultEndpoint::start(Wire::Http, script).await;
    let folder = tempfile::tempdir().expect("a folder");
    let module = examples().join(format!("{name}.yaml"));
    let mut module = std::fs::read_to_string(module).expect("the example");
    let dist = plugins().display().to_string();
    let url = server.url();
    let ours = [
        ("http://127.0.0.1:8080/", url.as_str()),
        ("../../guest-plugins/dist", dist.as_str()),
    ];
    for (word, other) in ours.iter().chain(words) {
        assert!(module.contains(word), "`{word}` is not in {name}.yaml");
        module = module.replace(word, other);
    }
    std::fs::write(folder.path().join("module.yaml"), module).expect("written");
    std::fs::write(folder.path().join("alerts.ndjson"), records).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder.path())
        .args(["run", "module.yaml", "--state-dir", "state"])
        .env("EVENTS_TOKEN", "token-of-the-test")
        .env("WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("SLACK_HOOK", SLACK_HOOK)
        .env("FIREHOSE_KEY", "key-of-the-test")
        .env("AWS_ACCESS_KEY_ID", AWS_KEY.0)
        .env("AWS_SECRET_ACCESS_KEY", AWS_KEY.1)
        .env_remove("AWS_SESSION_TOKEN");
    let ended = tokio::task::spawn_blocking(move || Child::start(&mut command).finish())
        .await
        .expect("no panic");
    let letters = folder.path().join(format!("out/{name}-failed.ndjson"));
    let letters = std::fs::read_to_string(letters).unwrap_or_default();
    let letter = |line| serde_json::from_str(line).expect("JSON");
    Run {
        server,
        ended,
        letters: letters.lines().map(letter).collect(),
    }
}

/// A whole answer.
fn reply(status: u16, content_type: &str, body: &str) -> Vec<Step> {
    vec![Step::Answer {
        status,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.as_bytes().to_vec().into(),
    }]
}

/// The value of a header, "" without it.
fn header<'a>(request: &'a WireRequest, name: &str) -> &'a str {
    let mut headers = request.headers.iter();
    let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}
