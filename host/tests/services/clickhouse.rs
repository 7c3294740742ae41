//! The plugin `clickhouse` and ClickHouse.

use nozzle_testkit::Server;
use serde_json::{Value, json};

use super::{Work, lines, rejected, sorted, weather};

#[test]
fn clickhouse_has_every_row_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::clickhouse(folder.path(), 100);
    server.ask(
        "/",
        Some(
            "CREATE TABLE weather (id String, location String, date Date, precipitation Float64, temp_max Float64, \
             temp_min Float64, wind Float64, weather String) ENGINE = MergeTree ORDER BY id",
        ),
    );
    let work = Work::new();

    let letters = work.example(
        "clickhouse",
        &[
            ("http://127.0.0.1:8123", server.url()),
            // Debian's server is too old for tokens and for parallel parsing.
            (
                "table: weather",
                "{ table: weather, deduplicate: false, settings: {} }",
            ),
        ],
    );

    assert_eq!(letters, Vec::<Value>::new());
    let rows = server.ask(
        "/?query=SELECT%20*%20FROM%20weather%20FORMAT%20JSONEachRow",
        None,
    );
    // A float that is whole is written without its point.
    let as_floats = |mut row: Value| {
        for name in ["precipitation", "temp_max", "temp_min", "wind"] {
            row[name] = row[name].as_f64().into();
        }
        row
    };
    let rows = lines(&rows).into_iter().map(as_floats).collect();
    assert_eq!(sorted(rows), weather());
}

#[test]
fn a_row_that_clickhouse_cannot_parse_is_a_dead_letter_and_the_others_are_there_once() {
    let folder = tempfile::tempdir().expect("a folder");
    // One query at a time: others get the code 202.
    let server = Server::clickhouse(folder.path(), 1);
    server.ask(
        "/",
        Some("CREATE TABLE mixed (n UInt32, v Float64) ENGINE = MergeTree ORDER BY n"),
    );
    let work = Work::new();
    let bad = work.write_mixed(2000);
    let config = json!({ "table": "mixed", "deduplicate": false, "settings": {} });

    let (letters, summary) = work.send("clickhouse", &config, server.url(), "");

    assert_eq!(rejected(&letters, "ClickHouse's code 27"), bad);
    let counts = server.ask(
        "/?query=SELECT%20count(),uniqExact(n),sum(v=n%2B0.5)%20FROM%20mixed",
        None,
    );
    let count = 2000 - bad.len();
    assert_eq!(counts.trim(), format!("{count}\t{count}\t{count}"));
    assert!(summary["retried"].as_u64() > Some(0), "{summary}");
}
