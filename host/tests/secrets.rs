//! A canary in every place of a module that may hold a secret: the real binary, an endpoint that repeats all it is sent,
//! and a look into everything that comes out of the host.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use nozzle_testkit::{Child, DEADLINE, plugin};

/// Every canary begins with it, and nothing else has it.
const CANARY: &str = "kanar1";

/// A secret, where it stands.
fn canary(place: &str) -> String {
    format!("{CANARY}-{place}-0123456789")
}

/// Answers each request with all that it was sent, and the status that its path names.
struct Echo {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&seen);
        // It ends with the test's process.
        drop(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = Arc::clone(&sink);
                drop(std::thread::spawn(move || drop(answer(stream, &sink))));
            }
        }));
        Self { address, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn seen(&self) -> String {
        self.seen.lock().expect("no panic").concat()
    }
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let all = format!("{head}{}", String::from_utf8_lossy(&body));
        seen.lock().expect("no panic").push(all.clone());
        let status = match head
            .split(['/', '?', ' '])
            .find(|part| part.len() == 3 && part.starts_with(['2', '4', '5']))
        {
            Some(status) => status.to_owned(),
            None => "200".to_owned(),
        };
        let echo = all
            .lines()
            .next()
            .unwrap_or_default()
            .replace(['\r', '\n'], " ");
        write!(
            writer,
            "HTTP/1.1 {status} x\r\nx-echo: {echo}\r\ncontent-length: {}\r\n\r\n{all}",
            all.len()
        )?;
    }
}

/// The sinks: a name, and their endpoint's keys but the URL. Each has a canary of its own.
const SINKS: &[(&str, &str)] = &[
    ("headers", "headers: { x-key: \"${env:HEADERS}\" }"),
    (
        "header",
        "auth: { header: { name: x-api-key, value: \"${env:HEADER}\" } }",
    ),
    (
        "plain",
        "auth: { header: { name: x-api-key, value: kanar1-plain-0123456789 } }",
    ),
    (
        "basic",
        "auth: { basic: { user: somebody, password: \"${env:BASIC}\" } }",
    ),
    ("bearer", "auth: { bearer: { token: \"${file:bearer}\" } }"),
    (
        "property",
        "auth: { bearer: { token: \"${Group:property}\" } }",
    ),
    (
        "sigv4",
        "auth: { aws-sigv4: { service: lambda, region: eu-west-1, access-key-id: AKIDEXAMPLE, secret-access-key: \"${env:SIGV4}\" } }",
    ),
    (
        "session",
        "auth: { aws-sigv4: { service: lambda, region: eu-west-1, access-key-id: AKIDEXAMPLE, secret-access-key: abcdefgh, session-token: \"${env:SESSION}\" } }",
    ),
    (
        "webhooks",
        "auth: { standard-webhooks: { secrets: [\"whsec_${env:WEBHOOKS}\"] } }",
    ),
    (
        "hmac",
        "auth: { hmac: { header: x-signature, secret: \"${env:HMAC}\" } }",
    ),
    (
        "oauth",
        "auth: { oauth2: { token-url: \"ECHO400/token\", client-id: me, client-secret: \"${env:OAUTH}\", client-auth: post } }",
    ),
    (
        "oauthbasic",
        "auth: { oauth2: { token-url: \"ECHO400/token\", client-id: me, client-secret: \"${env:OAUTHBASIC}\" } }",
    ),
    (
        "proxy",
        "proxy: \"http://somebody:${env:PROXY}@127.0.0.1:1\"",
    ),
    // The proxy is the endpoint itself, and repeats what it was told.
    (
        "forward",
        "proxy: \"http://somebody:${env:FORWARD}@AUTHORITY\"",
    ),
    ("query", ""),
];

fn variable(name: &str) -> String {
    match name {
        "webhooks" => BASE64_STANDARD.encode(canary(name)),
        name => canary(name),
    }
}

