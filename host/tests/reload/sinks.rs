//! Sinks that come, change and go.

use nix::sys::signal::Signal;
use nozzle_testkit::{
    Recorder,
    fault_endpoint::{FaultEndpoint, Step, Wire, WireRequest, ok as answer},
    plugin,
};

use super::{Rig, STREAM, each_once, ids, metric, module, nobody, sink, to, until, write_records};

fn ok(_: &WireRequest) -> Vec<Step> {
    answer(b"")
}

fn bodies(endpoint: &FaultEndpoint) -> Vec<String> {
    let requests = endpoint.requests();
    let body = |request: &WireRequest| String::from_utf8_lossy(&request.body).into_owned();
    requests.iter().map(body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_added_changed_and_removed_and_its_neighbour_is_not_touched() {
    // One call at a time: an untouched sink needs one connection for all of its life.
    let first = FaultEndpoint::start(Wire::Http, ok).await;
    let (second, third) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let a = sink("t/a", &first.url(), "    in-flight: { max-calls: 1 }\n");
    let with = |more: &[String]| {
        let names = match more.is_empty() {
            true => "t/a",
            false => "t/a, t/b",
        };
        let sinks = [std::slice::from_ref(&a), more].concat();
        module(&format!("{STREAM}{}", to(names)), &sinks, "")
    };
    let rig = Rig::new(&with(&[]));
    let host = rig.start();
    first.received(2).await;

    rig.reload(
        &host,
        &with(&[sink("t/b", &second.url(), "")]),
        "sinks added: t/b; ingresses routed anew: t/in",
    );
    second.until("calls", |bodies| bodies.len() > 5).await;
    let other = sink(
        "t/b",
        &third.url(),
        "    batch: { max-records: 7, max-wait: 10ms }\n",
    );
    rig.reload(&host, &with(&[other]), "sinks started anew: t/b");
    third.until("calls", |bodies| bodies.len() > 5).await;
    rig.reload(
        &host,
        &with(&[]),
        "sinks removed: t/b; ingresses routed anew: t/in",
    );
    let before = first.requests().len();
    first.received(before + 5).await;
    let instances = metric(&rig, "nozzle_plugin_instances_made_total{sink=\"t/a\"}");
    let reloads = metric(&rig, "nozzle_module_reloads_total{result=\"accepted\"}");
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(first.connections(), 1, "its connection is kept");
    assert_eq!((&*instances, &*reloads), ("1", "3"));
    let a = ids(&bodies(&first));
    assert_eq!(a.iter().min(), Some(&0));
    let all = each_once("t/a", a);
    let (second, third) = (ids(&second.accepted()), ids(&third.accepted()));
    assert!(!second.is_empty() && third.len() > 5);
    let b = each_once("t/b", [second, third].concat());
    assert!(b < all, "{b} of {all}");
    let lines = ended.stderr.lines();
    let clean = lines.filter(|line| line.ends_with("0 dropped + 0 dead-lettered"));
    assert_eq!(clean.count(), 2, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_holds_for_an_endpoint_that_is_down_goes_to_the_one_that_is_named_then() {
    let right = Recorder::start(|_| 200).await;
    let retry = "    retry: { initial-delay: 10ms, max-delay: 50ms }\n";
    let ingress = format!(
        "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
        to("t/a")
    );
    let with = |url: &str| module(&ingress, &[sink("t/a", url, retry)], "");
    let rig = Rig::new(&with(&nobody()));
    write_records(rig.path(), "in.ndjson", 0..30_000);
    let host = rig.start();
    host.wait_for("the endpoint is down");

    rig.reload(&host, &with(&right.url()), "sinks started anew: t/a");
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(each_once("all", ids(&right.accepted())), 30_000);
    assert!(
        ended.stderr.contains("30,000 read") && ended.stderr.contains("30,000 delivered"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plugin_or_configuration_is_swapped_in_and_the_sink_goes_on() {
    let endpoint = FaultEndpoint::start(Wire::Http, ok).await;
    let one = sink("t/a", &endpoint.url(), "    in-flight: { max-calls: 1 }\n");
    let path = plugin("json_batch.wasm").display().to_string();
    let other = one.replace(&path, &plugin("per_record.wasm").display().to_string());
    let configured = one.replace(
        &format!("{path} }}"),
        &format!("{path}, config: {{ target: \"put\", method: put }} }}"),
    );
    let with = |sink: &String| {
        module(
            &format!("{STREAM}{}", to("t/a")),
            std::slice::from_ref(sink),
            "",
        )
    };
    let rig = Rig::new(&with(&one));
    let host = rig.start();
    endpoint.received(2).await;

    rig.reload(&host, &with(&other), "plugins replaced: t/a");
    host.wait_for("generation=2");
    let at = endpoint.requests().len();
    endpoint.received(at + 50).await;
    rig.reload(&host, &with(&configured), "generation=3");
    let at = endpoint.requests().len();
    endpoint.received(at + 3).await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(endpoint.connections(), 1, "its connection is kept");
    each_once("all", ids(&bodies(&endpoint)));
    let requests = endpoint.requests();
    let last = requests.last().expect("calls");
    assert_eq!((&*last.method, &*last.target), ("PUT", "/put"));
    assert!(requests.iter().any(|call| call.body.starts_with(b"{")));
    assert!(
        !ended.stderr.contains("the sink hands over"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_hand_their_dead_letters_to_another_change_with_it() {
    let fine = Recorder::start(|_| 200).await;
    let refuses = Recorder::start(|_| 400).await;
    let ingress = format!(
        "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
        to("t/a")
    );
    let with = |a: &str, b: &str| {
        let a = sink(
            "t/a",
            &refuses.url(),
            &format!("    dead-letters: t/b\n{a}"),
        );
        module(&ingress, &[a, sink("t/b", &fine.url(), b)], "")
    };
    let rig = Rig::new(&with("", ""));
    write_records(rig.path(), "in.ndjson", 0..20_000);
    let host = rig.start();
    fine.until("letters", |bodies| bodies.len() > 10).await;

    let batch = |size| format!("    batch: {{ max-records: {size}, max-wait: 10ms }}\n");
    rig.reload(&host, &with("", &batch(19)), "sinks started anew: t/b");
    rig.reload(
        &host,
        &with(&batch(18), &batch(19)),
        "sinks started anew: t/a",
    );
    rig.reload(&host, &with("", ""), "sinks started anew: t/a, t/b");
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let mut letters = ids(&fine.accepted());
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), 20_000, "each has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_whose_ingress_has_come_to_its_end_is_not_touched_either() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let ingress = format!(
        "  - id: t/in\n    file: {{ path: in.ndjson }}\n{}",
        to("t/a")
    );
    let text = module(&ingress, &[sink("t/a", &endpoint.url(), "")], "");
    let rig = Rig::new(&text);
    write_records(rig.path(), "in.ndjson", 0..5);
    let host = rig.start();
    endpoint.held(1).await;

    rig.reload(&host, &text, "the module was read again, and is as it was");
    endpoint.open();
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(each_once("all", ids(&endpoint.accepted())), 5);
    assert!(!ended.stderr.contains("makes room"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_swapped_in_serves_on_as_long_as_the_new_path_is_what_it_was() {
    let endpoint = FaultEndpoint::start(Wire::Http, ok).await;
    let other = Recorder::start(|_| 200).await;
    let path = plugin("json_batch.wasm").display().to_string();
    let with = |first: &str| {
        let a = sink("t/a", &endpoint.url(), "").replace(&path, first);
        let b = sink("t/b", &other.url(), "").replace(&path, "b.wasm");
        module(&format!("{STREAM}{}", to("t/a, t/b")), &[a, b], "")
    };
    let rig = Rig::new(&with("one.wasm"));
    let copy = |from: &str, name: &str| {
        let unfinished = rig.path().join("plugin.part");
        std::fs::copy(plugin(from), &unfinished).expect("copied");
        std::fs::rename(unfinished, rig.path().join(name)).expect("renamed");
    };
    copy("json_batch.wasm", "one.wasm");
    copy("per_record.wasm", "two.wasm");
    copy("json_batch.wasm", "b.wasm");
    let host = rig.start();
    endpoint.received(2).await;

    rig.reload(&host, &with("two.wasm"), "plugins replaced: t/a");
    let swapped = rig.tell(&["plugin", "swap", "t/a", "one.wasm"]);
    // Files are looked at every now and then: when this one was read twice, the other one was looked at, too.
    for (version, generation) in [("per_record.wasm", "2"), ("json_batch.wasm", "3")] {
        copy(version, "b.wasm");
        until("a version of `t/b`", || {
            metric(&rig, "nozzle_plugin_generation{sink=\"t/b\"}") == generation
        })
        .await;
    }
    let generation = metric(&rig, "nozzle_plugin_generation{sink=\"t/a\"}");
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(swapped.code(), 0, "{}", swapped.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(generation, "3", "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_begins_again_has_somebody_to_hand_its_letters_to() {
    let (refuses, letters, others) = (
        Recorder::start(|_| 400).await,
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let sinks = [
        sink("t/a", &refuses.url(), "    dead-letters: t/b\n"),
        sink("t/b", &letters.url(), ""),
        sink("t/c", &others.url(), ""),
    ];
    let with = |file: &str| {
        let read = format!(
            "  - id: t/file\n    file: {{ path: {file} }}\n{}",
            to("t/a")
        );
        module(&format!("{STREAM}{}{read}", to("t/c")), &sinks, "")
    };
    let rig = Rig::new(&with("one.ndjson"));
    write_records(rig.path(), "one.ndjson", 0..50);
    write_records(rig.path(), "two.ndjson", 50..100);
    let host = rig.start();
    letters
        .until("letters of the first file", |bodies| {
            ids(bodies).len() == 50
        })
        .await;
    // Both sinks come to their end with it.
    let open = "nozzle_ingress_unsettled_events{ingress=\"t/file\"}";
    until("all of it is settled", || metric(&rig, open) == "0").await;

    rig.reload(&host, &with("two.ndjson"), "ingresses opened anew: t/file");
    letters
        .until("those of the second", |bodies| ids(bodies).len() == 100)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
}
