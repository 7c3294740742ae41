//! `nozzle plugin run`: the requests of one batch, as text and as commands of curl.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use nozzle_testkit::{Child, plugin};

use crate::{nozzle, said};

/// A plugin that writes headers and bodies as it is told.
const CONFIG: &str = r#"{"target":"items/{json:/id}?q={json:/q}","headers":{"x-q":"{json:/q}","content-type":"text/plain"},"body":"@{json:/q}\n{data}"}"#;

const RECORDS: &str = "{\"id\":1,\"q\":\"it's $HOME `id` \\\\ \\\"q\\\" !x\"}\n\n{\"id\":2}\n{\"id\":3,\"q\":\"[a-b]{1,2}\"}\n";

fn run(folder: &Path, args: &[&str]) -> String {
    let path = plugin("per_record.wasm").display().to_string();
    fs::write(folder.join("records"), RECORDS).expect("written");
    let url = "https://api.example.com/v1";
    said(
        folder,
        &[
            &["run", &path, "records", "--config", CONFIG, "--url", url],
            args,
        ]
        .concat(),
    )
}

#[test]
fn requests_are_printed_as_they_would_be_sent() {
    let folder = tempfile::tempdir().expect("a folder");

    let text = run(folder.path(), &[]);
    let curl = run(folder.path(), &["--curl"]);

    insta::assert_snapshot!(format!("{text}\n=====\n{curl}"));
}

#[test]
fn what_a_shell_makes_of_a_command_is_the_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // It says what it was called with, in place of calling anybody.
    let script = "#!/bin/sh\nfor word in \"$@\"; do printf '<%s>' \"$word\"; done; case \"$*\" in *@-) cat;; esac\n";
    fs::write(folder.join("curl"), script).expect("written");
    fs::set_permissions(folder.join("curl"), fs::Permissions::from_mode(0o755)).expect("set");
    let shell = |commands: &str| {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", commands])
            .env("PATH", format!("{}:{path}", folder.display()))
            .output()
            .expect("a shell");
        output.stdout
    };

    let path = plugin("per_record.wasm").display().to_string();
    fs::write(folder.join("records"), RECORDS).expect("written");
    let args = ["run", &path, "records", "--curl", "--config", CONFIG];
    let printed = Child::start(nozzle(folder).args(args)).finish();
    let words = String::from_utf8(shell(&printed.stdout)).expect("text");
    let json = plugin("json_batch.wasm").display().to_string();
    fs::write(folder.join("bytes"), b"\xff\0'\n").expect("written");
    let args = [
        "run",
        &json,
        "bytes",
        "--curl",
        "--config",
        r#"{"validate":false}"#,
    ];
    let printed = Child::start(nozzle(folder).args(args)).finish();
    let bytes = shell(&printed.stdout);

    assert!(
        words.contains("<x-q: it's $HOME `id` \\ \"q\" !x>"),
        "{words}"
    );
    let body =
        "<@it's $HOME `id` \\ \"q\" !x\n{\"id\":1,\"q\":\"it's $HOME `id` \\\\ \\\"q\\\" !x\"}>";
    assert!(words.contains(body), "{words}");
    assert!(words.contains("<x-q: [a-b]{1,2}>"), "{words}");
    assert!(bytes.ends_with(b"<@->[\xff\0']"), "{bytes:?}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::write(folder.join("empty"), "\n\n").expect("written");
    fs::write(folder.join("poison"), "poison\n").expect("written");
    let json = plugin("json_batch.wasm").display().to_string();
    let hostile = plugin("hostile.wasm").display().to_string();

    let found = [
        said(folder, &["run", &json, "nowhere"]),
        said(folder, &["run", &json, "empty"]),
        said(folder, &["run", &json, "poison", "--url", "ftp://a"]),
        said(
            folder,
            &["run", &hostile, "poison", "--config", r#"{"shape":"omit"}"#],
        ),
    ];

    insta::assert_snapshot!(found.join("\n"));
}
