//! What a user reads who got it wrong.

use nozzle_testkit::{Fault, FaultLayer};
use serde_json::json;

use super::host::{Setup, boto, kinesis_local, moto};

/// What the host says before it gives up, without what differs from run to run.
fn said(setup: &Setup<'_>, environment: &[(&str, &str)], exit_code: i32) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = setup.command(folder.path());
    command.envs(environment.iter().copied());
    let ended = nozzle_testkit::Child::start(&mut command).finish();
    assert_eq!(ended.code(), exit_code, "{}", ended.stderr);
    let from = ended.stderr.find("error:").expect("an error");
    ended.stderr.get(from..).unwrap_or_default().to_owned()
}

const UNUSED: &str = "http://127.0.0.1:9/";

#[test]
fn a_stream_that_is_not_there() {
    let error = said(&Setup::new(kinesis_local(), "nowhere", UNUSED), &[], 4);

    insta::assert_snapshot!(error);
}

#[test]
fn an_egress_that_is_not_there() {
    let egress = format!(
        "  - id: t/out\n    kinesis:\n      stream: nowhere\n      endpoint-url: \"{}\"",
        moto()
    );
    let mut boto = boto(moto());
    boto.create_stream("egress-errors", 1);
    let setup = Setup {
        more: &[&egress],
        ..Setup::new(moto(), "egress-errors", UNUSED)
    };

    let error = said(&setup, &[], 4);

    insta::assert_snapshot!(error);
}

#[test]
fn no_credentials() {
    let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let error = said(&Setup::new(kinesis_local(), "nowhere", UNUSED), &none, 4);

    insta::assert_snapshot!(error);
}

#[test]
fn no_region() {
    let error = said(
        &Setup::new(kinesis_local(), "nowhere", UNUSED),
        &[("AWS_REGION", "")],
        4,
    );

    insta::assert_snapshot!(error);
}

#[test]
fn a_service_that_cannot_be_reached() {
    let setup = Setup::new("http://127.0.0.1:1", "nowhere", UNUSED);

    let error = said(&setup, &[], 4);

    insta::assert_snapshot!(error);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_refuses() {
    for (code, name) in [
        ("AccessDeniedException", "denied"),
        ("UnrecognizedClientException", "credentials"),
        ("ExpiredTokenException", "expired"),
    ] {
        let layer = FaultLayer::start(kinesis_local(), move |_| Fault::Refuse(code)).await;
        let url = layer.url();

        let error =
            tokio::task::block_in_place(|| said(&Setup::new(&url, "nowhere", UNUSED), &[], 4));

        insta::assert_snapshot!(name, error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_being_deleted() {
    let layer = FaultLayer::start(kinesis_local(), |_| {
        Fault::Answer(json!({ "StreamDescriptionSummary": {
            "StreamName": "going", "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/going",
            "StreamStatus": "DELETING", "RetentionPeriodHours": 24, "StreamCreationTimestamp": 1.0,
            "EnhancedMonitoring": [], "OpenShardCount": 1,
        } }))
    })
    .await;
    let url = layer.url();

    let error = tokio::task::block_in_place(|| said(&Setup::new(&url, "going", UNUSED), &[], 4));

    insta::assert_snapshot!(error);
}

#[test]
fn a_stream_that_was_made_anew_and_has_read_shards_open_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("reopened", 1);
    boto.put("reopened", 0, 3, 1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recorder = runtime.block_on(nozzle_testkit::Recorder::start(|_| 200));
    let url = recorder.url();
    let setup = Setup::new(kinesis_local(), "reopened", &url);
    let host = setup.start(folder.path());
    runtime.block_on(super::host::all(&recorder, 3));
    let shards = boto.open_shards("reopened");
    boto.split("reopened", &shards[0]);
    host.wait_for("a shard is read to its end");
    host.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);
    boto.kinesis("delete_stream", json!({ "StreamName": "reopened" }));
    let describe = json!({ "StreamName": "reopened" });
    while boto
        .try_call("kinesis", "describe_stream_summary", describe.clone())
        .is_ok()
    {}
    boto.create_stream("reopened", 1);

    let ended = setup.start(folder.path()).finish();

    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    let expected = "is read to its end, but that shard takes records";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_stream_that_was_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut boto = boto(kinesis_local());
    boto.create_stream("anew", 1);
    boto.put("anew", 0, 3, 1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let recorder = runtime.block_on(nozzle_testkit::Recorder::start(|_| 200));
    let url = recorder.url();
    let setup = Setup::new(kinesis_local(), "anew", &url);
    let host = setup.start(folder.path());
    runtime.block_on(super::host::all(&recorder, 3));
    host.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(host.finish().code(), 0);
    let exported = super::host::nozzle(folder.path(), &["progress", "export", "module.yaml"]);
    let exported: serde_json::Value = serde_json::from_str(&exported.stdout).expect("JSON");
    let stored = exported[0]["position"]["shard"]["record"]["sequence"].as_str();
    let stored = stored.expect("a sequence number");
    // The server numbers streams by the second: one that is made in the same second begins at the same number.
    for _ in 0..100 {
        boto.kinesis("delete_stream", json!({ "StreamName": "anew" }));
        let describe = json!({ "StreamName": "anew" });
        while boto
            .try_call("kinesis", "describe_stream_summary", describe.clone())
            .is_ok()
        {}
        boto.create_stream("anew", 1);
        let listed = boto.kinesis("list_shards", json!({ "StreamName": "anew" }));
        let begins = listed["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"].as_str();
        if begins.expect("a sequence number") > stored {
            break;
        }
    }

    let ended = setup.start(folder.path()).finish();

    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("but that shard begins at 4"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("hint: a stream that was deleted and made anew"),
        "{}",
        ended.stderr
    );
}
