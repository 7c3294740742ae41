//! Records and dead letters on their way through a file, and what a crash leaves of it.

use std::{
    path::Path,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Egress, file::FileEgress, settings::FileEgressSettings};
use crate::{
    dead_letter::{CauseKind, DeadLetter, LastResponse, Letter},
    event::{Event, Record},
    fuzzing::{draw::Draw, folder},
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().expect("a runtime")
});

const WORDS: [&str; 14] = [
    "\0",
    "\u{e9}",
    "\u{2028}",
    "\u{feff}",
    "\"",
    "\\",
    "\r",
    "{\"data-base64\":\"",
    "YQ==",
    "\"}",
    "{\"data\\u002dbase64\":\"",
    " ",
    "}",
    "{",
];

/// Behind whatever stands in the file, what is written is read back, whole; and after a crash all of it but the line
/// that was cut off.
pub(crate) fn dead_letters(input: &[u8]) {
    let mut draw = Draw::new(input);
    let before = draw.bytes();
    let cut = usize::from(draw.byte());
    let letter = letter(&mut draw);
    let mut records = vec![letter];
    while !draw.is_spent() && records.len() < 8 {
        let data = match draw.below(2) {
            0 => draw.text(&WORDS).into_bytes(),
            _ => draw.bytes().to_vec(),
        };
        records.push(record(data));
    }
    let folder = folder();
    let path = folder.path().join("letters.ndjson");
    std::fs::write(&path, before).expect("written");

    for record in &records {
        // Whatever a line holds: a letter, or a reason.
        drop(Letter::parse(&record.data));
    }
    write(&path, &records);

    let file = std::fs::read(&path).expect("readable");
    let closed = if before.is_empty() || before.ends_with(b"\n") {
        before.len()
    } else {
        before.len() + 1
    };
    assert!(file.starts_with(before) && (closed == before.len() || file[closed - 1] == b'\n'));
    let own = &file[closed..];
    assert_eq!(
        read(own),
        records
            .iter()
            .map(|record| record.data.to_vec())
            .collect::<Vec<_>>()
    );

    // A crash cuts off some of what was written last.
    let left = closed + own.len().saturating_sub(cut);
    std::fs::write(&path, &file[..left]).expect("written");
    let next = [record(b"next".to_vec())];
    write(&path, &next);

    let file = std::fs::read(&path).expect("readable");
    let lines = read(&file[closed..]);
    let torn = own[..left - closed]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    let whole: Vec<_> = records[..torn]
        .iter()
        .map(|record| record.data.to_vec())
        .collect();
    assert_eq!(lines[..torn], whole);
    assert_eq!(lines.last().map(Vec::as_slice), Some(&b"next"[..]));
    assert!((torn + 1..=torn + 2).contains(&lines.len()), "{lines:?}");
}

fn record(data: Vec<u8>) -> Record {
    Record {
        key: None,
        attributes: Vec::new(),
        data: data.into(),
    }
}

/// A letter that says what it was made of.
fn letter(draw: &mut Draw<'_>) -> Record {
    let text = |draw: &mut Draw<'_>| draw.text(&WORDS);
    let key = (draw.below(2) == 0).then(|| text(draw).into_boxed_str());
    let data = draw.bytes().to_vec();
    let event = Event {
        id: text(draw).into(),
        key,
        timestamp_ms: draw.number(),
        attributes: (0..draw.below(3))
            .map(|_| (text(draw).into(), text(draw).into()))
            .collect(),
        data: Bytes::from(data),
    };
    let message = text(draw);
    // Up to the year 2240.
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(draw.number() >> 21);
    let body = draw.bytes();
    let status = (draw.below(2) == 0).then_some(503);
    let letter = DeadLetter {
        event: &event,
        ingress: "t/in",
        sink: Some("t/sink"),
        endpoint: None,
        cause: CauseKind::Status,
        message: &message,
        given_up: at,
        attempts: 3,
        first_attempt: Some(at),
        last_attempt: None,
        last_response: Some(LastResponse { status, body }),
    };

    let record = letter.to_record();

    let read = Letter::parse(&record.data).expect("what is written is read");
    assert_eq!(
        (&read.event, read.sink.as_deref()),
        (&event, Some("t/sink"))
    );

    let json: Value = serde_json::from_slice(&record.data).expect("JSON");
    let own = &json["event"];
    assert!(
        own["id"] == *event.id
            && own["key"].as_str() == event.key.as_deref()
            && record.key == event.key
    );
    assert_eq!(own["timestamp-ms"], event.timestamp_ms);
    let attributes: Vec<(Box<str>, Box<str>)> = match own.get("attributes") {
        None => Vec::new(),
        Some(attributes) => serde_json::from_value(attributes.clone()).expect("pairs of texts"),
    };
    assert_eq!(attributes, event.attributes);
    assert_eq!(text_or_base64(own, "data"), event.data);
    assert!(
        json["message"] == *message
            && json["attempts"] == 3
            && json["last-status"].as_u64() == status.map(u64::from)
    );
    let seen = json["first-attempt"].as_str().map(humantime::parse_rfc3339);
    assert_eq!(seen, Some(Ok(at)));
    assert!(json.get("last-attempt").is_none());
    // A body that was cut within a character lacks the rest of it.
    let said = text_or_base64(&json, "last-response");
    assert!(
        body.starts_with(&said) && body.len() - said.len() < 4,
        "{body:?}: {said:?}"
    );
    record
}

fn text_or_base64(object: &Value, name: &str) -> Vec<u8> {
    match (object.get(name), object.get(format!("{name}-base64"))) {
        (Some(Value::String(text)), None) => text.clone().into_bytes(),
        (None, Some(Value::String(text))) => BASE64_STANDARD.decode(text).expect("base64"),
        (None, None) => Vec::new(),
        both => panic!("{both:?}"),
    }
}

fn write(path: &Path, records: &[Record]) {
    let settings = FileEgressSettings {
        path: path.to_owned(),
        max_bytes: None,
        keep: None,
    };
    RUNTIME.block_on(async {
        let mut egress = FileEgress::open(settings).await.expect("opens");
        egress.write(records).await.expect("writes");
    });
}

/// As `docs/configuration.md` tells a reader of the file: a line is a record, or has it in base64.
fn read(file: &[u8]) -> Vec<Vec<u8>> {
    let lines = file
        .strip_suffix(b"\n")
        .map(|lines| lines.split(|byte| *byte == b'\n'));
    let record = |line: &[u8]| match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(object)) if object.len() == 1 => match object.get("data-base64") {
            Some(Value::String(text)) => BASE64_STANDARD
                .decode(text)
                .unwrap_or_else(|_| line.to_vec()),
            _ => line.to_vec(),
        },
        // As most readers take line ends.
        _ => line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
    };
    lines.into_iter().flatten().map(record).collect()
}
