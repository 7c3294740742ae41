//! A host with an admin address, and requests to it.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
};

use nozzle_testkit::{Child, DEADLINE, plugin};
use tempfile::TempDir;

pub(crate) fn nozzle() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nozzle"))
}

/// A host that delivers a file; it is killed when dropped.
pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    _folder: Option<TempDir>,
}

/// A sink of a test: its name, its endpoint, and what else its section has.
pub(crate) struct Sink<'a>(pub(crate) &'a str, pub(crate) &'a str, pub(crate) &'a str);

/// Writes a module that delivers `records` records of a file to each of the sinks, one a call.
pub(crate) fn write_module(folder: &Path, records: usize, sinks: &[Sink<'_>]) {
    let mut input = String::new();
    for id in 1..=records {
        writeln!(input, "{{\"id\":{id}}}").expect("memory");
    }
    std::fs::write(folder.join("in.ndjson"), input).expect("written");
    let names: Vec<String> = sinks.iter().map(|sink| format!("t/{}", sink.0)).collect();
    let mut text = format!(
        "version: \"1\"\nprogress: {{ interval: 10ms }}\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [{}] }}]\nsinks:\n",
        names.join(", ")
    );
    let plugin = plugin("json_batch.wasm").display().to_string();
    for Sink(name, url, more) in sinks {
        write!(text, "  - id: t/{name}\n    plugin: {{ path: {plugin} }}\n    endpoint: {{ url: \"{url}\", concurrency: {{ strategy: fixed }} }}\n    batch: {{ max-records: 1, max-wait: 10ms }}\n{more}").expect("memory");
    }
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

impl Host {
    /// Starts a host of this module, and waits until it listens.
    pub(crate) fn start(records: usize, sinks: &[Sink<'_>], args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_module(folder.path(), records, sinks);
        Self::start_in(folder, args)
    }

    pub(crate) fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let host = Self::start_at(folder.path(), args);
        Self {
            _folder: Some(folder),
            ..host
        }
    }

    /// The same in a folder that outlives the host.
    pub(crate) fn start_at(folder: &Path, args: &[&str]) -> Self {
        let child = Child::start(
            nozzle()
                .current_dir(folder)
                .args(["run", "module.yaml", "--admin", "127.0.0.1:0"])
                .args(args),
        );
        let said = child.wait_for("metrics, health and status are served");
        let digits = |key| {
            let (_, rest) = said.split_once(key)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().ok()
        };
        let port = digits("port=").or_else(|| digits("\"port\":"));
        let host = Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port.expect("a port")).into(),
            _folder: None,
        };
        host.until_it_runs();
        host
    }

    /// Its endpoint may see calls before the host says what runs; and it may have ended.
    fn until_it_runs(&self) {
        for _ in 0..DEADLINE.as_millis() / 20 {
            let Ok(mut stream) = TcpStream::connect(self.address) else {
                return;
            };
            let mut answer = String::new();
            let request = "GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let asked = stream.write_all(request.as_bytes());
            if asked
                .and_then(|()| stream.read_to_string(&mut answer))
                .is_err()
                || !answer.contains("starting: ")
            {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("it still starts");
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Asks with further headers, each with its line end.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        send(self.address, &request)
    }

    /// Asks until the answer is as it should be.
    pub(crate) fn until(&self, path: &str, enough: impl Fn(&Answer) -> bool) -> Answer {
        self.until_with("", path, enough)
    }

    /// The same with further headers, each with its line end.
    pub(crate) fn until_with(
        &self,
        headers: &str,
        path: &str,
        enough: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let mut last = None;
        for _ in 0..DEADLINE.as_millis() / 20 {
            let answer = self.ask("GET", path, headers);
            if enough(&answer) {
                return answer;
            }
            last = Some(answer);
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("{path} stays {last:?}");
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request, and reads until the host closes the connection.
pub(crate) fn send(address: SocketAddr, request: &str) -> Answer {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    exchange(stream, request)
}

/// The same over any connection.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
