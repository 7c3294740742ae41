//! `nozzle top` beside a host that runs.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use nozzle_testkit::{Child, Recorder};
use serde_json::Value;

use super::host::{Host, Sink, nozzle};

fn top(args: &[&str]) -> nozzle_testkit::Ended {
    Child::start(nozzle().arg("top").args(args)).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_json_say_what_the_host_does() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let host = Host::start(3, &[Sink("sink", &endpoint.url(), "")], &[]);
    endpoint.held(3).await;
    let address = host.address.to_string();

    let (once, json) = (
        top(&["--admin", &address, "--once"]),
        top(&["--admin", &address, "--json"]),
    );

    assert_eq!(
        (once.code(), json.code()),
        (0, 0),
        "{}{}",
        once.stderr,
        json.stderr
    );
    let status: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(status["version"], 1);
    assert_eq!(status["state"], "running");
    let sink = &status["sinks"][0];
    assert_eq!(
        (&sink["id"], &sink["read"], &sink["in-flight"]),
        (&"t/sink".into(), &3.into(), &3.into())
    );
    let table = |head: &str| -> Vec<Vec<String>> {
        let lines = once
            .stdout
            .lines()
            .skip_while(|line| !line.starts_with(head))
            .take(2);
        lines
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|cell| !cell.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .collect()
    };
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let parts = ["ingresses", "sinks", "egresses"].map(|part| keys(&status[part][0]));
    insta::assert_debug_snapshot!((keys(&status), parts));
    let sinks = table("sink");
    assert_eq!(sinks[0].len(), sinks[1].len(), "{}", once.stdout);
    assert_eq!(
        sinks[1][..8],
        ["t/sink", "3", "0", "0", "0", "0", "3", "3"],
        "{}",
        once.stdout
    );
    assert_eq!(
        table("ingress")[1][..4],
        ["t/in", "3", "0", "3"],
        "{}",
        once.stdout
    );
    assert!(once.stdout.starts_with("nozzle "), "{}", once.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_lines_until_the_host_ends() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let host = Host::start(3, &[Sink("sink", &endpoint.url(), "")], &[]);
    endpoint.held(3).await;
    let address = host.address.to_string();
    let mut top = nozzle();
    let mut top = top
        .args(["top", "--admin", &address])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(top.stdout.take().expect("piped")).lines();

    let first = lines.next().expect("a line").expect("text");
    endpoint.open();
    let ended = host.child.finish();
    let status = top.wait().expect("it ends with its host");

    assert!(first.starts_with("t/sink  3 read  0 delivered"), "{first}");
    assert_eq!(
        (ended.code(), status.code()),
        (0, Some(0)),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_somebody_else_are_told_apart() {
    let other = Recorder::start(|_| 200).await;
    let url = other.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let unused =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let unused = unused.expect("a free port").to_string();

    let (nobody, foreign) = (
        top(&["--admin", &unused]),
        top(&["--admin", address, "--once"]),
    );

    assert_eq!((nobody.code(), foreign.code()), (2, 2));
    let said = format!("{}{}", nobody.stderr, foreign.stderr);
    let said = said.replace(&unused, "UNUSED").replace(address, "OTHER");
    insta::assert_snapshot!(said, @r"
    error: no host answers on `UNUSED`
      caused by: Connection refused (os error 111)
      hint: start the host with --admin, or with `admin` in its module file; name its address with --admin
    error: what listens on `OTHER` is no host of Nozzle: its answer is no status: EOF while parsing a value at line 1 column 0
      hint: name the admin address of a host with --admin
    ");
}
