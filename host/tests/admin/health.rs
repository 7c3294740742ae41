//! `/live` and `/ready`, through the life of a host, and what is refused.

use std::net::TcpListener;

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Recorder};
use serde_json::{Value, json};

use super::host::{Host, Sink, nozzle, send, write_module};

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_ready_until_it_drains_and_live_until_it_ends() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let host = Host::start(3, &[Sink("sink", &endpoint.url(), "")], &[]);

    let ready = host.until("/ready", |answer| answer.status == 200);
    endpoint.held(1).await;
    host.child.signal(Signal::SIGTERM);
    let draining = host.until("/ready", |answer| answer.status == 503);
    let live = host.get("/live");
    let status = host.get("/status");
    endpoint.open();
    let ended = host.child.finish();

    assert_eq!(
        json_of(&ready.body),
        json!({ "ready": true, "reasons": [] })
    );
    let reason = "draining: nothing new is read, and the host is about to end";
    assert_eq!(
        json_of(&draining.body),
        json!({ "ready": false, "reasons": [reason] })
    );
    assert_eq!(
        (live.status, json_of(&live.body)),
        (200, json!({ "live": true }))
    );
    assert_eq!(json_of(&status.body)["state"], "draining");
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        std::net::TcpStream::connect(host.address).is_err(),
        "it is closed with the host"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_has_halted_is_named_as_long_as_the_others_go_on() {
    let (good, bad) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 401).await,
    );
    good.close();
    let sinks = [
        Sink("good", &good.url(), ""),
        Sink("bad", &bad.url(), "    status: { 401: halt }\n"),
    ];
    let host = Host::start(1, &sinks, &[]);

    let halted = host.until("/ready", |answer| answer.body.contains("halted"));
    good.open();
    let ended = host.child.finish();

    assert_eq!(halted.status, 503);
    assert_eq!(
        json_of(&halted.body)["reasons"][0],
        "the sink `t/bad` has halted"
    );
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_sink_has_halted_the_others_have_the_grace_period_and_no_longer() {
    let (hangs, bad) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 401).await,
    );
    hangs.close();
    let sinks = [
        Sink("hangs", &hangs.url(), "    timeout: { attempt: 300s }\n"),
        Sink("bad", &bad.url(), "    status: { 401: halt }\n"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &sinks);
    let run = |grace: &str| {
        let mut host = nozzle();
        host.current_dir(folder.path())
            .args(["run", "module.yaml", "--grace", grace]);
        Child::start(&mut host)
    };

    let ended = run("1ms").finish();
    let healed = Recorder::start(|_| 200).await;
    hangs.open();
    write_module(
        folder.path(),
        1,
        &[
            Sink("hangs", &hangs.url(), ""),
            Sink("bad", &healed.url(), ""),
        ],
    );
    let next = run("30s").finish();

    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    for said in ["sink `t/bad` halted", "the grace period is over"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert_eq!(next.code(), 0, "{}", next.stderr);
    assert_eq!(healed.accepted(), ["[{\"id\":1}]"]);
    assert!(hangs.accepted().contains(&"[{\"id\":1}]".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_refused_with_what_there_is() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let host = Host::start(1, &[Sink("sink", &endpoint.url(), "")], &[]);
    let ask = |line: &str, more: &str| {
        send(
            host.address,
            &format!("{line} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n"),
        )
    };

    let post = ask("POST /status", "content-length: 0\r\n");
    let head = ask("HEAD /metrics", "");
    let other = ask("GET /config", "");
    let flood = ask("GET /live", &format!("x: {}\r\n", "y".repeat(100_000)));
    let query = ask("GET /live?verbose=1", "");

    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get, head"), "{}", post.head);
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(other.status, 404);
    assert_eq!(
        json_of(&other.body)["hint"],
        "`/v1/openapi.json` describes all of them"
    );
    assert_eq!(flood.status, 431);
    assert_eq!(query.status, 200);
    for answer in [post, head, other, query] {
        assert!(
            answer.head.contains("cache-control: no-store"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn a_taken_port_is_an_error_before_anything_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", "http://127.0.0.1:9/", "")]);

    let mut command = nozzle();
    let args = ["run", "module.yaml", "--admin", &address];
    let ended = Child::start(command.current_dir(folder.path()).args(args)).finish();

    assert_eq!(ended.code(), 2);
    let said = ended.stderr.replace(&address, "ADDRESS");
    insta::assert_snapshot!(said, @r"
    error: the admin address `ADDRESS` cannot be listened on
      caused by: Address already in use (os error 98)
      hint: another host may have it: pass another address with --admin, or stop that host
    ");
    assert!(
        !folder.path().join(".nozzle").exists(),
        "nothing was opened"
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    let mut command = nozzle();
    let args = ["run", "module.yaml", "--admin", "example.com:9464"];
    let ended = Child::start(command.args(args)).finish();

    assert_eq!(ended.code(), 2);
    assert!(
        ended.stderr.contains("write an IP address and a port"),
        "{}",
        ended.stderr
    );
}
