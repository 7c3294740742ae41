//! Verifiers of signatures that nobody here wrote, each in a process of its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{line_process::LineProcess, servers::auth_folder};

/// A verifier; it ends when dropped.
#[derive(Debug)]
pub struct Verifier(LineProcess);

impl Verifier {
    /// `standardwebhooks`, `http-message-signatures` and `botocore` from PyPI.
    ///
    /// # Panics
    /// When they are not installed.
    pub fn python() -> Self {
        Self(LineProcess::python(
            &auth_folder(),
            include_str!("../auth/verify.py"),
        ))
    }

    /// `standardwebhooks` and `http-message-signatures` from npm.
    ///
    /// # Panics
    /// When they are not installed.
    pub fn node() -> Self {
        Self(LineProcess::node(
            &auth_folder(),
            include_str!("../auth/verify.mjs"),
        ))
    }

    /// Verifies a request as it stood on the wire, HTTP/1.1 without chunks. `kind` is `webhooks`, `signature` or `sigv4`.
    /// Says what was covered.
    ///
    /// # Errors
    /// Why it is not valid.
    ///
    /// # Panics
    /// When the process is gone, or the request is none.
    pub fn verify(&mut self, kind: &str, key: &Value, raw: &[u8]) -> Result<String, String> {
        let mut request = described(raw);
        request["kind"] = kind.into();
        request["key"] = key.clone();
        let covered = self.0.ask(&request)?;
        Ok(covered.as_str().unwrap_or_default().to_owned())
    }
}

/// A request as it stood on the wire, HTTP/1.1 without chunks, as JSON: method, URL, headers, and the body in base64.
pub(crate) fn described(raw: &[u8]) -> Value {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = raw.split_at(end.expect("a head") + 4);
    let head = std::str::from_utf8(head).expect("text");
    let mut lines = head.lines();
    let mut first = lines.next().expect("a request line").split(' ');
    let (method, target) = (first.next(), first.next().expect("a target"));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let host = headers.iter().find(|(name, _)| *name == "host");
    let url = format!("http://{}{target}", host.expect("a host").1);
    json!({ "method": method, "url": url, "headers": headers, "body": STANDARD.encode(body) })
}