fn write_module(folder: &Path, echo: &Echo, status: &str, on_outage: &str) {
    std::fs::write(folder.join("in.ndjson"), "{\"id\":1}\n{\"id\":2}\n").expect("written");
    std::fs::write(folder.join("bearer"), canary("bearer")).expect("written");
    let groups = format!(
        "[{{\"PropertyGroupId\":\"Group\",\"PropertyMap\":{{\"property\":\"{}\"}}}}]",
        canary("property")
    );
    std::fs::write(folder.join("groups.json"), groups).expect("written");
    let names: Vec<String> = SINKS.iter().map(|(name, _)| format!("t/{name}")).collect();
    let mut text = format!(
        "version: \"1\"\ntelemetry: {{ otlp: {{ endpoint: \"{}\", headers: {{ x-token: \"${{env:OTLP}}\" }} }} }}\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers: [{{ to: [{}] }}]\negresses:\n  - {{ id: t/dead, file: {{ path: dead.ndjson }} }}\n  - {{ id: t/results, file: {{ path: results.ndjson }} }}\nsinks:\n",
        echo.url("200"),
        names.join(", "),
    );
    let path = plugin("per_record.wasm").display().to_string();
    for (name, keys) in SINKS {
        let url = match *name {
            "query" => "${env:QUERYURL}".to_owned(),
            _ => echo.url(status),
        };
        let all = echo.url("");
        let authority = all.trim_start_matches("http://").trim_end_matches('/');
        let keys = keys.replace("ECHO", &all).replace("AUTHORITY", authority);
        let keys = if keys.is_empty() {
            keys
        } else {
            format!(", {keys}")
        };
        write!(text, "  - id: t/{name}\n    plugin: {{ path: {path} }}\n    endpoint: {{ url: \"{url}\"{keys} }}\n    batch: {{ max-wait: 10ms }}\n    retry: {{ max-attempts: 2, initial-delay: 1ms }}\n    on-outage: {on_outage}\n    results: {{ to: t/results }}\n    dead-letters: t/dead\n").expect("memory");
    }
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

fn nozzle(folder: &Path, echo: &Echo, status: &str, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command.current_dir(folder).args(args);
    for (name, _) in SINKS {
        command.env(name.to_uppercase(), variable(name));
    }
    let query = echo.url(&format!("{status}/a?token={}", canary("query")));
    command.env("QUERYURL", query).env("OTLP", canary("otlp"));
    Child::start(&mut command)
}

/// What every canary may look like.
fn forms() -> Vec<String> {
    let all = SINKS.iter().map(|(name, _)| *name).chain(["otlp"]);
    let encoded = |name: &str| {
        let user = if name.starts_with("oauth") {
            "me"
        } else {
            "somebody"
        };
        [
            BASE64_STANDARD.encode(canary(name)),
            BASE64_STANDARD.encode(format!("{user}:{}", canary(name))),
        ]
    };
    let mut forms: Vec<String> = all.flat_map(encoded).collect();
    forms.push(CANARY.to_owned());
    forms
}

/// Where one stands in this; empty if nowhere.
fn leaks(what: &str, text: &str) -> Vec<String> {
    let places = forms().into_iter().filter_map(|form| {
        let (before, behind) = text.split_once(&form)?;
        let before: String = before.chars().rev().take(120).collect();
        let before: String = before.chars().rev().collect();
        let behind: String = behind.chars().take(40).collect();
        Some(format!("{what}: …{before}«{form}»{behind}…"))
    });
    places.collect()
}

/// All files below a folder, but those that hold the secrets.
fn leaks_in_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.flat_map(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match &*name {
            "bearer" | "groups.json" | "module.yaml" | "cache" => Vec::new(),
            _ if path.is_dir() => leaks_in_files(&path),
            _ => {
                let bytes = std::fs::read(&path).expect("a file");
                leaks(
                    &path.display().to_string(),
                    &String::from_utf8_lossy(&bytes),
                )
            }
        }
    });
    files.collect()
}

