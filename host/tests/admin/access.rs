//! Who is let in: every route that the OpenAPI document names, by token, `Host` and `Origin`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
};

use nozzle_testkit::{Child, DEADLINE, Recorder};
use serde_json::Value;
use tempfile::TempDir;

use super::host::{Answer, Host, Sink, exchange, nozzle, send, write_module};

const TOKEN: &str = "0123456789abcdef-canary";

/// A host whose module says this of its admin address.
fn start(endpoint: &Recorder, admin: &str) -> (Host, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 3, &[Sink("sink", &endpoint.url(), "")]);
    append(folder.path(), admin);
    let host = Host::start_at(folder.path(), &[]);
    host.until("/ready", |answer| answer.status == 200);
    (host, folder)
}

fn append(folder: &Path, more: &str) {
    let path = folder.join("module.yaml");
    let text = std::fs::read_to_string(&path).expect("a module");
    std::fs::write(&path, format!("{text}{more}\n")).expect("written");
}

/// Every method of every path; the one that ends the host comes last.
fn routes() -> Vec<(String, String)> {
    let ended = Child::start(nozzle().arg("openapi")).finish();
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut routes: Vec<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let path = path.replace("{namespace}", "t").replace("{name}", "sink");
            // Nothing passes, and it is not to wait for long.
            let path = path.replace("/record", "/record?seconds=1");
            let methods = methods.as_object().expect("methods").keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    routes.sort_by_key(|(method, path)| (path == "/v1/drain", method.clone(), path.clone()));
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

const SOURCES: [(&str, bool); 6] = [
    ("host: localhost:1\r\n", true),
    ("host: localhost:1\r\norigin: http://localhost:1\r\n", true),
    ("host: evil.test\r\n", false),
    ("host: localhost:1\r\norigin: http://evil.test\r\n", false),
    ("host: evil.test\r\norigin: http://evil.test\r\n", false),
    ("host: localhost:1\r\norigin: null\r\n", false),
];

/// What is expected of a route with a token that is not the right one.
type Closed = fn(method: &str, path: &str) -> u16;

/// Asks for every route from everywhere, with every token; `right` is what lets in.
fn holds(host: &Host, right: &str, without: Closed) {
    let tokens = [
        (String::new(), false),
        ("authorization: Bearer wrong\r\n".to_owned(), false),
        (format!("authorization: Basic {right}\r\n"), false),
        (format!("authorization: Bearer {right}x\r\n"), false),
        (
            format!("authorization: Bearer {right}\r\n").repeat(2),
            false,
        ),
        (format!("authorization: Bearer {right}\r\n"), true),
    ];
    for (method, path) in routes() {
        for (source, own) in SOURCES {
            for (token, is_right) in &tokens {
                let request = format!("{method} {path} HTTP/1.1\r\n{source}{token}\r\n");
                let answer = send(host.address, &request);
                let expected = match (own, is_right) {
                    (false, _) => 403,
                    (true, true) if path == "/v1/drain" => 202,
                    // There is none before the first.
                    (true, true) if path.ends_with("/rollback") => 409,
                    (true, true) => 200,
                    (true, false) => without(&method, &path),
                };
                assert_eq!(answer.status, expected, "{request}{}", answer.body);
                is_whole(&answer);
                if expected == 202 {
                    return;
                }
            }
        }
    }
}

/// A refusal says what is wrong and what to do, and nothing else.
fn is_whole(answer: &Answer) {
    assert!(!answer.body.contains(TOKEN), "{}", answer.body);
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{}",
        answer.head
    );
    if answer.status < 400 {
        return;
    }
    let kind = "content-type: application/problem+json";
    assert!(answer.head.contains(kind), "{}", answer.head);
    let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(problem["status"], answer.status);
    let name = problem["type"].as_str().expect("a type");
    assert!(name.starts_with("urn:nozzle:problem:"), "{name}");
    let asks = answer.head.contains("www-authenticate: bearer");
    assert_eq!(asks, answer.status == 401, "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_in_the_module_reading_is_open_and_changes_need_that_of_the_state_directory()
 {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let (host, folder) = start(&endpoint, "");
    let file = folder.path().join(".nozzle/admin-token");
    let token = std::fs::read_to_string(&file).expect("a token");
    let mode = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();

    holds(&host, token.trim(), |method, _| match method {
        "POST" => 401,
        _ => 200,
    });
    endpoint.open();
    let ended = host.child.finish();

    assert_eq!((ended.code(), mode & 0o777), (0, 0o600), "{}", ended.stderr);
    assert!(!ended.stderr.contains(token.trim()), "{}", ended.stderr);
    assert!(!file.exists(), "it is good no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_in_the_module_nothing_but_liveness_is_open() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let (host, folder) = start(&endpoint, &format!("admin: {{ token: {TOKEN} }}"));

    holds(&host, TOKEN, |_, path| match path {
        "/live" | "/ready" => 200,
        _ => 401,
    });
    endpoint.open();
    let ended = host.child.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    assert!(!folder.path().join(".nozzle/admin-token").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_file_is_good_for_as_long_as_it_stands_there() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", &endpoint.url(), "")]);
    append(folder.path(), "admin: { token: \"${file:token}\" }");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    let host = Host::start_at(folder.path(), &[]);
    let ask = |token: &str| {
        let header = format!("authorization: Bearer {token}\r\n");
        host.ask("GET", "/v1/openapi.json", &header).status
    };

    let first = (ask(TOKEN), ask("another-canary-of-16"));
    std::fs::write(&file, "another-canary-of-16\n").expect("written");
    let second = (ask(TOKEN), ask("another-canary-of-16"));
    std::fs::remove_file(&file).expect("removed");
    let gone = (ask(TOKEN), ask("another-canary-of-16"));

    assert_eq!((first, second, gone), ((200, 401), (401, 200), (503, 503)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_only_cannot_be_changed_by_anybody() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let (host, folder) = start(&endpoint, "admin: { read-only: true }");

    let asked: Vec<(String, u16)> = routes()
        .iter()
        .map(|(method, path)| (method.clone(), host.ask(method, path, "").status))
        .collect();
    let open = Child::start(nozzle().current_dir(folder.path()).args([
        "run",
        "module.yaml",
        "--admin",
        "0.0.0.0:0",
        "--state-dir",
        "other",
    ]));
    let served = open.wait_for("metrics, health and status are served");

    for (method, status) in asked {
        assert_eq!(status, if method == "POST" { 403 } else { 200 });
    }
    assert!(served.contains("0.0.0.0:0"), "{served}");
    assert!(!folder.path().join(".nozzle/admin-token").exists());
}

#[test]
fn what_others_reach_is_not_served_without_tls_and_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", "http://127.0.0.1:9/", "")]);

    let args = ["run", "module.yaml", "--admin", "0.0.0.0:0"];
    let ended = Child::start(nozzle().current_dir(folder.path()).args(args)).finish();

    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: `0.0.0.0:0` must not be served like this: others reach it, and could change what runs
      hint: set `admin.tls` and `admin.token`, or `admin.read-only: true` to let others read ids and numbers, or listen on this machine alone; --admin-read-only is the same
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_its_owners_alone_and_needs_no_token() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", &endpoint.url(), "")]);
    append(folder.path(), "admin: { address: \"unix:run.sock\" }");
    let socket = folder.path().join("run.sock");
    // A host before this one was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    let child = Child::start(
        nozzle()
            .current_dir(folder.path())
            .args(["run", "module.yaml"]),
    );
    child.wait_for("metrics, health and status are served");
    let ask = |request: &str| {
        let stream = UnixStream::connect(&socket).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        exchange(stream, request)
    };
    endpoint.held(1).await;
    let ready = "GET /ready HTTP/1.1\r\nhost: any\r\n\r\n";
    for _ in 0..DEADLINE.as_millis() / 20 {
        if ask(ready).status == 200 {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let mode = std::fs::metadata(&socket)
        .expect("a socket")
        .permissions()
        .mode();

    let paused = ask("POST /v1/sinks/t/sink/pause HTTP/1.1\r\nhost: any\r\n\r\n");
    let page = ask("GET /status HTTP/1.1\r\nhost: any\r\norigin: http://any\r\n\r\n");
    let address = format!("unix:{}", socket.display());
    let resumed = Child::start(nozzle().args(["resume", "t/sink", "--admin", &address])).finish();
    endpoint.open();
    let ended = child.finish();

    assert_eq!(
        (mode & 0o777, paused.status, page.status),
        (0o600, 200, 403)
    );
    assert_eq!(resumed.code(), 0, "{}", resumed.stderr);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let uid =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder.path()).expect("a folder"));
    assert!(
        ended.stderr.contains(&format!("who=uid {uid}")),
        "{}",
        ended.stderr
    );
    assert!(!socket.exists(), "it is gone with the host");
    assert!(!folder.path().join(".nozzle/admin-token").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_token_lets_in_whoever_trusts_the_certificate() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", &endpoint.url(), "")]);
    let names = ["localhost".to_owned(), "nozzle.test".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("admin.pem", &own.cert.pem());
    write("admin.key", &own.signing_key.serialize_pem());
    write("token", &format!("{TOKEN}\n"));
    let tls = "admin: { address: \"0.0.0.0:0\", token: \"${file:token}\", tls: { cert-file: admin.pem, key-file: admin.key } }";
    append(folder.path(), tls);
    let args = ["run", "module.yaml"];
    let child = Child::start(nozzle().current_dir(folder.path()).args(args));
    let said = child.wait_for("metrics, health and status are served");
    let (_, port) = said.split_once("port=").expect("a port");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    endpoint.held(1).await;
    let address = format!("https://localhost:{port}");
    let ask = |more: &[&str]| {
        let command = ["pause", "t/sink", "--admin", &address];
        Child::start(nozzle().current_dir(folder.path()).args(command).args(more)).finish()
    };

    let right = ["--ca-file", "admin.pem", "--token-file", "token"];
    // Its endpoint may see a call before the host says what runs.
    let trusted = std::iter::repeat_with(|| ask(&right))
        .take(100)
        .find(|trusted| !trusted.stderr.contains("the host is starting"))
        .expect("it runs");
    let untrusted = ask(&["--token-file", "token"]);
    let unknown = ask(&["--ca-file", "admin.pem"]);
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    plain.set_read_timeout(Some(DEADLINE)).expect("set");
    plain
        .write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .expect("written");
    let mut answer = Vec::new();
    // Reset, or an alert of TLS.
    drop(plain.read_to_end(&mut answer));

    assert_eq!(trusted.code(), 0, "{}", trusted.stderr);
    assert_eq!((untrusted.code(), unknown.code()), (2, 2));
    assert!(
        untrusted.stderr.contains("invalid peer certificate"),
        "{}",
        untrusted.stderr
    );
    assert!(
        unknown.stderr.contains("error: a token is needed\n"),
        "{}",
        unknown.stderr
    );
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}

#[test]
fn a_certificate_that_is_none_is_an_error_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    write_module(folder.path(), 1, &[Sink("sink", "http://127.0.0.1:9/", "")]);
    append(
        folder.path(),
        "admin: { address: \"127.0.0.1:0\", tls: { cert-file: none.pem, key-file: none.key } }",
    );

    let args = ["run", "module.yaml"];
    let ended = Child::start(nozzle().current_dir(folder.path()).args(args)).finish();

    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: the admin address `127.0.0.1:0` cannot be listened on
      caused by: `none.pem` cannot be used
      caused by: I/O error: No such file or directory (os error 2)
      hint: correct `admin.tls` in the module file
    ");
    assert!(!folder.path().join(".nozzle").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_expected_is_refused_and_a_large_one_is_not_read() {
    let endpoint = Recorder::start(|_| 200).await;
    endpoint.close();
    let (host, folder) = start(&endpoint, "");
    let token =
        std::fs::read_to_string(folder.path().join(".nozzle/admin-token")).expect("a token");
    let pause = |headers: &str, body: &str| {
        let request = format!(
            "POST /v1/sinks/t/sink/pause HTTP/1.1\r\nhost: localhost\r\nauthorization: bearer {}\r\n{headers}\r\n{body}",
            token.trim()
        );
        send(host.address, &request)
    };

    let small = pause("content-length: 2\r\n", "{}");
    let empty = pause("content-length: 0\r\n", "");
    let chunked = pause("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n");
    let no_chunk = pause("transfer-encoding: chunked\r\n", "0\r\n\r\n");
    // Just over the limit: all of it is taken, so that the answer can be read.
    let large = "x".repeat(16 * 1024 + 1);
    let large = pause(&format!("content-length: {}\r\n", large.len()), &large);
    let huge = {
        let head = "POST /v1/sinks/t/sink/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n\r\n";
        send(host.address, head)
    };

    let statuses = [&small, &empty, &chunked, &no_chunk, &large, &huge].map(|answer| answer.status);
    assert_eq!(statuses, [400, 200, 400, 200, 413, 401]);
}
