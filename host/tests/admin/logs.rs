//! `--log-format json`: every line of standard error is an object.

use nozzle_testkit::{Child, Recorder};
use serde_json::Value;

use super::host::{Sink, nozzle, write_module};

fn run(folder: &std::path::Path, args: &[&str]) -> (i32, Vec<Value>) {
    let mut command = nozzle();
    let args = [&["run", "module.yaml", "--log-format", "json"], args].concat();
    let ended = Child::start(command.current_dir(folder).args(args)).finish();
    let lines = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    (ended.code(), lines.collect())
}

fn is_complete(line: &Value) -> bool {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let time = text("timestamp");
    let written = time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z');
    let level = ["error", "warn", "info", "debug", "trace"].contains(&text("level"));
    written && level && !text("target").is_empty() && !text("message").is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_an_object_up_to_the_summary() {
    let endpoint = Recorder::start(|_| 200).await;
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 3, &[Sink("sink", &endpoint.url(), "")]);

    let (code, lines) = run(folder.path(), &["--admin", "127.0.0.1:0"]);

    assert_eq!(code, 0, "{lines:?}");
    assert!(lines.iter().all(is_complete), "{lines:#?}");
    let find = |message: &str| lines.iter().find(|line| line["message"] == message);
    let served = find("metrics, health and status are served").expect("logged");
    assert!(served["fields"]["port"].is_u64(), "{served}");
    assert_eq!(
        (&served["level"], &served["target"]),
        (&"info".into(), &"nozzle::cli::run".into())
    );
    let summary = find("summary").expect("logged");
    assert_eq!(
        (&summary["fields"]["sink"], &summary["fields"]["delivered"]),
        (&"t/sink".into(), &3.into())
    );
}

#[test]
fn an_error_is_an_object_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", "ftp://x/", "")]);

    let (code, lines) = run(folder.path(), &[]);

    assert_eq!(code, 2);
    assert!(lines.len() == 1 && is_complete(&lines[0]), "{lines:#?}");
    assert_eq!(lines[0]["fields"]["exit-code"], 2);
    let problem = &lines[0]["fields"]["problems"][0];
    let place = (&problem["line"], &problem["column"]);
    assert_eq!(place, (&10.into(), &22.into()), "{lines:#?}");
    let message = problem["message"].as_str().expect("a text");
    assert!(message.contains("ftp"), "{message}");
    assert_eq!(
        lines[0]["message"],
        format!("module.yaml:10:22: {message}"),
        "{lines:#?}"
    );
}
