//! A host that is told to pause, to go on, and to drain, by the command line.

use std::path::Path;

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, Recorder};
use serde_json::Value;
use sha2::Digest;

use super::host::{Host, Sink, nozzle, write_module};

/// A host that can be told something.
fn start(folder: &Path, args: &[&str]) -> Host {
    let host = Host::start_at(folder, args);
    host.until("/ready", |answer| answer.status == 200);
    host
}

/// Runs a command of `nozzle` beside the host, in its folder: so it finds the token by itself.
fn run(folder: &Path, host: &Host, args: &[&str]) -> Ended {
    let address = host.address.to_string();
    let mut command = nozzle();
    command.current_dir(folder).args(args);
    Child::start(command.args(["--admin", &address])).finish()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn ids(bodies: &[String]) -> Vec<u64> {
    let mut ids: Vec<u64> = bodies
        .iter()
        .map(|body| json_of(body)[0]["id"].as_u64().expect("an id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_paused_and_resumed_and_everybody_sees_it() {
    let (one, other) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    one.close();
    let folder = tempfile::tempdir().expect("a folder");
    let few = "    in-flight: { max-calls: 2 }\n";
    let sinks = [
        Sink("one", &one.url(), few),
        Sink("other", &other.url(), few),
    ];
    write_module(folder.path(), 20, &sinks);
    let host = start(folder.path(), &[]);
    one.held(2).await;

    let paused = run(folder.path(), &host, &["pause", "t/one"]);
    let again = run(folder.path(), &host, &["pause", "t/one", "--json"]);
    one.open();
    one.until("those in flight", |bodies| bodies.len() == 2)
        .await;
    other
        .until("all of the other", |bodies| bodies.len() == 20)
        .await;
    let status = host.until("/status", |answer| {
        let sinks = &json_of(&answer.body)["sinks"];
        sinks[0]["delivered"] == 2 && sinks[1]["mode"] == "ended"
    });
    let (metrics, ready) = (host.get("/metrics"), host.get("/ready"));
    let top = run(folder.path(), &host, &["top", "--once"]);
    let list = run(folder.path(), &host, &["sinks"]);
    let held = one.accepted().len();
    let resumed = run(folder.path(), &host, &["resume", "t/one"]);
    let ended = host.child.finish();

    assert_eq!(
        paused.stderr,
        "`t/one` is paused: 2 calls in flight, 20 events held\n"
    );
    let again = json_of(&again.stdout);
    assert_eq!(
        (&again["was"], &again["sink"]["id"]),
        (&"paused".into(), &"t/one".into())
    );
    assert_eq!(json_of(&status.body)["sinks"][0]["mode"], "paused");
    assert!(
        metrics
            .body
            .contains("nozzle_sink_paused{sink=\"t/one\"} 1\n"),
        "{}",
        metrics.body
    );
    assert!(
        metrics
            .body
            .contains("nozzle_sink_paused{sink=\"t/other\"} 0\n"),
        "{}",
        metrics.body
    );
    assert_eq!(ready.status, 200, "it is meant to be so");
    assert!(top.stdout.contains("  paused\n"), "{}", top.stdout);
    insta::assert_snapshot!(list.stdout, @r"
    sink     mode    read  delivered  dead-lettered  in flight  delayed  buffered
    t/one    paused    20          2              0          0        0        18
    t/other  ended     20         20              0          0        0         0
    ");
    assert_eq!(held, 2);
    assert_eq!(resumed.stderr, "`t/one` runs\n");
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ids(&one.accepted()), (1..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_a_pause_a_stop_and_a_restart() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    // As the machine may be slow.
    let few = "    in-flight: { max-calls: 3 }\n    buffer: { max-records: 10 }\n    timeout: { attempt: 5min }\n";
    write_module(folder.path(), 50, &[Sink("sink", &endpoint.url(), few)]);
    let host = start(folder.path(), &[]);
    endpoint.held(3).await;

    let paused = run(folder.path(), &host, &["pause", "t/sink"]);
    host.child.signal(Signal::SIGTERM);
    let draining = host.until("/ready", |answer| answer.status == 503);
    endpoint.open();
    let stopped = host.child.finish();
    let before = endpoint.accepted().len();
    let host = Host::start_at(folder.path(), &[]);
    let ended = host.child.finish();

    assert_eq!(paused.code(), 0, "{}", paused.stderr);
    assert!(draining.body.contains("draining"), "{}", draining.body);
    assert_eq!((stopped.code(), before), (5, 3), "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("the sink ends paused"),
        "{}",
        stopped.stderr
    );
    assert!(
        !stopped.stderr.contains("the grace period is over"),
        "{}",
        stopped.stderr
    );
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let accepted = endpoint.accepted();
    assert_eq!(ids(&accepted), (1..=50).collect::<Vec<_>>());
    // Two instances shape side by side: of what was in flight, a call may stand behind one that had not been made.
    assert!(accepted.len() < 53, "{accepted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_drains_delivers_what_it_has_until_it_is_resumed() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    let small = "    in-flight: { max-calls: 1 }\n    buffer: { max-records: 4 }\n";
    write_module(folder.path(), 30, &[Sink("sink", &endpoint.url(), small)]);
    let host = start(folder.path(), &[]);
    endpoint.held(1).await;

    let draining = run(folder.path(), &host, &["drain", "t/sink", "--json"]);
    endpoint.open();
    let drained = host.until("/v1/sinks/t/sink", |answer| {
        answer.body.contains("\"drained\"")
    });
    let taken = endpoint.accepted().len();
    let resumed = run(folder.path(), &host, &["resume", "t/sink"]);
    let ended = host.child.finish();

    let draining = json_of(&draining.stdout);
    assert_eq!(
        (&draining["was"], &draining["sink"]["mode"]),
        (&"running".into(), &"draining".into())
    );
    let sink = json_of(&drained.body);
    assert_eq!(
        (&sink["buffered"], &sink["delivered"]),
        (&0.into(), &taken.into())
    );
    assert!((4..30).contains(&taken), "{taken}");
    assert_eq!(resumed.code(), 0, "{}", resumed.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ids(&endpoint.accepted()), (1..=30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_drains_ends_as_at_a_signal() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    let module = "    in-flight: { max-calls: 1 }\n    buffer: { max-records: 4 }\n";
    write_module(folder.path(), 30, &[Sink("sink", &endpoint.url(), module)]);
    let host = start(folder.path(), &[]);
    endpoint.held(1).await;

    let nothing = run(folder.path(), &host, &["drain"]);
    let drain = run(folder.path(), &host, &["drain", "--all"]);
    endpoint.open();
    let ended = host.child.finish();

    assert_eq!(nothing.code(), 2, "{}", nothing.stderr);
    assert_eq!(
        drain.stderr,
        "the host reads no more, delivers what it has, and ends\n"
    );
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!((1..30).contains(&endpoint.accepted().len()));
    let audit: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("changed by the admin API"))
        .collect();
    assert_eq!(audit.len(), 1, "{}", ended.stderr);
    assert!(
        audit[0].contains("what=\"drain-host\" result=\"the host drains\""),
        "{audit:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_leaves_a_line_whatever_else_is_logged() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", &endpoint.url(), "")]);
    let host = start(folder.path(), &["--log-format", "json"]);
    endpoint.held(1).await;
    let token =
        std::fs::read_to_string(folder.path().join(".nozzle/admin-token")).expect("a token");

    run(folder.path(), &host, &["pause", "t/sink"]);
    host.ask(
        "POST",
        "/v1/sinks/t/sink/resume",
        "authorization: Bearer canary\r\n",
    );
    run(folder.path(), &host, &["resume", "t/sink"]);
    run(folder.path(), &host, &["pause", "t/none"]);
    endpoint.open();
    let ended = host.child.finish();

    let lines = ended.stderr.lines().map(json_of);
    let audit: Vec<Value> = lines.filter(|line| line["target"] == "audit").collect();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let said: Vec<String> = audit
        .iter()
        .map(|line| {
            let fields = &line["fields"];
            assert!(text(&fields["who"]).starts_with("127.0.0.1:"), "{line}");
            let [what, sink, result] = ["what", "sink", "result"].map(|key| text(&fields[key]));
            format!("{} {what} {sink} {result}", text(&line["level"]))
        })
        .collect();
    assert_eq!(
        said,
        [
            "info pause-sink t/sink paused was running",
            "warn resume-sink t/sink wrong-token",
            "info resume-sink t/sink running was paused",
            "warn pause-sink t/none no-such-sink",
        ]
    );
    assert!(!ended.stderr.contains(token.trim()) && !ended.stderr.contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_with_what_can() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    let sinks = [
        Sink("one", &endpoint.url(), ""),
        Sink("other", &endpoint.url(), ""),
    ];
    write_module(folder.path(), 1, &sinks);
    let host = start(folder.path(), &[]);
    endpoint.held(2).await;
    let elsewhere = tempfile::tempdir().expect("a folder");

    let unknown = run(folder.path(), &host, &["pause", "t/none"]);
    let no_id = run(folder.path(), &host, &["pause", "../none"]);
    let no_token = run(elsewhere.path(), &host, &["pause", "t/one"]);
    let no_file = run(
        folder.path(),
        &host,
        &["pause", "t/one", "--token-file", "none"],
    );
    let reading = run(elsewhere.path(), &host, &["sinks", "--json"]);
    let unused =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let unused = unused.expect("a free port").to_string();
    let nobody = Child::start(nozzle().args(["resume", "t/one", "--admin", &unused])).finish();

    let all = [&unknown, &no_id, &no_token, &no_file, &nobody];
    assert_eq!(all.map(Ended::code), [2; 5]);
    let said = all
        .map(|ended| ended.stderr.replace(&unused, "UNUSED"))
        .join("\n");
    insta::assert_snapshot!(said, @r"
    error: there is no such sink: no sink is called `t/none`
      hint: there are `t/one`, `t/other`

    error: invalid value '../none' for '<SINK>': an id is `namespace/name`, of lower-case letters, digits and `-`

    For more information, try '--help'.

    error: a token is needed
      hint: send `Authorization: Bearer …` with what stands in `admin-token` in the host's state directory; `nozzle` finds it with --state-dir

    error: the token in `none` cannot be read
      caused by: No such file or directory (os error 2)

    error: no host answers on `UNUSED`
      caused by: Connection refused (os error 111)
      hint: start the host with --admin, or with `admin` in its module file; name its address with --admin
    ");
    assert_eq!(json_of(&reading.stdout)["sinks"][1]["id"], "t/other");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_and_progress_are_shown() {
    let endpoint = Recorder::start(|body| if body.contains("\"id\":1}") { 200 } else { 503 }).await;
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 2, &[Sink("sink", &endpoint.url(), "")]);
    let host = start(folder.path(), &[]);

    let ingresses = host.until("/v1/ingresses", |answer| {
        let partition = &json_of(&answer.body)["ingresses"][0]["partitions"][0];
        partition["stored"]["line"]["line"] == 1 && partition["unsettled"] == 1
    });
    let plugins = host.get("/v1/plugins");

    let ingress = &json_of(&ingresses.body)["ingresses"][0];
    assert_eq!(ingress["status"]["id"], "t/in");
    assert_eq!(ingress["partitions"][0]["settled"]["line"]["line"], 1);
    let plugin = &json_of(&plugins.body)["plugins"][0];
    assert_eq!(
        (&plugin["sink"], &plugin["serving"]["generation"]),
        (&"t/sink".into(), &1.into())
    );
    assert_eq!(plugin["shape-calls"], 2);
    let digest = plugin["serving"]["digest"].as_str().expect("a digest");
    let file = std::fs::read(nozzle_testkit::plugin("json_batch.wasm")).expect("a plugin");
    let expected: String = sha2::Sha256::digest(&file)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, expected);
    let since = plugin["serving"]["accepted"].as_str().expect("a time");
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
}
