//! CloudEvents, read by the SDKs of PyPI and npm.

use nozzle_testkit::{
    EventReader,
    fault_endpoint::{WireRequest, answer},
};
use serde_json::{Value, json};

use super::{Run, alerts, run, run_with};

/// What the SDK of PyPI, and that of npm, read.
fn read(run: &Run) -> [Vec<Value>; 2] {
    [EventReader::python(), EventReader::node()].map(|mut reader| {
        let mut events = Vec::new();
        for request in run.server.requests() {
            let read = reader.read(&request.raw).expect("they are CloudEvents");
            events.extend(read.as_array().expect("a list").iter().cloned());
        }
        // Calls go side by side.
        events.sort_by_key(|event| event["attributes"]["time"].to_string());
        events
    })
}

/// The events that the module makes of the alerts, without their ids.
fn expected() -> Vec<Value> {
    let event = |alert: Value| {
        let text = |name: &str| alert[name].as_str().expect("text").to_owned();
        json!({
            "attributes": {
                "specversion": "1.0",
                "type": format!("com.example.alert.{}", text("status")),
                "source": format!("/checks/{}", text("check")),
                "subject": text("host"),
                "time": text("at").replace('Z', ".000Z"),
                "severity": text("level"),
                "datacontenttype": "application/json",
            },
            "data": alert,
        })
    };
    alerts().into_iter().map(event).collect()
}

/// The ids, taken out.
fn take_ids(events: &mut [Value]) -> Vec<String> {
    let id = |event: &mut Value| {
        let attributes = event["attributes"].as_object_mut().expect("an object");
        let id = attributes.remove("id").expect("an id");
        id.as_str().expect("text").to_owned()
    };
    events.iter_mut().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sdks_read_what_was_meant_in_every_mode() {
    for (mode, requests) in [("binary", 6), ("structured", 6), ("batched", 1)] {
        let words = [("mode: binary", format!("mode: {mode}"))];
        let words = words
            .each_ref()
            .map(|(word, other)| (*word, other.as_str()));

        let run = run("cloudevents", |_: &WireRequest| answer(202, &[]), &words).await;

        assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
        assert_eq!(run.server.requests().len(), requests, "{mode}");
        let [mut python, mut node] = read(&run);
        let (ids, same) = (take_ids(&mut python), take_ids(&mut node));
        assert_eq!(ids, same);
        assert!(
            ids.iter().all(|id| id.starts_with("hooks/alerts/")),
            "{ids:?}"
        );
        assert_eq!(python, expected(), "{mode}");
        if mode == "binary" {
            // The SDK of npm leaves the decoding of headers to its user.
            let subject = &mut node[2]["attributes"]["subject"];
            assert_eq!(*subject, "caf%C3%A9");
            *subject = "caf\u{e9}".into();
        }
        assert_eq!(node, expected(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_an_event_is_read_as_that_event_in_every_mode() {
    let mut sent = json!({
        "specversion": "1.0", "id": "A234", "source": "/mycontext", "type": "com.example.someevent",
        "time": "2018-04-05T17:31:00.000Z", "comexampleothervalue": 5,
        "datacontenttype": "text/xml", "data": "<much wow=\"xml\"/>",
    });
    let expected = json!([{
        "attributes": {
            "specversion": "1.0", "id": "A234", "source": "/mycontext", "type": "com.example.someevent",
            "time": "2018-04-05T17:31:00.000Z", "comexampleothervalue": "5", "datacontenttype": "text/xml",
        },
        "data": "<much wow=\"xml\"/>",
    }]);

    for mode in ["structured", "batched", "binary"] {
        let words = [("mode: binary", format!("mode: {mode}"))];
        let words = words
            .each_ref()
            .map(|(word, other)| (*word, other.as_str()));
        if mode == "binary" {
            // What is null is not there. In JSON the SDK of PyPI takes it for a value, and an event goes as it is.
            sent["subject"] = Value::Null;
        }

        let run = run_with(
            "cloudevents",
            |_: &WireRequest| answer(204, &[]),
            &words,
            &sent.to_string(),
        )
        .await;

        assert_eq!(run.ended.code(), 0, "{}", run.ended.stderr);
        for events in read(&run) {
            assert_eq!(Value::from(events), expected, "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_does_not_take_the_mode_is_asked_once() {
    let words = [("mode: binary", "mode: batched")];

    let run = run("cloudevents", |_: &WireRequest| answer(415, &[]), &words).await;

    assert_eq!(run.server.requests().len(), 1);
    assert_eq!(run.letters.len(), 6);
    let reasons = run.reasons();
    assert!(reasons[0].contains("batched mode"), "{reasons:?}");
}
