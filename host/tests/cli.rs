//! The binary as a user meets it: a run from end to end, and what it says when something is wrong.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, Recorder, plugin, plugins};

fn nozzle() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nozzle"))
}

/// Runs to the end in a folder of its own; temporary paths and the repository's are made nameless.
fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let Ended { status, stderr, .. } = Child::start(
        nozzle()
            .current_dir(folder)
            .args(args)
            .args(["--log", "warn"]),
    )
    .finish();
    let dist = plugins().display().to_string();
    let text = stderr
        .replace(&folder.display().to_string(), "DIR")
        .replace(&dist, "PLUGINS");
    (status.code().unwrap_or(-1), text)
}

fn module(folder: &Path, sink: &str) {
    let text = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    datagen: {{ count: 3 }}\n    routers:\n      - to: [t/sink]\nsinks:\n  - id: t/sink\n{sink}"
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
}

fn sink_with(plugin: &str, rest: &str) -> String {
    format!(
        "    plugin: {{ path: {plugin} }}\n    endpoint: {{ url: \"http://127.0.0.1:9/\" }}\n{rest}"
    )
}

#[test]
fn help_is_what_it_was() {
    let mut texts = Vec::new();
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["endpoint", "--help"],
        &["demo", "--help"],
        &["top", "--help"],
    ] {
        let ended = Child::start(nozzle().args(args)).finish();
        assert_eq!(ended.code(), 0);
        texts.push(ended.stdout);
    }

    insta::assert_snapshot!(texts.join("\n=====\n"));
}

#[test]
fn an_endpoint_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = String::new();
    for args in [
        &["--resets", "200"][..],
        &["--item-failures", "NaN"],
        &["--latency", "40ms..5ms"],
        &["--status", "503=60", "--status", "429=40", "--resets", "1"],
    ] {
        let (code, text) = run(folder.path(), &[&["endpoint"], args].concat());
        found.push_str(&format!("exit code {code}\n{text}\n"));
    }

    insta::assert_snapshot!(found);
}

const FILE_INGRESS: &str = r#"version: "1"
ingresses:
  - id: t/in
    file: { path: missing.ndjson }
    routers:
      - to: [t/sink]
sinks:
  - id: t/sink
    plugin: { path: json_batch.wasm }
    endpoint: { url: "http://127.0.0.1:9/" }
"#;

#[test]
fn the_errors_a_user_meets_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("core.wasm"), b"\0asm\x01\0\0\0").expect("written");
    std::fs::write(folder.join("other.wasm"), b"\0asm\x0d\0\x01\0").expect("written");
    // By names of one length, wherever the plugins are: a line of the module is shown, and marked.
    for name in ["json_batch.wasm", "lookup.wasm", "per_record.wasm"] {
        std::os::unix::fs::symlink(plugin(name), folder.join(name)).expect("linked");
    }
    let good = "json_batch.wasm";
    let mut found = String::new();
    let mut show = |name: &str, args: &[&str]| {
        let (code, text) = run(folder, args);
        found.push_str(&format!("## {name}: exit code {code}\n{text}\n"));
    };

    show("no such module file", &["run", "nowhere.yaml"]);
    module(folder, &sink_with("missing.wasm", ""));
    show("no such plugin file", &["run", "module.yaml"]);
    module(folder, &sink_with("core.wasm", ""));
    show("core module", &["run", "module.yaml"]);
    module(folder, &sink_with("other.wasm", ""));
    show("wrong world", &["run", "module.yaml"]);
    module(
        folder,
        &sink_with(
            good,
            "    retry: { max-atempts: 3 }\n    dead-letters: t/failed\n",
        ),
    );
    show("unknown key", &["run", "module.yaml"]);
    module(folder, &sink_with(good, "    dead-letters: t/failed\n"));
    show("dangling id", &["check", "module.yaml"]);
    module(folder, &sink_with(good, ""));
    show("check", &["check", "module.yaml"]);
    module(folder, &sink_with("lookup.wasm", ""));
    show("no grant", &["check", "module.yaml"]);
    let misspelt = "per_record.wasm, config: { bodi: x }";
    module(folder, &sink_with(misspelt, ""));
    show(
        "a configuration that the plugin refuses",
        &["run", "module.yaml"],
    );
    let folders = "    grants: { files: [{ path: nowhere, as: /tables }] }\n";
    module(folder, &sink_with(good, folders));
    show("no such folder", &["check", "module.yaml"]);
    std::fs::write(folder.join("file.yaml"), FILE_INGRESS).expect("written");
    show("no source file", &["run", "file.yaml"]);
    show(
        "no plugin for the demo",
        &["demo", "--plugin", "nowhere.wasm"],
    );
    show(
        "no input file",
        &[
            "run",
            "--plugin",
            good,
            "--url",
            "http://127.0.0.1:9/",
            "--file",
            "no.ndjson",
        ],
    );
    show(
        "a URL that is none",
        &["run", "--plugin", good, "--url", "ftp://x/", "--count", "1"],
    );

    insta::assert_snapshot!(found);
}

