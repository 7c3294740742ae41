//! An ingress that waits for its source holds nobody up who leads to the same sinks.

use std::{io::Write, path::Path, process::ChildStdin};

use nozzle_testkit::{Child, Recorder};

use super::{counts, module, sink, write_records};

/// Behind the file, what comes on standard input.
fn start(folder: &Path, of_file: &str, of_stdin: &str, sinks: &[String]) -> (Child, ChildStdin) {
    let routers = format!(
        "    routers: [{{ to: [{of_file}] }}]\n  - id: t/quiet\n    file: {{ path: \"-\" }}\n    routers: [{{ to: [{of_stdin}] }}]\n"
    );
    module(folder, &routers, sinks, "");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nozzle"));
    Child::start_fed(command.current_dir(folder).args(["run", "module.yaml"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_has_nothing_yet_keeps_no_other_from_its_sinks() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_records(folder, 3_000);
    let a = Recorder::start(|_| 200).await;
    let sinks = [sink("t/a", &a.url(), "{data}", "")];

    let (host, stdin) = start(folder, "t/a", "t/a", &sinks);
    a.until("the file", |bodies| bodies.len() == 3_000).await;
    drop(stdin);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(counts(&a.accepted()).len(), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_come_to_a_sink_that_their_ingress_leads_to_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_records(folder, 0);
    let (a, b) = (
        Recorder::start(|_| 400).await,
        Recorder::start(|_| 200).await,
    );
    let sinks = [
        sink("t/a", &a.url(), "{data}", "    dead-letters: t/b\n"),
        sink("t/b", &b.url(), "{data}", ""),
    ];

    let (host, mut stdin) = start(folder, "t/b", "t/a, t/b", &sinks);
    stdin.write_all(b"{\"id\":1}\n").expect("it reads");
    b.until("the record and its letter", |bodies| bodies.len() == 2)
        .await;
    drop(stdin);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(b.accepted(), ["{\"id\":1}", "{\"id\":1}"]);
}
