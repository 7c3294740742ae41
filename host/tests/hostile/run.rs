//! All rows in one host, a sink each, and a sink beside them that does no harm.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    process::Command,
    time::Duration,
};

use nozzle_testkit::{Child, DEADLINE, Recorder, plugin};
use serde_json::Value;
use tokio::time::Instant;

use super::rows::{End, ROWS, Row};

const RECORDS: u64 = 40;
const POISON: u64 = 13;

/// What all of them together may hold, in bytes: a buffer, a memory and an answer for each of the two or so that run.
const MEMORY: u64 = 1200 << 20;

fn write_module(folder: &Path, url: &str) {
    let records: String = (1..=RECORDS)
        .map(|id| match id {
            POISON => format!("{{\"id\":{id},\"is\":\"poison\"}}\n"),
            _ => format!("{{\"id\":{id}}}\n"),
        })
        .collect();
    std::fs::write(folder.join("in.ndjson"), records).expect("written");
    let names: Vec<String> = ROWS.iter().map(|row| format!("t/{}", row.tag())).collect();
    let mut text = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/innocent, {}] }}]\nendpoints:\n  - {{ id: t/endpoint, url: \"{url}\", concurrency: {{ strategy: fixed }}, auth: {{ header: {{ name: x-api-key, value: secret }} }} }}\negresses:\n  - {{ id: t/failed, file: {{ path: failed.ndjson }} }}\nsinks:\n  - id: t/innocent\n    plugin: {{ path: {} }}\n    endpoint: t/endpoint\n    batch: {{ max-records: 8 }}\n",
        names.join(", "),
        plugin("json_batch.wasm").display(),
    );
    let path = plugin("hostile.wasm").display().to_string();
    for row in ROWS {
        let Row {
            at,
            sin,
            limits,
            batch,
            ..
        } = row;
        let tag = row.tag();
        let keys = |key: &str, value: &str| match limits.contains(key) {
            true => String::new(),
            false => format!(", {key}: {value}"),
        };
        let more = [
            keys("time", "60s"),
            keys("instances", "1"),
            keys("output", "16MiB"),
        ];
        let limits = format!("memory: 64MiB, {limits}{}", more.concat()).replace(", , ", ", ");
        write!(text, "  - id: t/{tag}\n    plugin: {{ path: {path}, config: {{ {at}: {sin}, tag: {tag} }}, limits: {{ {limits} }} }}\n    endpoint: t/endpoint\n    batch: {{ max-records: {batch}, max-wait: 50ms }}\n    retry: {{ max-attempts: 2, initial-delay: 1ms, max-delay: 50ms }}\n    dead-letters: t/failed\n").expect("memory");
    }
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

/// The binary, in a folder; plugins must not see its environment.
pub(crate) fn nozzle(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    let command = command.env("NOZZLE_HOSTILE", "in the environment");
    Child::start(command.current_dir(folder).args(args))
}

/// The records that came, by what their bodies begin with: `tag[{"id":1},…]`.
pub(crate) fn delivered(bodies: &[String]) -> BTreeMap<String, BTreeSet<u64>> {
    let mut delivered: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for body in bodies {
        let (tag, rest) = body.split_once('[').unwrap_or((body, ""));
        // Separators may be anything.
        let ids = rest.split("\"id\":").skip(1).filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        delivered.entry(tag.to_owned()).or_default().extend(ids);
    }
    delivered
}

/// The cause and the message of each letter, by sink and record.
pub(crate) fn letters(path: &Path) -> BTreeMap<(String, u64), (String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let letter = |line: &str| {
        let letter: Value = serde_json::from_str(line).expect("a letter is JSON");
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let data: Value = serde_json::from_str(&word(&letter["event"]["data"])).unwrap_or_default();
        let id = data["id"].as_u64().unwrap_or(0);
        let sink = word(&letter["sink"]);
        let tag = sink.strip_prefix("t/").unwrap_or_default().to_owned();
        (
            (tag, id),
            (word(&letter["cause"]), word(&letter["message"])),
        )
    };
    text.lines().map(letter).collect()
}

/// What is wrong with a row; empty if it is contained.
fn judge(
    row: &Row,
    delivered: &BTreeSet<u64>,
    letters: &BTreeMap<(String, u64), (String, String)>,
) -> Vec<String> {
    let tag = row.tag();
    let mut wrong = Vec::new();
    let neighbours = (1..=RECORDS).filter(|id| *id != POISON);
    let missing: Vec<u64> = neighbours.filter(|id| !delivered.contains(id)).collect();
    if !missing.is_empty() {
        wrong.push(format!("{tag}: neighbours are missing: {missing:?}"));
    }
    let own = letters.iter().filter(|((of, _), _)| *of == tag);
    let own: Vec<_> = own.map(|((_, id), letter)| (*id, letter)).collect();
    match row.end {
        End::Delivered => {
            if !own.is_empty() || !delivered.contains(&POISON) {
                wrong.push(format!(
                    "{tag}: it is not delivered, and has letters {own:?}"
                ));
            }
        }
        End::Letter(cause, text) => match &own[..] {
            [(POISON, (found, message))] if found == cause && message.contains(text) => {
                if message.len() > 9000 {
                    wrong.push(format!("{tag}: a message of {} bytes", message.len()));
                }
            }
            _ => wrong.push(format!("{tag}: {own:.300?}, and not {cause}: {text}")),
        },
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_plugin_is_contained_and_its_neighbours_are_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = Recorder::start(|_| 200).await;
    write_module(folder.path(), &endpoint.url());
    let started = Instant::now();
    let mut child = nozzle(folder.path(), &["run", "module.yaml"]);
    let mut most = 0;
    for _ in 0..2 * DEADLINE.as_millis() / 20 {
        if child.has_ended() {
            break;
        }
        most = most.max(child.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = child.finish();

    let delivered = delivered(&endpoint.accepted());
    let letters = letters(&folder.path().join("failed.ndjson"));
    let none = BTreeSet::new();
    let mut wrong: Vec<String> = ROWS
        .iter()
        .flat_map(|row| judge(row, delivered.get(&row.tag()).unwrap_or(&none), &letters))
        .collect();
    if delivered.get("").unwrap_or(&none).len() as u64 != RECORDS {
        wrong.push("the sink beside them did not deliver".to_owned());
    }
    if most > MEMORY {
        wrong.push(format!("the host held {} MiB", most >> 20));
    }
    let escapes = ended
        .stderr
        .matches(['\u{1b}', '\u{7}', '\u{202e}'])
        .count();
    if escapes > 0 {
        wrong.push(format!("{escapes} control characters came to the log"));
    }
    let longest = ended.stderr.lines().map(str::len).max().unwrap_or(0);
    if longest > 10_000 || ended.stderr.len() > 4 << 20 {
        wrong.push(format!(
            "a log of {} bytes, lines of {longest}",
            ended.stderr.len()
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ROWS.len() + super::load::rows() >= 100);
    let elapsed = started.elapsed();
    println!(
        "{} rows in {elapsed:.1?}, {} MiB at most",
        ROWS.len(),
        most >> 20
    );
}