fn get(said: &str, path: &str) -> String {
    let port = ["port=", "\"port\":"].iter().find_map(|key| {
        let (_, rest) = said.split_once(key)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port.expect("a port"))).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn no_secret_leaves_the_host_but_to_its_endpoint() {
    let echo = Echo::start();
    for (status, format) in [("200", "text"), ("400", "json"), ("503", "text")] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        write_module(folder, &echo, status, "dead-letter");
        let args = [
            "run",
            "module.yaml",
            "--properties",
            "groups.json",
            "--admin",
            "127.0.0.1:0",
            "--log",
            "trace",
            "--log-format",
            format,
            "--state-dir",
            "state",
        ];

        let host = nozzle(folder, &echo, status, &args);
        let said = host.wait_for("metrics, health and status are served");
        let shown = ["/metrics", "/status", "/ready", "/nowhere"].map(|path| {
            // It may have ended by then, as there are two records.
            std::panic::catch_unwind(|| get(&said, path)).unwrap_or_default()
        });
        let ended = host.finish();
        let check = nozzle(
            folder,
            &echo,
            status,
            &[
                "check",
                "module.yaml",
                "--properties",
                "groups.json",
                "--log",
                "trace",
            ],
        )
        .finish();

        let mut found = leaks("standard error", &ended.stderr);
        found.extend(leaks("standard output", &ended.stdout));
        found.extend(leaks("check", &format!("{}{}", check.stdout, check.stderr)));
        found.extend(shown.iter().flat_map(|shown| leaks("admin", shown)));
        found.extend(leaks_in_files(folder));
        assert!(found.is_empty(), "{status}:\n{}", found.join("\n"));
        assert_eq!(
            (ended.code(), check.code()),
            (0, 0),
            "{}{}",
            ended.stderr,
            check.stderr
        );
        let dead = std::fs::read_to_string(folder.join("dead.ndjson")).unwrap_or_default();
        let results = std::fs::read_to_string(folder.join("results.ndjson")).unwrap_or_default();
        assert!(
            !dead.is_empty(),
            "what has no token or no proxy is given up on"
        );
        assert!(
            format!("{dead}{results}").contains("****"),
            "the echo comes through, without its secrets"
        );
    }

    // Those that are sent, and the collector's, were on the wire; the others are keys of signatures.
    let seen = echo.seen();
    for name in [
        "headers", "header", "plain", "bearer", "property", "session", "oauth", "query", "otlp",
    ] {
        assert!(seen.contains(&canary(name)), "{name} was never sent");
    }
    let forward = BASE64_STANDARD.encode(format!("somebody:{}", canary("forward")));
    assert!(seen.contains(&forward), "the proxy was never told");
    let traces: Vec<String> = echo.seen.lock().expect("no panic").clone();
    let traces = traces
        .iter()
        .filter(|request| request.starts_with("POST /200/v1/traces"));
    let bodies: Vec<&str> = traces
        .filter_map(|request| Some(request.split_once("\r\n\r\n")?.1))
        .collect();
    assert!(!bodies.is_empty(), "there are traces");
    for body in bodies {
        assert_eq!(leaks("a trace", body), Vec::<String>::new());
    }
}

