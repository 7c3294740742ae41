//! What the author of a plugin works with, as a user meets it: the binary itself.

#[path = "author/bench.rs"]
mod bench;
#[path = "author/cases.rs"]
mod cases;
#[path = "author/check.rs"]
mod check;
#[path = "author/new.rs"]
mod new;
#[path = "author/record.rs"]
mod record;
#[path = "author/requests.rs"]
mod requests;

use std::{path::Path, process::Command};

use nozzle_testkit::{Child, plugins};

/// The binary in a folder of its own; what it compiles is kept from one run of the tests to the next.
fn nozzle(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("NOZZLE_LOG")
        .args(["--log", "error", "plugin"]);
    command
}

/// A panic's text without its line and column, which change with the guest's source.
fn without_places(text: &str) -> String {
    let mut parts = text.split("deeds.rs:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        let is_place = |letter: char| letter.is_ascii_digit() || letter == ':';
        text + "deeds.rs:LINE:" + rest.trim_start_matches(is_place)
    })
}

/// What a command says and its exit code; paths of this machine are made nameless.
fn said(folder: &Path, args: &[&str]) -> String {
    let ended = Child::start(nozzle(folder).args(args)).finish();
    let dist = plugins().display().to_string();
    let nameless = |text: &str| {
        without_places(text)
            .replace(&folder.display().to_string(), "DIR")
            .replace(&dist, "PLUGINS")
    };
    format!(
        "{}{}exit code {}\n",
        nameless(&ended.stdout),
        nameless(&ended.stderr),
        ended.code()
    )
}

#[test]
fn help_is_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");

    let texts = ["new", "check", "test", "run", "bench", "record"]
        .map(|name| said(folder.path(), &[name, "--help"]));

    insta::assert_snapshot!(texts.join("\n=====\n"));
}
