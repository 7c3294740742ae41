//! A process that answers each line of JSON with one: `{"ok": …}` or `{"error": "…"}`.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// The process; it ends when dropped.
#[derive(Debug)]
pub(crate) struct LineProcess {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl LineProcess {
    /// A script of Python, with the packages that are installed in `folder`.
    ///
    /// # Panics
    /// When they are not.
    pub(crate) fn python(folder: &Path, script: &str) -> Self {
        let mut command = Command::new(folder.join("python/bin/python"));
        command.args(["-u", "-c", script]).env("PYTHONUTF8", "1");
        Self::start(command)
    }

    /// A module of JavaScript, with the packages that are installed in `folder`.
    ///
    /// # Panics
    /// When Node.js is not.
    pub(crate) fn node(folder: &Path, script: &str) -> Self {
        let mut command = Command::new("node");
        command
            .args(["--input-type=module", "-e", script])
            .env("NODE_PATH", folder.join("node/node_modules"));
        Self::start(command)
    }

    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command) -> Self {
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

    /// # Errors
    /// What the process says is wrong.
    ///
    /// # Panics
    /// When the process is gone.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let pipe = self.requests.as_mut().expect("the process runs");
        writeln!(pipe, "{request}").expect("the process reads");
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the process answers");
        let mut answer: Value = serde_json::from_str(&line).expect("a line of JSON");
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        drop(self.requests.take());
        drop(self.child.wait());
    }
}
