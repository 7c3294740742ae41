//! Verifiers of signatures that nobody here wrote, each in a process of its own.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::servers::auth_folder;

/// A verifier; it ends when dropped.
#[derive(Debug)]
pub struct Verifier {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Verifier {
    /// `standardwebhooks`, `http-message-signatures` and `botocore` from PyPI.
    ///
    /// # Panics
    /// When they are not installed.
    pub fn python() -> Self {
        let mut command = Command::new(auth_folder().join("python/bin/python"));
        command
            .args(["-u", "-c", include_str!("../auth/verify.py")])
            .env("PYTHONUTF8", "1");
        Self::start(command)
    }

    /// `standardwebhooks` and `http-message-signatures` from npm.
    ///
    /// # Panics
    /// When they are not installed.
    pub fn node() -> Self {
        let mut command = Command::new("node");
        command
            .args(["--input-type=module", "-e"])
            .arg(include_str!("../auth/verify.mjs"))
            .env("NODE_PATH", auth_folder().join("node/node_modules"));
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            requests: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
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
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = raw.split_at(end.expect("a head") + 4);
        let head = std::str::from_utf8(head).expect("text");
        let mut lines = head.lines();
        let mut first = lines.next().expect("a request line").split(' ');
        let (method, target) = (first.next(), first.next().expect("a target"));
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let host = headers.iter().find(|(name, _)| *name == "host");
        let url = format!("http://{}{target}", host.expect("a host").1);
        let request = json!({
            "kind": kind, "key": key, "method": method, "url": url, "headers": headers, "body": base64(body),
        });
        let pipe = self.requests.as_mut().expect("the process runs");
        writeln!(pipe, "{request}").expect("the process reads");
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the process answers");
        let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].as_str().unwrap_or_default().to_owned()),
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        drop(self.requests.take());
        drop(self.child.wait());
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0, |bits, (place, byte)| {
            bits | u32::from(*byte) << (16 - 8 * place)
        });
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > three.len() {
                '='
            } else {
                char::from(ALPHABET[six])
            });
        }
    }
    text
}
