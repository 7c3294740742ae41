//! A child process whose output is read as it comes.

use std::{
    io::{BufRead, BufReader, Read},
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::DEADLINE;

/// Between two looks whether a child has ended.
const LOOK: Duration = Duration::from_millis(10);

/// A child process; it is killed when dropped.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    /// It was waited for: its process id may be another's by now.
    is_gone: bool,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    stdout: Arc<Mutex<String>>,
}

/// Lines of standard error, and a way to wait for more.
#[derive(Debug, Default)]
struct Lines {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

/// What a child came to.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code, -1 after a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

impl Child {
    /// Starts `command` without standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        Self::spawn(command, Stdio::null())
    }

    /// Starts `command`, and gives its standard input, which is open until it is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_fed(command: &mut Command) -> (Self, ChildStdin) {
        let mut started = Self::spawn(command, Stdio::piped());
        let stdin = started.child.stdin.take().expect("piped");
        (started, stdin)
    }

    fn spawn(command: &mut Command, stdin: Stdio) -> Self {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0")
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Arc::new(Lines::default());
        let stdout = Arc::new(Mutex::new(String::new()));
        let (errors, shared) = (child.stderr.take().expect("piped"), Arc::clone(&lines));
        let read_errors = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                shared.lock().0.push_str(&format!("{line}\n"));
                shared.more.notify_all();
            }
            shared.lock().1 = true;
            shared.more.notify_all();
        });
        let (mut output, shared) = (child.stdout.take().expect("piped"), Arc::clone(&stdout));
        let read_output = std::thread::spawn(move || {
            let mut text = String::new();
            if output.read_to_string(&mut text).is_ok() {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = text;
            }
        });
        Self {
            child,
            is_gone: false,
            lines,
            readers: vec![read_errors, read_output],
            stdout,
        }
    }

    /// Waits until standard error holds `text`; gives all of it.
    ///
    /// # Panics
    /// When it does not come before the deadline or the end.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_times(text, 1)
    }

    /// The same, until it holds it so often.
    ///
    /// # Panics
    /// When it does not come before the deadline or the end.
    pub fn wait_for_times(&self, text: &str, times: usize) -> String {
        let has_come = |lines: &str| lines.matches(text).count() >= times;
        let lines = self.lines.lock();
        let (lines, timeout) = self
            .lines
            .more
            .wait_timeout_while(lines, DEADLINE, |(lines, ended)| {
                !has_come(lines) && !*ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            has_come(&lines.0),
            "no «{text}» (timed out: {}) in:\n{}",
            timeout.timed_out(),
            lines.0
        );
        lines.0.clone()
    }

    /// Whether standard error holds `text` by now.
    pub fn has_said(&self, text: &str) -> bool {
        self.lines.lock().0.contains(text)
    }

    /// Sends a signal; one that has ended takes it as if it heard nothing.
    ///
    /// # Panics
    /// When there never was such a process.
    pub fn signal(&self, signal: Signal) {
        if self.is_gone {
            return;
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("the child runs");
    }

    /// The memory that it holds, in bytes (`VmRSS`); 0 when it has ended.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the child cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("it can be waited for");
        self.is_gone |= status.is_some();
        self.is_gone
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the child cannot be waited for, or does not end within twice the deadline.
    pub fn finish(mut self) -> Ended {
        let mut looks = 2 * DEADLINE.as_millis() / LOOK.as_millis();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(looks > 0, "it does not end:\n{}", self.lines.lock().0);
            looks -= 1;
            std::thread::park_timeout(LOOK);
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("no panic");
        }
        let stdout = self
            .stdout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let stderr = self.lines.lock().0.clone();
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, (String, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
