//! The module file changes under a running host: the real binary, real components, real calls.

#[path = "reload/crash.rs"]
mod crash;
#[path = "reload/ingresses.rs"]
mod ingresses;
#[path = "reload/load.rs"]
mod load;
#[path = "reload/refused.rs"]
mod refused;
#[path = "reload/removed.rs"]
mod removed;
#[path = "reload/sinks.rs"]
mod sinks;
#[path = "reload/told.rs"]
mod told;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use nozzle_testkit::{Child, Ended, plugin};
use tempfile::TempDir;

/// Records without an end, each with the next number.
pub(crate) const STREAM: &str =
    "  - id: t/in\n    datagen: { rate: 500, fields: { id: { sequence: {} } } }\n";

/// A folder with a module in it.
pub(crate) struct Rig(TempDir);

impl Rig {
    pub(crate) fn new(module: &str) -> Self {
        let rig = Self(tempfile::tempdir().expect("a folder"));
        rig.write(module);
        rig
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a module where the other one is: whole, by a rename.
    pub(crate) fn write(&self, module: &str) {
        let unfinished = self.path().join("module.part");
        std::fs::write(&unfinished, module).expect("written");
        std::fs::rename(unfinished, self.path().join("module.yaml")).expect("renamed");
    }

    pub(crate) fn command(&self) -> Command {
        self.command_with("5s")
    }

    /// With this grace period.
    pub(crate) fn command_with(&self, grace: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(self.path())
            .args([
                "run",
                "module.yaml",
                "--state-dir",
                "state",
                "--grace",
                grace,
            ])
            .args(["--admin", "unix:admin.sock"]);
        command
    }

    pub(crate) fn start(&self) -> Child {
        self.start_with("5s")
    }

    /// With this grace period.
    pub(crate) fn start_with(&self, grace: &str) -> Child {
        let host = Child::start(&mut self.command_with(grace));
        host.wait_for("metrics, health and status are served");
        host
    }

    /// `nozzle` with these arguments, told to the host behind `admin.sock`.
    pub(crate) fn tell(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(self.path())
            .args(args)
            .args(["--admin", "unix:admin.sock"]);
        Child::start(&mut command).finish()
    }

    /// Puts a module there, has the host read it, and waits until its log says what was changed. The host may have seen
    /// the file before it was told.
    pub(crate) fn reload(&self, host: &Child, module: &str, changed: &str) {
        self.write(module);
        let told = self.tell(&["reload"]);
        assert_eq!(told.code(), 0, "{}", told.stderr);
        host.wait_for(changed);
    }
}

/// A module: `ingresses` and `sinks` are items of the lists, `more` are other keys.
pub(crate) fn module(ingresses: &str, sinks: &[String], more: &str) -> String {
    let sinks = sinks.concat();
    format!(
        "version: \"1\"\nprogress: {{ interval: 20ms }}\n{more}ingresses:\n{ingresses}sinks:\n{sinks}"
    )
}

/// The routers of an ingress that sends all of its events to each of these sinks.
pub(crate) fn to(sinks: &str) -> String {
    format!("    routers: [{{ to: [{sinks}] }}]\n")
}

/// A sink whose calls are lists of records; `more` are keys of it.
pub(crate) fn sink(id: &str, url: &str, more: &str) -> String {
    let plugin = plugin("json_batch.wasm");
    let mut text = format!(
        "  - id: {id}\n    plugin: {{ path: {} }}\n    endpoint: {{ url: \"{url}\", concurrency: {{ strategy: fixed }} }}\n",
        plugin.display()
    );
    if !more.contains("batch:") {
        text.push_str("    batch: { max-records: 20, max-wait: 10ms }\n");
    }
    write!(text, "{more}").expect("memory");
    text
}

/// The numbers of the records in these bodies, in their order.
pub(crate) fn ids(bodies: &[String]) -> Vec<u64> {
    let records = bodies.iter().flat_map(|body| {
        let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
        match value {
            serde_json::Value::Array(records) => records,
            record => vec![record],
        }
    });
    records
        .map(|record| record["id"].as_u64().expect("a number"))
        .collect()
}

/// Asserts that these are the numbers from the first on, each once; gives how many.
#[track_caller]
pub(crate) fn each_once(what: &str, mut ids: Vec<u64>) -> usize {
    ids.sort_unstable();
    let first = ids.first().copied().unwrap_or_default();
    let all: Vec<u64> = (first..first + ids.len() as u64).collect();
    assert!(
        ids == all,
        "{what}: {} events from {first} on, not each once",
        ids.len()
    );
    ids.len()
}

/// A file of records with the numbers of this range.
pub(crate) fn write_records(folder: &Path, name: &str, ids: std::ops::Range<u64>) -> PathBuf {
    let lines: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let path = folder.join(name);
    std::fs::write(&path, lines).expect("written");
    path
}

/// A port of loopback on which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/", listener.local_addr().expect("an address"))
}

/// A metric of the host, by its name and labels as they are written.
pub(crate) fn metric(rig: &Rig, name: &str) -> String {
    let answer = get(rig, "/metrics");
    let line = answer.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {answer}"))
        .trim()
        .to_owned()
}

/// What the host answers.
pub(crate) fn get(rig: &Rig, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream =
        std::os::unix::net::UnixStream::connect(rig.path().join("admin.sock")).expect("it listens");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// Waits until something has come about.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let came = async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(nozzle_testkit::DEADLINE, came).await;
    assert!(came.is_ok(), "{what}");
}
