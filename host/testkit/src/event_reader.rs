//! Readers of CloudEvents that nobody here wrote, each in a process of its own.

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
        Self(LineProcess::python(
            &events_folder(),
            include_str!("../events/read.py"),
        ))
    }

    /// `cloudevents` from npm.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn node() -> Self {
        Self(LineProcess::node(
            &events_folder(),
            include_str!("../events/read.mjs"),
        ))
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
