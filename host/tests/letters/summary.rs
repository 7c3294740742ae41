//! `nozzle dead-letters`.

use std::{io::Write, path::Path, process::Stdio};

use super::done;

fn letter(number: u32, sink: &str, cause: &str, status: Option<u16>, at: &str) -> String {
    let status = status
        .map(|status| format!(",\"last-status\":{status}"))
        .unwrap_or_default();
    format!(
        "{{\"event\":{{\"id\":\"t/in/a:{number}\",\"key\":\"k{number}\",\"timestamp-ms\":1,\"data\":\"canary\"}},\"ingress\":\"t/in\",\"sink\":\"{sink}\",\"cause\":\"{cause}\",\"message\":\"m\",\"attempts\":1,\"given-up\":\"{at}\"{status}}}\n"
    )
}

fn files(folder: &Path) {
    let old = [
        letter(1, "t/a", "status", Some(400), "2026-07-01T10:00:00.000Z"),
        letter(2, "t/b", "timed-out", None, "2026-07-01T11:00:00.000Z"),
        "canary, and no letter\n".to_owned(),
    ];
    let new = [
        letter(3, "t/a", "status", Some(400), "2026-07-02T10:00:00.000Z"),
        letter(4, "t/a", "status", Some(404), "2026-07-02T09:00:00.000Z"),
        letter(
            5,
            "t/a",
            "attempts-exhausted",
            Some(503),
            "2026-07-02T08:00:00.000Z",
        ),
        "{\"event\":{\"id\":\"t/in/a:6\"".to_owned(),
    ];
    std::fs::write(folder.join("failed.ndjson.1"), old.concat()).expect("written");
    std::fs::write(folder.join("failed.ndjson"), new.concat()).expect("written");
}

#[test]
fn letters_are_counted_by_sink_cause_and_status_and_bad_lines_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    files(folder.path());

    let all = done(
        folder.path(),
        &["dead-letters", "failed.ndjson", "failed.ndjson.1"],
    );
    let some = [
        "dead-letters",
        "failed.ndjson",
        "--status",
        "4xx",
        "--since",
        "2026-07-02T09:30:00Z",
    ];
    let some = done(folder.path(), &some);

    assert!(!all.stderr.contains("canary") && !all.stdout.contains("canary"));
    insta::assert_snapshot!(all.stdout, @r"
    sink  cause               status  count  first                     last                      example
    t/a   attempts-exhausted     503      1  2026-07-02T08:00:00.000Z  2026-07-02T08:00:00.000Z  t/in/a:5
    t/a   status                 400      2  2026-07-01T10:00:00.000Z  2026-07-02T10:00:00.000Z  t/in/a:3
    t/a   status                 404      1  2026-07-02T09:00:00.000Z  2026-07-02T09:00:00.000Z  t/in/a:4
    t/b   timed-out                -      1  2026-07-01T11:00:00.000Z  2026-07-01T11:00:00.000Z  t/in/a:2
    ");
    insta::assert_snapshot!(all.stderr, @r"
    failed.ndjson:4: it is cut off
    failed.ndjson.1:3: it is no JSON, at column 1
    5 dead letters, 2 lines no dead letters
    ");
    insta::assert_snapshot!(some.stdout, @r"
    sink  cause   status  count  first                     last                      example
    t/a   status     400      1  2026-07-02T10:00:00.000Z  2026-07-02T10:00:00.000Z  t/in/a:3
    ");
    insta::assert_snapshot!(some.stderr, @r"
    failed.ndjson:4: it is cut off
    1 dead letter, 2 left out by the filters, 1 line no dead letters
    ");
}

#[test]
fn the_same_as_json_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    files(folder.path());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command.args([
        "dead-letters",
        "-",
        "--json",
        "--key",
        "k2",
        "--key",
        "k1",
        "--cause",
        "timed-out",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let text = std::fs::read(folder.path().join("failed.ndjson.1")).expect("readable");

    child
        .stdin
        .take()
        .expect("piped")
        .write_all(&text)
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");

    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    insta::assert_snapshot!(format!("{json:#}"), @r#"
    {
      "groups": [
        {
          "cause": "timed-out",
          "count": 1,
          "example": "t/in/a:2",
          "first": "2026-07-01T11:00:00.000Z",
          "last": "2026-07-01T11:00:00.000Z",
          "sink": "t/b",
          "status": null
        }
      ],
      "left-out": 1,
      "total": 1,
      "unreadable": {
        "count": 1,
        "lines": [
          {
            "file": "-",
            "line": 3,
            "reason": "it is no JSON, at column 1"
          }
        ]
      }
    }
    "#);
}
