//! Routers with conditions, and the events that none takes.

use std::path::Path;

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{counts, done, letters, module, nozzle, sink, write_records};

/// Records of three regions in turn, one of which no router takes.
fn write_regions(folder: &Path, count: u64) {
    let line = |id: u64| {
        let region = ["eu", "us", "ap"][(id % 3) as usize];
        format!("{{\"id\":{id},\"at\":{{\"region\":\"{region}\"}}}}\n")
    };
    std::fs::write(
        folder.join("in.ndjson"),
        (0..count).map(line).collect::<String>(),
    )
    .expect("written");
}

fn routers(unrouted: &str) -> String {
    format!(
        "    routers:\n      - {{ to: [t/eu, t/all], when: {{ json: {{ pointer: /at/region, equals: eu }} }} }}\n      - {{ to: [t/all], when: {{ any: [{{ json: {{ pointer: /at/region, matches: ^u }} }}] }} }}\n{unrouted}"
    )
}

struct Endpoints {
    eu: Recorder,
    all: Recorder,
}

async fn endpoints(folder: &Path, unrouted: &str, more: &[String], egresses: &str) -> Endpoints {
    let (eu, all) = (
        Recorder::start(|_| 200).await,
        Recorder::start(|_| 200).await,
    );
    let mut sinks = vec![
        sink("t/eu", &eu.url(), "{data}", ""),
        sink("t/all", &all.url(), "{data}", ""),
    ];
    sinks.extend_from_slice(more);
    module(folder, &routers(unrouted), &sinks, egresses);
    Endpoints { eu, all }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_where_its_data_says_over_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let records = 3_000;
    write_regions(folder, records);
    let ends = endpoints(folder, "", &[], "").await;

    for kill in 1..=3_usize {
        let child = nozzle(folder, &["run", "module.yaml"]);
        let wanted = kill * 300;
        ends.all
            .until("before the kill", |bodies| counts(bodies).len() >= wanted)
            .await;
        child.signal(Signal::SIGKILL);
        child.finish();
    }
    let last = done(folder, &["run", "module.yaml"]);

    let (eu, all) = (ends.eu.accepted(), ends.all.accepted());
    assert_eq!(counts(&eu).len(), 1_000);
    assert!(eu.iter().all(|body| body.contains("\"eu\"")));
    assert_eq!(counts(&all).len(), 2_000);
    assert!(all.iter().all(|body| !body.contains("\"ap\"")));
    // Without a word in the module, what no router takes is kept, and can be sent.
    assert!(
        last.stderr
            .contains("events that no router takes go to a file"),
        "{}",
        last.stderr
    );
    assert!(
        last.stderr.contains("t/in: no router took "),
        "{}",
        last.stderr
    );
    let kept = letters(&folder.join(".nozzle/unrouted-t_in.ndjson"));
    let kept: Vec<String> = kept
        .iter()
        .map(|letter| {
            assert_eq!(
                (&letter["cause"], &letter["ingress"]),
                (&"unrouted".into(), &"t/in".into())
            );
            letter["event"]["data"].as_str().expect("a text").to_owned()
        })
        .collect();
    assert_eq!(counts(&kept).len(), 1_000);
    done(
        folder,
        &[
            "replay",
            ".nozzle/unrouted-t_in.ndjson",
            "--module",
            "module.yaml",
            "--to",
            "t/eu",
        ],
    );
    assert_eq!(counts(&ends.eu.accepted()).len(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn unrouted_events_are_dropped_and_counted_or_go_to_a_sink_or_an_egress() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_regions(folder, 300);
    let state = |name: &'static str| ["run", "module.yaml", "--state-dir", name];

    let dropped = endpoints(folder, "    unrouted: drop\n", &[], "").await;
    let said = done(folder, &state("a")).stderr;
    let rest = Recorder::start(|_| 200).await;
    let third = [sink("t/rest", &rest.url(), "{data}", "")];
    let _kept = endpoints(folder, "    unrouted: t/rest\n", &third, "").await;
    done(folder, &state("b"));
    let _kept_too = endpoints(
        folder,
        "    unrouted: t/none\n",
        &[],
        "  - { id: t/none, file: { path: none.ndjson } }\n",
    )
    .await;
    done(folder, &state("c"));

    assert_eq!(
        (dropped.eu.accepted().len(), dropped.all.accepted().len()),
        (100, 200)
    );
    assert!(said.contains("t/in: no router took 100 events"), "{said}");
    assert!(!folder.join("a/unrouted-t_in.ndjson").exists());
    let rest = rest.accepted();
    assert_eq!((counts(&rest).len(), rest.len()), (100, 100));
    assert!(rest.iter().all(|body| body.contains("\"ap\"")));
    assert_eq!(letters(&folder.join("none.ndjson")).len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_halts_delivers_what_is_before_and_goes_on_with_the_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_regions(folder, 300);

    let ends = endpoints(folder, "    unrouted: halt\n", &[], "").await;
    let halted = nozzle(folder, &["run", "module.yaml"]).finish();
    let before = (ends.eu.accepted().len(), ends.all.accepted().len());
    let ends = endpoints(folder, "    unrouted: drop\n", &[], "").await;
    done(folder, &["run", "module.yaml"]);

    assert_eq!(halted.code(), 4, "{}", halted.stderr);
    assert!(
        halted
            .stderr
            .contains("caused by: no router takes the event `t/in/in.ndjson-"),
        "{}",
        halted.stderr
    );
    assert_eq!(
        before,
        (1, 2),
        "the third is the first that no router takes"
    );
    assert_eq!(
        (ends.eu.accepted().len(), ends.all.accepted().len()),
        (99, 198)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_no_json_is_not_taken_by_a_condition_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_records(folder, 1);
    std::fs::write(
        folder.join("in.ndjson"),
        "no json\n{\"at\":{\"region\":\"eu\"}}\n{\"at\":\n",
    )
    .expect("written");

    let ends = endpoints(folder, "    unrouted: drop\n", &[], "").await;
    let said = done(folder, &["run", "module.yaml"]).stderr;

    assert_eq!(ends.eu.accepted(), ["{\"at\":{\"region\":\"eu\"}}"]);
    assert!(said.contains("t/in: no router took 2 events"), "{said}");
}
