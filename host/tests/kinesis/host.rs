//! The host under test as a process, the servers, and what was delivered, by id.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::OnceLock,
};

use nozzle_testkit::{Boto, Child, Recorder, Server, credentials, plugin};
use serde_json::Value;

/// One server of each kind for all tests: each has streams of its own.
pub(crate) fn kinesis_local() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::kinesis_local).url()
}

pub(crate) fn moto() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::moto).url()
}

pub(crate) fn boto(kinesis: &str) -> Boto {
    Boto::start(&[("kinesis", kinesis)])
}

/// What a test says of its module; the rest is the same for all.
#[derive(Debug, Clone)]
pub(crate) struct Setup<'a> {
    pub(crate) kinesis: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) endpoint: &'a str,
    /// Lines below `kinesis:` of the ingress.
    pub(crate) ingress: &'a [&'a str],
    /// Lines below the sink.
    pub(crate) sink: &'a [&'a str],
    /// Lines at the end of the file.
    pub(crate) more: &'a [&'a str],
}

impl<'a> Setup<'a> {
    pub(crate) fn new(kinesis: &'a str, stream: &'a str, endpoint: &'a str) -> Self {
        Self {
            kinesis,
            stream,
            endpoint,
            ingress: &["start: earliest"],
            sink: &[],
            more: &[],
        }
    }

    fn module(&self) -> String {
        let lines = |lines: &[&str], indent: &str| -> String {
            lines
                .iter()
                .map(|line| format!("{indent}{line}\n"))
                .collect()
        };
        let polls = !self.ingress.iter().any(|line| line.contains("fan-out"));
        let poll = if polls {
            "      poll-interval: 20ms\n"
        } else {
            ""
        };
        format!(
            "version: \"1\"\n\
             ingresses:\n  - id: t/in\n    kinesis:\n      stream: {}\n      endpoint-url: {}\n      discovery-interval: 100ms\n\
             {poll}{}    routers: [{{ to: [t/sink] }}]\n\
             sinks:\n  - id: t/sink\n    plugin: {{ path: {} }}\n    endpoint: {{ url: {} }}\n    \
             batch: {{ max-records: 20, max-wait: 10ms }}\n    dead-letters: t/dead\n{}\
             egresses:\n  - id: t/dead\n    file: {{ path: dead.ndjson }}\n{}",
            self.stream,
            self.kinesis,
            lines(self.ingress, "      "),
            plugin("per_record.wasm").display(),
            self.endpoint,
            lines(self.sink, "    "),
            lines(self.more, ""),
        )
    }

    /// Puts the module into the folder, whole.
    pub(crate) fn write(&self, folder: &Path) {
        let unfinished = folder.join("module.part");
        std::fs::write(&unfinished, self.module()).expect("written");
        std::fs::rename(unfinished, folder.join("module.yaml")).expect("renamed");
    }

    pub(crate) fn start(&self, folder: &Path) -> Child {
        Child::start(&mut self.command(folder))
    }

    pub(crate) fn command(&self, folder: &Path) -> Command {
        self.write(folder);
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command.current_dir(folder).args(["run", "module.yaml"]);
        credentials(&mut command);
        command
    }
}

/// `nozzle` with other arguments, in the same folder.
pub(crate) fn nozzle(folder: &Path, arguments: &[&str]) -> nozzle_testkit::Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command.current_dir(folder).args(arguments);
    credentials(&mut command);
    Child::start(&mut command).finish()
}

/// The ids in what was accepted, in the order of arrival.
pub(crate) fn ids(bodies: &[String]) -> Vec<u64> {
    let id = |body: &String| {
        let value: Value = serde_json::from_str(body).expect("JSON");
        value["id"].as_u64().expect("an id")
    };
    bodies.iter().map(id).collect()
}

/// Whether each of the first `count` ids came.
pub(crate) fn complete(bodies: &[String], count: u64) -> bool {
    let unique: BTreeSet<u64> = ids(bodies).into_iter().collect();
    unique == (0..count).collect()
}

/// Waits until each of the first `count` ids has come.
pub(crate) async fn all(recorder: &Recorder, count: u64) {
    let what = format!("ids 0 to {count}");
    recorder
        .until(&what, |bodies| {
            bodies.len() >= count as usize && complete(bodies, count)
        })
        .await;
}

/// Asserts that each key's ids arrived in order, repetitions aside: what came for the first time.
pub(crate) fn assert_order(bodies: &[String], keys: u64) {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for id in ids(bodies) {
        if !seen.insert(id) {
            continue;
        }
        let before = last.insert(id % keys, id);
        assert!(
            before.is_none_or(|before| before < id),
            "key {}: {before:?} before {id}",
            id % keys
        );
    }
}