#[test]
fn an_unreachable_endpoint_and_a_record_larger_than_a_batch_are_named_in_dead_letters() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let good = plugin("json_batch.wasm").display().to_string();
    let text = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    file: {{ path: in.ndjson }}\n    routers:\n      - to: [t/sink]\nsinks:\n  - id: t/sink\n    plugin: {{ path: {good} }}\n    endpoint: {{ url: \"http://127.0.0.1:9/\" }}\n    batch: {{ max-bytes: 20 }}\n    retry: {{ max-attempts: 2, initial-delay: 1ms }}\n    on-outage: dead-letter\n    dead-letters: t/failed\negresses:\n  - id: t/failed\n    file: {{ path: failed.ndjson }}\n"
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
    std::fs::write(
        folder.join("in.ndjson"),
        "{\"id\":1}\n{\"id\":2,\"text\":\"a long one\"}\n",
    )
    .expect("written");

    let (code, _) = run(folder, &["run", "module.yaml"]);

    assert_eq!(code, 0);
    let letters = std::fs::read_to_string(folder.join("failed.ndjson")).expect("letters");
    let mut causes: Vec<String> = letters
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|letter| format!("{}: {}", letter["cause"], letter["message"]))
        .collect();
    causes.sort();
    insta::assert_snapshot!(causes.join("\n"), @r#"
    "attempts-exhausted": "2 attempts failed (`retry.max-attempts`); the last: could not connect: Connection refused (os error 111) (`http://127.0.0.1:9/`)"
    "too-large": "the record has 28 bytes, more than `batch.max-bytes` (20) allows"
    "#);
}

#[test]
fn a_state_directory_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let good = plugin("json_batch.wasm").display().to_string();
    let args = [
        "run",
        "--plugin",
        &good,
        "--url",
        "http://127.0.0.1:9/",
        "--rate",
        "1",
    ];
    let first = Child::start(
        nozzle()
            .current_dir(folder)
            .args(args)
            .args(["--grace", "0s"]),
    );
    first.wait_for("dead letters go to a file");

    let (code, text) = run(folder, &args);

    assert_eq!(code, 4);
    assert!(
        text.contains("the state directory `.nozzle` is in use by process "),
        "{text}"
    );
    assert!(
        text.contains("hint: stop that host, or pass another --state-dir"),
        "{text}"
    );
}

#[test]
fn a_secret_is_shown_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let good = plugin("per_record.wasm").display().to_string();
    std::fs::write(
        folder.join("properties.json"),
        r#"[{"PropertyGroupId":"Api","PropertyMap":{"url":"http://127.0.0.1:9/canary-path","key":"canary-key"}}]"#,
    )
    .expect("written");
    let url = "    endpoint: { url: \"${Api:url}\", auth: { header: { name: x-api-key, value: \"${Api:key}\" } } }\n";
    module(
        folder,
        &format!(
            "    plugin: {{ path: {good} }}\n{url}    on-outage: dead-letter\n    retry: {{ strategy: none }}\n"
        ),
    );
    let args = [
        "run",
        "module.yaml",
        "--properties",
        "properties.json",
        "--log",
        "trace",
    ];

    let text = Child::start(nozzle().current_dir(folder).args(args)).finish();
    let json = ["--log-format", "json", "--state-dir", "json"];
    let json = Child::start(nozzle().current_dir(folder).args(args).args(json)).finish();

    assert_eq!((text.code(), json.code()), (0, 0), "{}", text.stderr);
    let letters = std::fs::read_to_string(folder.join(".nozzle/dead-letters-t_sink.ndjson"))
        .expect("letters");
    assert!(letters.contains("${Api:url}"), "{letters}");
    assert!(!letters.contains("canary"), "{letters}");
    let own: String = [text.stderr, json.stderr]
        .iter()
        .flat_map(|said| said.lines())
        .filter(|line| line.contains("canary"))
        .collect();
    assert_eq!(own, "", "a secret was logged");
}

#[test]
fn the_schema_is_printed_as_it_is_committed() {
    let ended = Child::start(nozzle().arg("schema")).finish();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/module.schema.json");

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(committed, &ended.stdout).expect("written");
    }

    let committed = std::fs::read_to_string(committed).expect("it is committed");
    assert!(
        committed == ended.stdout,
        "the schema has changed: run `make bless`"
    );
}

