//! Holds a server against its own OpenAPI document, with a program that nobody here wrote.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::servers::api_folder;

/// What came of it.
#[derive(Debug)]
pub struct Conformance {
    /// Whether every answer was as the document says.
    pub passed: bool,
    /// What was asked, and what was wrong.
    pub text: String,
}

/// Asks the server at `url` for what the document at `schema` says, in ways that it allows and in ways that it does not, with
/// this bearer token and without; `flags` choose operations and checks.
///
/// # Panics
/// When it is not installed.
pub fn schemathesis(schema: &Path, url: &str, token: &str, flags: &[&str]) -> Conformance {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(api_folder().join("python/bin/schemathesis"))
        .arg("run")
        .arg(schema)
        .args(["--url", url])
        .args(flags)
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--checks",
            "all",
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--no-color",
        ])
        .args(["--continue-on-failure", "--warnings", "off"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Conformance {
        passed: output.status.success(),
        text: text(&output.stdout) + &text(&output.stderr),
    }
}
