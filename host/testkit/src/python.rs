//! Scripts of Python that read what the host writes, with packages that nobody here wrote.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::servers::{folder, folder_of_all, installed};

/// Runs a script with the packages of `make servers`; gives the JSON that it prints.
///
/// # Panics
/// When it is not installed, or fails.
pub fn python(script: &str, input: &[u8]) -> Value {
    let mut child = Command::new(folder().join("python/bin/python"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("the script reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the script failed: see above");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// The programs with which `make guests` builds plugins in Python.
///
/// # Panics
/// When they are not installed.
pub fn python_toolchain() -> PathBuf {
    installed(folder_of_all().join("toolchains/python"), "make guests").join("python/bin")
}
