//! The plugin `influxdb`, InfluxDB and VictoriaMetrics.

use std::collections::BTreeMap;

use nozzle_testkit::Server;
use serde_json::{Value, json};

use super::{Work, lines, rejected, weather};

const FIELDS: [&str; 5] = ["precipitation", "temp_max", "temp_min", "weather", "wind"];

/// Milliseconds since the epoch, of a date of the example.
fn milliseconds(record: &Value) -> i64 {
    let date = record["date"].as_str().expect("a date");
    let parts: Vec<i64> = date
        .split('-')
        .map(|part| part.parse().expect("a number"))
        .collect();
    let [year, month, day] = parts[..] else {
        panic!("{date}");
    };
    let is_leap = |year: i64| year % 4 == 0;
    let years: i64 = (1970..year)
        .map(|year| 365 + i64::from(is_leap(year)))
        .sum();
    let february = 28 + i64::from(is_leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: i64 = months.iter().take(month as usize - 1).sum();
    (years + before + day - 1) * 86_400_000
}

#[test]
fn influxdb_has_every_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::influxdb(folder.path());
    server.ask("/query?q=CREATE%20DATABASE%20weather", Some(""));
    let work = Work::new();

    let letters = work.example("influxdb", &[("http://127.0.0.1:8086", server.url())]);

    assert_eq!(letters, Vec::<Value>::new());
    let query = "/query?db=weather&epoch=ms&q=SELECT%20*%20FROM%20days";
    let answer = lines(&server.ask(query, None)).remove(0);
    let series = &answer["results"][0]["series"][0];
    assert_eq!(
        series["columns"],
        json!([
            "time", "location", FIELDS[0], FIELDS[1], FIELDS[2], FIELDS[3], FIELDS[4]
        ])
    );
    // By what a point is known by. A float that is whole comes without its point.
    let found: BTreeMap<(i64, String), Vec<Value>> = series["values"]
        .as_array()
        .expect("points")
        .iter()
        .map(|point| {
            let values = point.as_array().expect("values");
            let values = values.iter().skip(2).map(as_float).collect();
            let location = point[1].as_str().expect("a location").to_owned();
            ((point[0].as_i64().expect("a time"), location), values)
        })
        .collect();
    let sent: BTreeMap<(i64, String), Vec<Value>> = weather()
        .iter()
        .map(|record| {
            let location = record["location"].as_str().expect("a location").to_owned();
            let values = FIELDS.iter().map(|name| as_float(&record[name])).collect();
            ((milliseconds(record), location), values)
        })
        .collect();
    assert_eq!(found, sent);
}

fn as_float(value: &Value) -> Value {
    value.as_f64().map_or_else(|| value.clone(), Value::from)
}

#[test]
fn a_point_of_another_type_is_a_dead_letter_and_the_others_are_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::influxdb(folder.path());
    server.ask("/query?q=CREATE%20DATABASE%20mixed", Some(""));
    let work = Work::new();
    let bad = work.write_mixed(1000);
    let config = json!({
        "api": "v1", "database": "mixed", "measurement": "m",
        "tags": { "n": "{json:/n}" }, "fields": { "v": "{json:/v}" },
    });
    // The first call settles the type: a number comes first.
    let sink = "    status: { 400: split }\n    order: strict\n";

    let (letters, _) = work.send("influxdb", &config, server.url(), sink);

    assert_eq!(letters.len(), bad.len(), "{letters:?}");
    let numbers = rejected(&letters, "");
    assert_eq!(numbers, bad);
    let query = "/query?db=mixed&q=SELECT%20count(v),sum(v)%20FROM%20m";
    let answer = lines(&server.ask(query, None)).remove(0);
    let sum: f64 = (0..1000_u64)
        .filter(|n| !bad.contains(n))
        .map(|n| n as f64 + 0.5)
        .sum();
    let found = &answer["results"][0]["series"][0]["values"][0];
    assert_eq!(
        (&found[1], found[2].as_f64()),
        (&json!(1000 - bad.len()), Some(sum))
    );
}