#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("dead.ndjson"), "").expect("written");
    let plugin = plugin("per_record.wasm").display().to_string();
    let commands = [
        &["schema"][..],
        &["openapi"],
        &["completions", "bash"],
        &["dead-letters", "dead.ndjson", "--json"],
        &["plugin", "inspect", &plugin],
    ];
    for args in commands {
        let end_with = |stdout: Stdio| {
            let mut command = nozzle();
            command.current_dir(folder.path()).args(args);
            let output = command.stdin(Stdio::null()).stdout(stdout).output();
            let output = output.expect("it runs");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.code(), stderr)
        };
        let (reader, gone) = std::io::pipe().expect("a pipe");
        drop(reader);
        let full = File::create("/dev/full").expect("a device");

        let of_gone = end_with(gone.into());
        let (code, said) = end_with(full.into());

        assert_eq!(of_gone, (Some(0), String::new()), "{args:?}");
        assert_eq!(code, Some(1), "{args:?}: {said}");
        let expected =
            "error: standard output cannot be written\n  caused by: No space left on device";
        assert!(said.starts_with(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_token_is_not_sent_without_tls_to_another_machine() {
    let mut command = nozzle();
    // An address for documentation (RFC 5737): nothing is there.
    command
        .args(["pause", "t/a", "--admin", "192.0.2.2:28735"])
        .env("NOZZLE_ADMIN_TOKEN", "a-token-of-another-machine");

    let ended = Child::start(&mut command).finish();

    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    let expected = "a token is not sent to `192.0.2.2:28735` without TLS";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn nobody_who_hears_it_stops_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = sink_with(
        &plugin("per_record.wasm").display().to_string(),
        "    on-outage: dead-letter\n    retry: { strategy: none }\n",
    );
    module(folder.path(), &sink);
    let (reader, gone) = std::io::pipe().expect("a pipe");
    drop(reader);

    let ended = nozzle()
        .current_dir(folder.path())
        .args(["run", "module.yaml"])
        .stdin(Stdio::null())
        .stderr(gone)
        .status();

    assert_eq!(ended.expect("it runs").code(), Some(0));
}

#[test]
fn check_opens_the_files_of_endpoints_and_says_where_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let pem = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("written");
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("written");
    };
    pem("one");
    pem("other");
    std::fs::write(folder.join("text.pem"), "canary").expect("written");
    let good = plugin("json_batch.wasm").display().to_string();
    let module = |tls: [&str; 4]| {
        let [missing, empty, pair, fine] = tls;
        format!(
            r#"version: "1"
ingresses:
  - id: t/in
    datagen: {{ count: 3 }}
    routers: [{{ to: [t/sink] }}]
endpoints:
  - id: t/missing
    url: https://a.test/
    tls: {{ {missing} }}
  - id: t/empty
    url: https://a.test/
    tls: {{ {empty} }}
sinks:
  - id: t/sink
    plugin: {{ path: {good} }}
    endpoint: t/missing
    endpoints:
      empty: t/empty
      pair: {{ url: "https://a.test/", tls: {{ {pair} }} }}
      fine: {{ url: "https://a.test/", tls: {{ {fine} }} }}
"#
        )
    };
    let wrong = [
        "ca-file: missing.pem",
        "ca-file: text.pem",
        "cert-file: one.pem, key-file: other.key",
        "ca-file: other.pem, cert-file: one.pem, key-file: one.key",
    ];
    std::fs::write(folder.join("module.yaml"), module(wrong)).expect("written");
    let refused = run(folder, &["check", "module.yaml"]);
    let right = [wrong[3]; 4];
    std::fs::write(folder.join("module.yaml"), module(right)).expect("written");
    let taken = run(folder, &["check", "module.yaml"]);

    assert_eq!(taken.0, 0, "{}", taken.1);
    assert!(
        !refused.1.contains("canary"),
        "a secret is shown: {}",
        refused.1
    );
    insta::assert_snapshot!(format!("exit code {}\n{}", refused.0, refused.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_nobody_reads_any_more_end_the_run_and_not_as_delivered() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = Recorder::start(|_| 200).await;
    let (reader, gone) = std::io::pipe().expect("a pipe");
    drop(reader);

    let mut command = nozzle();
    command
        .current_dir(folder.path())
        .args(["run", "--url", &endpoint.url(), "--plugin"])
        .arg(plugin("per_record.wasm"))
        .args(["--count", "50", "--results", "-", "--grace", "5s"]);
    let output = command.stdin(Stdio::null()).stdout(gone).output();

    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    let expected = "nobody reads standard output any more";
    assert!(said.contains(expected), "{said}");
}

/// A pipe that nobody writes to is waited for: one can be told to wait no more.
#[test]
fn a_second_signal_ends_a_host_that_has_not_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status();
    assert!(made.expect("it is there").success());
    let mut command = nozzle();
    command
        .current_dir(folder.path())
        .args(["run", "--url", "http://127.0.0.1:9/", "--plugin"])
        .arg(plugin("per_record.wasm"))
        .args(["--file", "pipe", "--admin", "127.0.0.1:0"]);

    let host = Child::start(&mut command);
    host.wait_for("metrics, health and status are served");
    host.signal(Signal::SIGTERM);
    host.wait_for("told to stop while it starts");
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let expected = "error: ended by a second signal, before it had started";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}