#[test]
fn no_secret_stands_in_an_error_either() {
    let echo = Echo::start();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &echo, "200", "hold");
    let good = std::fs::read_to_string(folder.join("module.yaml")).expect("written");
    let secret = "\"${env:HEADER}\"";
    let spoiled = [
        good.replacen("name: x-api-key, value:", "name: x-api-key, valeu:", 1),
        good.replacen("max-attempts: 2", &format!("max-attempts: {secret}"), 1),
        good.replacen("url: \"http", "url: \"${env:HEADER}", 1),
        good.replacen("max-wait: 10ms", &format!("max-wait: {secret}"), 1),
        good.replacen(
            "region: eu-west-1",
            &format!("region: {secret}, regoin: x"),
            1,
        ),
        good.replacen(
            "service: lambda",
            &format!("service: {secret}, regoin: x"),
            1,
        ),
        good.replacen("header: x-signature", &format!("header: {secret}"), 1),
        good.replacen("\"whsec_${env:WEBHOOKS}\"", "\"${env:HEADER}!\"", 1),
        good.replacen("somebody:${env:PROXY}@", "${env:PROXY}:${env:HEADER}@[", 1),
        good.replacen("to: t/results", &format!("to: {secret}"), 1),
        good.replacen(
            "proxy: ",
            "tls: { ca-file: \"${env:HEADER}\", key-file: \"${env:BASIC}\" }, proxy: ",
            1,
        ),
        good.replacen("id: t/headers", &format!("id: {secret}"), 1),
        good.replacen(
            "per_record.wasm }",
            "per_record.wasm, config: \"${env:HEADER}\" }",
            1,
        ),
    ];

    for (number, text) in spoiled.iter().enumerate() {
        assert_ne!(*text, good, "{number}");
        std::fs::write(folder.join("module.yaml"), text).expect("written");
        for command in ["check", "run"] {
            let args = [
                command,
                "module.yaml",
                "--properties",
                "groups.json",
                "--log",
                "trace",
                "--state-dir",
                "state",
            ];
            let ended = nozzle(folder, &echo, "200", &args).finish();
            let said = format!("{}{}", ended.stdout, ended.stderr);

            assert_ne!(ended.code(), 0, "{number}: {said}");
            assert_eq!(leaks(command, &said), Vec::<String>::new(), "{number}");
        }
    }
}

#[test]
fn no_secret_stands_in_what_is_recorded() {
    let echo = Echo::start();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_module(folder, &echo, "200", "dead-letter");
    // Records that hold secrets of the host, as they are and in base64, and a plugin that was told one.
    let module = folder.join("module.yaml");
    let text = std::fs::read_to_string(&module).expect("written");
    let notes: Vec<String> = ["header", "bearer", "property", "plain", "query"]
        .iter()
        .flat_map(|name| [canary(name), BASE64_STANDARD.encode(canary(name))])
        .collect();
    let fields = format!(
        "id: {{ sequence: {{}} }}, note: {{ choice: [\"{}\"] }}",
        notes.join(" ")
    );
    let config = format!("config: {{ headers: {{ x-note: {} }} }}", canary("basic"));
    let text = text
        .replace(
            "file: { path: in.ndjson }",
            &format!("datagen: {{ rate: 20, fields: {{ {fields} }} }}"),
        )
        .replace(
            "per_record.wasm }",
            &format!("per_record.wasm, {config} }}"),
        );
    std::fs::write(&module, text).expect("written");
    let admin = ["--admin", "unix:admin.sock"];
    let run = [
        "run",
        "module.yaml",
        "--properties",
        "groups.json",
        "--state-dir",
        "state",
    ];
    let host = nozzle(folder, &echo, "200", &[&run[..], &admin].concat());
    host.wait_for("metrics, health and status are served");
    let record = |name: &str| {
        let sink = format!("t/{name}");
        let args = ["plugin", "record", &sink, "--batches", "1"];
        nozzle(folder, &echo, "200", &[&args[..], &admin].concat()).finish()
    };
    let mut starts = record("header").stderr;
    for _ in 0..DEADLINE.as_millis() / 20 {
        if !starts.contains("the host is starting") {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        starts = record("header").stderr;
    }
    assert!(!starts.contains("the host is starting"), "{starts}");

    let mut found = Vec::new();
    for (name, _) in SINKS {
        let recorded = record(name);
        assert_eq!(recorded.code(), 0, "{name}: {}", recorded.stderr);
        let said = format!("{}{}", recorded.stdout, recorded.stderr);
        found.extend(leaks(name, &said));
        assert!(said.contains("something was taken out of 1 case"), "{said}");
    }
    found.extend(leaks_in_files(&folder.join("cases")));
    drop(host);

    assert!(found.is_empty(), "{}", found.join("\n"));
    let first = std::fs::read_to_string(folder.join("cases/t-header-001.yaml"));
    let first = first.expect("a case");
    for part in [
        "x-note: '[removed]'",
        "removed: secrets of the host",
        "****",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
}
