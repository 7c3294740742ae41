//! A plugin that fails on everything, in the real binary: its sink is paused, and nothing is lost.

use std::{fmt::Write as _, path::Path};

use nix::sys::signal::Signal;
use nozzle_testkit::{Recorder, plugin};

use super::run::{delivered, letters, nozzle};

const RECORDS: u64 = 300;

/// A module of two sinks for the same records, all of them poisoned; the first one's plugin does `sin`.
fn write_module(folder: &Path, url: &str, sin: &str) {
    let mut records = String::new();
    for id in 1..=RECORDS {
        writeln!(records, "{{\"id\":{id},\"is\":\"poison\"}}").expect("memory");
    }
    std::fs::write(folder.join("in.ndjson"), records).expect("written");
    let path = plugin("hostile.wasm").display().to_string();
    let sink = |id: &str, config: &str| {
        format!(
            "  - id: t/{id}\n    plugin: {{ path: {path}, config: {{ tag: {id}, {config} }} }}\n    endpoint: {{ url: \"{url}\" }}\n    batch: {{ max-records: 50, max-wait: 20ms }}\n    dead-letters: t/failed\n"
        )
    };
    let text = format!(
        "version: \"1\"\nprogress: {{ interval: 20ms }}\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [t/broken, t/beside] }}]\nsinks:\n{}{}egresses:\n  - {{ id: t/failed, file: {{ path: failed.ndjson }} }}\n",
        sink("broken", sin),
        sink("beside", ""),
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_on_everything_pauses_its_sink_and_costs_four_letters() {
    for sin in ["shape: panic", "shape: omit"] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let endpoint = Recorder::start(|_| 200).await;
        write_module(folder, &endpoint.url(), sin);
        let args = [
            "run",
            "module.yaml",
            "--admin",
            "127.0.0.1:0",
            "--grace",
            "100ms",
        ];

        let broken = nozzle(folder, &args);
        let said = broken.wait_for("the plugin fails on everything");
        endpoint
            .until("the sink beside it delivers", |bodies| {
                delivered(bodies).get("beside").map_or(0, |ids| ids.len()) as u64 == RECORDS
            })
            .await;
        let (ready, status) = (get(&said, "/ready"), get(&said, "/status"));
        let metrics = get(&said, "/metrics");
        broken.signal(Signal::SIGTERM);
        let ended = broken.finish();
        let dead = letters(&folder.join("failed.ndjson"));

        let reason = "the plugin of the sink `t/broken` fails on everything: its events are held";
        assert!(
            ready.starts_with("HTTP/1.1 503") && ready.contains(reason),
            "{ready}"
        );
        assert!(status.contains("\"plugin-failing\":true"), "{status}");
        assert!(
            metrics.contains("nozzle_sink_plugin_failing{sink=\"t/broken\"} 1"),
            "{metrics}"
        );
        assert!(
            metrics.contains("nozzle_sink_plugin_failing{sink=\"t/beside\"} 0"),
            "{metrics}"
        );
        assert_eq!(ended.code(), 5, "{}", ended.stderr);
        let lines = ended
            .stderr
            .matches("the plugin fails on everything")
            .count();
        assert_eq!(lines, 1, "{}", ended.stderr);
        assert_eq!(dead.len(), 4, "{sin}");

        write_module(folder, &endpoint.url(), "shape: null");
        let mended = nozzle(folder, &["run", "module.yaml"]).finish();

        assert_eq!(mended.code(), 0, "{}", mended.stderr);
        // A letter beyond what was stored of progress is delivered too.
        let came = delivered(&endpoint.accepted());
        let mut ended = came.get("broken").expect("it delivers").clone();
        ended.extend(dead.keys().map(|(_, id)| *id));
        let all = (1..=RECORDS).collect();
        assert_eq!(ended, all, "{sin}: nothing is lost");
    }
}

/// What the host that has said this answers.
fn get(said: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let port = said.split_once("port=").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    });
    let address = ("127.0.0.1", port.expect("a port"));
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}