/// What the line protocol has to escape, and what only looks like it.
const TEXTS: [&str; 18] = [
    "a,b",
    "a=b",
    "a b",
    "a\\b",
    "a\\,b",
    "a\\ b",
    "a\\=b",
    "\"q\"",
    "\u{e9}\u{2211}",
    "\\\\x",
    "\\\\,x",
    "'",
    "#x",
    " lead",
    "trail ",
    "tab\there",
    "\\,",
    "x\\\\\\ y",
];
/// What can be a field alone.
const FIELD_TEXTS: [&str; 6] = ["line\nbreak", "ends\\", "\\\"", "\\\\\"", "\r\n", ""];

#[test]
fn every_text_comes_back_as_it_was_as_a_tag_and_as_a_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::influxdb(folder.path());
    server.ask("/query?q=CREATE%20DATABASE%20texts", Some(""));
    let work = Work::new();
    let pairs = TEXTS.iter().map(|text| (*text, *text));
    let pairs = pairs.chain(FIELD_TEXTS.iter().map(|text| ("plain", *text)));
    let sent: Vec<(String, &str, &str)> = pairs
        .enumerate()
        .map(|(n, (tag, field))| (n.to_string(), tag, field))
        .collect();
    let line = |(n, tag, field): &(String, &str, &str)| {
        format!("{}\n", json!({ "n": n, "tag": tag, "field": field }))
    };
    let text: String = sent.iter().map(line).collect();
    std::fs::write(work.path().join("in.ndjson"), text).expect("written");
    let config = json!({
        "api": "v1", "database": "texts", "measurement": "m, =\\x",
        "tags": { "n": "{json:/n}", "a, =\\tag": "{json:/tag}" },
        "fields": { "a, =\\field": "{json:/field}" },
    });

    let (letters, _) = work.send("influxdb", &config, server.url(), "");

    assert_eq!(letters, Vec::<Value>::new());
    let query = "/query?db=texts&q=SELECT%20*%20FROM%20%2F.*%2F";
    let answer = lines(&server.ask(query, None)).remove(0);
    let series = &answer["results"][0]["series"][0];
    assert_eq!(series["name"], "m, =\\x");
    assert_eq!(
        series["columns"],
        json!(["time", "a, =\\field", "a, =\\tag", "n"])
    );
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let points = series["values"].as_array().expect("points").iter();
    let found: BTreeMap<String, (String, String)> = points
        .map(|point| (text(&point[3]), (text(&point[2]), text(&point[1]))))
        .collect();
    let sent: BTreeMap<String, (String, String)> = sent
        .into_iter()
        .map(|(n, tag, field)| (n, (tag.to_owned(), field.to_owned())))
        .collect();
    assert_eq!(found, sent);
}

#[test]
fn victoria_metrics_has_every_sample() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::victoria_metrics(folder.path());
    let work = Work::new();

    let letters = work.example(
        "influxdb",
        &[
            ("http://127.0.0.1:8086", server.url()),
            ("api: v1", "api: v2"),
            ("database: weather", "bucket: weather"),
        ],
    );

    assert_eq!(letters, Vec::<Value>::new());
    let sent: BTreeMap<(String, i64), f64> = weather()
        .iter()
        .map(|record| {
            let location = record["location"].as_str().expect("a location").to_owned();
            (
                (location, milliseconds(record)),
                record["temp_max"].as_f64().expect("a float"),
            )
        })
        .collect();
    // What was sent can be seen after a flush.
    server.ask("/internal/force_flush", None);
    let export = "/api/v1/export?match[]=days_temp_max&start=1262304000&end=1577836800";
    let found: BTreeMap<(String, i64), f64> = lines(&server.ask(export, None))
        .iter()
        .flat_map(|series| {
            let location = series["metric"]["location"].as_str().expect("a location");
            let times = series["timestamps"].as_array().expect("times").iter();
            let values = series["values"].as_array().expect("values").iter();
            let samples = times.zip(values).map(|(time, value)| {
                let time = time.as_i64().expect("a time");
                (
                    (location.to_owned(), time),
                    value.as_f64().expect("a float"),
                )
            });
            samples.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found, sent);
}
