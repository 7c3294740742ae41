//! Plugins that are replaced in a running host: the real binary, real components, real calls.

#[path = "swap/crash.rs"]
mod crash;
#[path = "swap/load.rs"]
mod load;
#[path = "swap/refused.rs"]
mod refused;
#[path = "swap/trial.rs"]
mod trial;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, plugin};
use tempfile::TempDir;

/// A folder with a module whose plugin is `p.wasm`, in it.
pub(crate) struct Rig(TempDir);

impl Rig {
    /// Events come from `ingress`, a kind and its settings; `more` are keys of the sink.
    pub(crate) fn new(url: &str, ingress: &str, limits: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text = format!(
            "version: \"1\"\nprogress: {{ interval: 20ms }}\ningresses:\n  - {{ id: t/in, {ingress}, routers: [{{ to: [t/sink] }}] }}\n"
        );
        write!(
            text,
            "sinks:\n  - id: t/sink\n    plugin: {{ path: p.wasm, limits: {{ {limits} }} }}\n    endpoint: {{ url: \"{url}\", concurrency: {{ strategy: fixed }} }}\n    batch: {{ max-records: 20, max-wait: 10ms }}\n{more}"
        )
        .expect("memory");
        std::fs::write(folder.path().join("module.yaml"), text).expect("written");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a component where the module's is, as a deployment does: whole, by a rename.
    pub(crate) fn put(&self, component: &[u8]) {
        let unfinished = self.path().join("p.part");
        std::fs::write(&unfinished, component).expect("written");
        std::fs::rename(unfinished, self.path().join("p.wasm")).expect("renamed");
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(self.path())
            .args(["run", "module.yaml", "--state-dir", "state"])
            .args(["--admin", "unix:admin.sock"]);
        command
    }

    /// `nozzle plugin` with these arguments, told to the host behind `admin.sock`.
    pub(crate) fn plugin(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        command
            .current_dir(self.path())
            .arg("plugin")
            .args(args)
            .args(["--admin", "unix:admin.sock"]);
        Child::start(&mut command).finish()
    }

    pub(crate) fn start(&self) -> Child {
        Child::start(&mut self.command())
    }

    /// Puts a component there, and has the host read it again; waits until its log says `words`.
    pub(crate) fn swap(&self, host: &Child, component: &[u8], words: &str) {
        self.put(component);
        host.signal(Signal::SIGHUP);
        host.wait_for(words);
    }
}

pub(crate) fn component(name: &str) -> Vec<u8> {
    std::fs::read(plugin(name)).expect("it is built")
}

/// The same component with another digest: with a custom section of its own.
pub(crate) fn version_of(component: &[u8], number: u8) -> Vec<u8> {
    // Section 0: its size, the length of its name, the name, the content.
    let section = [0, 4, 2, b'n', b'o', number];
    [component, &section].concat()
}

/// The hostile plugin, built with this configuration.
pub(crate) fn hostile(config: &str) -> Vec<u8> {
    const MARK: &[u8] = b"hostile-built-in:{}";
    let mut component = component("hostile.wasm");
    let place = component
        .windows(MARK.len())
        .position(|window| window == MARK)
        .expect("it holds its configuration");
    let start = place + MARK.len() - 2;
    component[start..start + config.len()].copy_from_slice(config.as_bytes());
    component
}

/// A file of `records` records, `{"id":0}` and so on.
pub(crate) fn write_records(folder: &Path, records: u64) -> PathBuf {
    let lines: String = (0..records)
        .map(|id| format!("{{\"id\":{id}}}\n"))
        .collect();
    let path = folder.join("in.ndjson");
    std::fs::write(&path, lines).expect("written");
    path
}
