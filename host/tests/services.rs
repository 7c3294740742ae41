//! The plugins for services that store, against the real servers that can run here: the examples of `examples/services`
//! and records that a service refuses, by the real binary, and then all that the service has, compared with what was
//! sent.

#[path = "services/clickhouse.rs"]
mod clickhouse;
#[path = "services/influxdb.rs"]
mod influxdb;
#[path = "services/opensearch.rs"]
mod opensearch;
#[path = "services/otlp.rs"]
mod otlp;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use nozzle_testkit::{Child, plugins};
use serde_json::{Value, json};

/// Of so many records of [`Work::write_mixed`], one has a text where the others have a number.
const ONE_IN: usize = 97;

/// A folder to run modules in.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a module to its end, without progress of earlier runs; gives its dead letters and its summary.
    fn run(&self, module: &str) -> (Vec<Value>, Value) {
        let file = self.path().join("module.yaml");
        std::fs::write(&file, module).expect("written");
        let letters = self.path().join("failed.ndjson");
        let state = self.path().join("state");
        for (left, gone) in [
            (&letters, std::fs::remove_file(&letters)),
            (&state, std::fs::remove_dir_all(&state)),
        ] {
            assert!(gone.is_ok() || !left.exists(), "{left:?}: {gone:?}");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(self.path())
            .args(["run", "module.yaml", "--state-dir", "state"])
            .args(["--log-format", "json"])
            .env("WEATHER_API_KEY", "secret");

        let ended = Child::start(&mut command).finish();

        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let letters = lines(&std::fs::read_to_string(&letters).unwrap_or_default());
        let summary = lines(&ended.stderr)
            .into_iter()
            .rfind(|line| line["message"] == "summary");
        let summary = summary.unwrap_or_else(|| panic!("no summary: {}", ended.stderr));
        (letters, summary["fields"].clone())
    }

    /// Runs an example as it stands in the repository, but for the places of files and of the endpoint, and what else is
    /// said; gives its dead letters.
    fn example(&self, name: &str, changes: &[(&str, &str)]) -> Vec<Value> {
        let examples = examples();
        let path = examples.join("services").join(format!("{name}.yaml"));
        let mut module = std::fs::read_to_string(path).expect("an example");
        let plugins = plugins().display().to_string();
        let weather = weather_file().display().to_string();
        let letters = format!("out/{name}-failed.ndjson");
        let places = [
            ("../../guest-plugins/dist", &*plugins),
            ("../weather/weather.ndjson", &*weather),
            (&*letters, "failed.ndjson"),
        ];
        for (from, to) in places.iter().chain(changes) {
            assert!(module.contains(from), "{name} has no `{from}`: {module}");
            module = module.replace(from, to);
        }
        self.run(&module).0
    }

    /// Sends `in.ndjson` with these settings of the plugin and these lines of the sink.
    fn send(&self, plugin: &str, config: &Value, url: &str, sink: &str) -> (Vec<Value>, Value) {
        let path = nozzle_testkit::plugin(&format!("{plugin}.wasm"));
        self.run(&format!(
            "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers:\n      - to: [t/out]\n\
             sinks:\n  - id: t/out\n    plugin: {{ path: {}, config: {config} }}\n    endpoint: {{ url: \"{url}/\" }}\n\
             \x20   batch: {{ max-records: 20, max-wait: 20ms }}\n{sink}    dead-letters: t/failed\n\
             egresses:\n  - id: t/failed\n    file: {{ path: failed.ndjson }}\n",
            path.display()
        ))
    }

    /// Writes `in.ndjson`: records of which a few have a text for a number. Gives the numbers of those.
    fn write_mixed(&self, count: usize) -> Vec<u64> {
        let is_bad = |n: &usize| n % ONE_IN == 5;
        let line = |n: usize| match is_bad(&n) {
            true => json!({ "n": n, "v": "text" }),
            false => json!({ "n": n, "v": n as f64 + 0.5 }),
        };
        let text: String = (0..count).map(|n| format!("{}\n", line(n))).collect();
        std::fs::write(self.path().join("in.ndjson"), text).expect("written");
        (0..count).filter(is_bad).map(|n| n as u64).collect()
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn weather_file() -> PathBuf {
    let path = examples().join("weather/weather.ndjson");
    path.canonicalize().expect("the weather is there")
}

/// All records of the examples, by their ids.
fn weather() -> Vec<Value> {
    let text = std::fs::read_to_string(weather_file()).expect("readable");
    sorted(lines(&text))
}

/// JSON, a value a line; other lines are left out.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn sorted(mut records: Vec<Value>) -> Vec<Value> {
    records.sort_by_key(|record| record["id"].as_str().map(str::to_owned));
    records
}

/// The numbers of the records in dead letters, whose messages contain `reason`.
fn rejected(letters: &[Value], reason: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = letters
        .iter()
        .map(|letter| {
            let message = letter["message"].as_str().expect("a message");
            assert!(message.contains(reason), "{letter}");
            let data = letter["event"]["data"].as_str().expect("text");
            let record: Value = serde_json::from_str(data).expect("JSON");
            record["n"].as_u64().expect("a number")
        })
        .collect();
    numbers.sort_unstable();
    numbers
}
