//! Readers of CloudEvents that nobody here wrote, each in a process of its own.

use std::process::Command;

use serde_json::Value;

use crate::{line_process::LineProcess, servers::events_folder, verifier::described};

/// A reader; it ends when dropped.
#[derive(Debug)]
pub struct EventReader(LineProcess);

impl EventReader {
    /// `cloudevents` from PyPI.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn python() -> Self {
        let mut command = Command::new(events_folder().join("python/bin/python"));
        command
            .args(["-u", "-c", include_str!("../events/read.py")])
            .env("PYTHONUTF8", "1");
        Self(LineProcess::start(command))
    }

    /// `cloudevents` from npm.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn node() -> Self {
        let mut command = Command::new("node");
        command
            .args(["--input-type=module", "-e"])
            .arg(include_str!("../events/read.mjs"))
            .env("NODE_PATH", events_folder().join("node/node_modules"));
        Self(LineProcess::start(command))
    }

    /// The events of a request as it stood on the wire, HTTP/1.1 without chunks: `[{"attributes": {…}, "data": …}]`, with
    /// every attribute as text.
    ///
    /// # Errors
    /// Why it is none.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn read(&mut self, raw: &[u8]) -> Result<Value, String> {
        self.0.ask(&described(raw))
    }
}
