//! A function of AWS Lambda behind its URL, in a process of its own.

use serde_json::Value;

use crate::{line_process::LineProcess, servers::events_folder, verifier::described};

/// The function: it takes `{"records": …}` with `aws-lambda-powertools` from PyPI, and fails on each record of the host
/// `srv02` once. It ends when dropped.
#[derive(Debug)]
pub struct FunctionUrl(LineProcess);

impl FunctionUrl {
    /// Starts it.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn start() -> Self {
        Self(LineProcess::python(
            &events_folder(),
            include_str!("../events/function.py"),
        ))
    }

    /// The status and body that it answers a request with, as it stood on the wire, HTTP/1.1 without chunks.
    ///
    /// # Errors
    /// What it failed of.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn call(&mut self, raw: &[u8]) -> Result<(u16, String), String> {
        let answer: Value = self.0.ask(&described(raw))?;
        let status = answer["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        let body = answer["body"].as_str().unwrap_or_default();
        Ok((status.expect("a status"), body.to_owned()))
    }
}
