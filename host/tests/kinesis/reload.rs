//! The module changes while a stream is read, with progress in a table.

use std::path::Path;

use nix::sys::signal::Signal;
use nozzle_testkit::{Boto, Child, Recorder};

use super::host::{Setup, complete, ids, kinesis_local, moto, nozzle};

fn table(name: &str) -> String {
    let url = moto();
    format!(
        "progress: {{ interval: 20ms, dynamodb: {{ table: {name}, endpoint-url: \"{url}\" }} }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_changes_and_its_shards_are_read_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = Boto::start(&[("kinesis", kinesis_local()), ("dynamodb", moto())]);
    boto.create_stream("reloaded", 2);
    boto.put("reloaded", 0, 300, 10);
    let (first, second) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let (one, other) = (first.url(), second.url());
    let table = table("reloaded");
    let setup = Setup {
        more: &[&table],
        ..Setup::new(kinesis_local(), "reloaded", &one)
    };
    let host = setup.start(folder.path());
    first.until("some", |bodies| bodies.len() > 20).await;

    let changed = Setup {
        endpoint: &other,
        ..setup.clone()
    };
    changed.write(folder.path());
    host.signal(Signal::SIGHUP);
    host.wait_for("sinks started anew: t/sink");
    boto.put("reloaded", 300, 600, 10);
    let both = || [first.accepted(), second.accepted()].concat();
    second.until("the rest", |_| complete(&both(), 600)).await;
    // Read otherwise: opened anew, behind what is settled.
    let read_otherwise = Setup {
        ingress: &["start: earliest", "read-ahead: 8MiB"],
        ..changed.clone()
    };
    read_otherwise.write(folder.path());
    host.signal(Signal::SIGHUP);
    host.wait_for("ingresses opened anew: t/in");
    boto.put("reloaded", 600, 700, 10);
    second
        .until("what came later", |_| complete(&both(), 700))
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();
    let shown = nozzle(folder.path(), &["progress", "show", "module.yaml"]);

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut came = ids(&both());
    came.sort_unstable();
    assert_eq!(came, (0..700).collect::<Vec<_>>(), "each once");
    assert!(!second.accepted().is_empty());
    assert_eq!(
        shown.stdout.matches("shardId-").count(),
        2,
        "{}",
        shown.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_progress_is_taken_over_in_the_middle_of_a_reload_stops_at_once() {
    let (first, second) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let mut boto = Boto::start(&[("kinesis", kinesis_local()), ("dynamodb", moto())]);
    boto.create_stream("taken", 1);
    boto.put("taken", 0, 100, 10);
    let [held, recorder, quick] = [(); 3].map(|()| Recorder::start(|_| 200));
    let (held, recorder, quick) = (held.await, recorder.await, quick.await);
    let (url, other, third) = (held.url(), recorder.url(), quick.url());
    let table = table("taken");
    let setup = Setup {
        sink: &["timeout: { attempt: 300s }", "in-flight: { max-calls: 1 }"],
        more: &[&table],
        ..Setup::new(kinesis_local(), "taken", &url)
    };
    let changed = Setup {
        endpoint: &other,
        ..setup.clone()
    };
    // Another ingress and sink: their progress goes on.
    let write = |setup: &Setup, folder: &Path| {
        setup.write(folder);
        let path = folder.join("module.yaml");
        let text = std::fs::read_to_string(&path).expect("written");
        let copy = |from: &str, to: &str| {
            let (_, part) = text.split_once(from).expect("it is there");
            let (part, _) = part.split_once(to).expect("it is there");
            part.replace("t/in", "t/quick-in")
                .replace("t/sink", "t/quick")
        };
        let ingress = copy("ingresses:\n", "sinks:\n");
        let sink = copy("sinks:\n", "egresses:\n").replace(setup.endpoint, &third);
        let text = text
            .replace("sinks:\n", &format!("{ingress}sinks:\n"))
            .replace("egresses:\n", &format!("{sink}egresses:\n"));
        let unfinished = folder.join("module.more");
        std::fs::write(&unfinished, text).expect("written");
        std::fs::rename(unfinished, path).expect("renamed");
    };
    let mut command = setup.command(first.path());
    write(&setup, first.path());
    // A call that does not end keeps the sink from handing over.
    held.close();
    let older = Child::start(command.args(["--grace", "300s"]));
    held.held(1).await;

    write(&changed, first.path());
    older.signal(Signal::SIGHUP);
    older.wait_for("makes room");
    let mut command = changed.command(second.path());
    write(&changed, second.path());
    let newer = Child::start(&mut command);
    newer.wait_for("reading a stream");
    boto.put("taken", 100, 150, 10);
    let stopped = older.finish();
    recorder
        .until("all of it", |bodies| complete(bodies, 150))
        .await;
    newer.signal(Signal::SIGTERM);
    let done = newer.finish();

    assert_eq!(stopped.code(), 4, "{}", stopped.stderr);
    let why = "another host has taken over the ingress";
    assert!(stopped.stderr.contains(why), "{}", stopped.stderr);
    assert!(
        !stopped.stderr.contains("the sink hands over"),
        "{}",
        stopped.stderr
    );
    assert!(held.accepted().is_empty(), "no call of it has ended");
    assert_eq!(done.code(), 0, "{}", done.stderr);
}
