//! Modules that are refused: nothing changes, and the reason is said.

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Recorder, plugin};

use super::{Rig, STREAM, each_once, ids, metric, module, sink, to};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_cannot_be_used_changes_nothing_and_says_why() {
    let endpoint = Recorder::start(|_| 200).await;
    let a = sink("t/a", &endpoint.url(), "");
    let good = module(&format!("{STREAM}{}", to("t/a")), &[a], "");
    let rig = Rig::new(&good);
    std::fs::write(rig.path().join("no.wasm"), "no plugin").expect("written");
    let host = rig.start();
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;
    let path = plugin("json_batch.wasm").display().to_string();
    let other_rate = good.replace("rate: 500", "rate: 400");
    let table = [
        ("version: [".to_owned(), "the module file has problems"),
        (
            good.replace("max-records: 20", "max-recrods: 20"),
            "did you mean `max-records`?",
        ),
        (good.replace("to: [t/a]", "to: [t/b]"), "t/b"),
        (
            good.replace("interval: 20ms", "interval: 30ms"),
            "`progress` cannot be changed while the host runs",
        ),
        // Other changes beside what fails are not made either.
        (other_rate.replace(&path, "gone.wasm"), "gone.wasm"),
        (
            other_rate.replace(&path, "no.wasm"),
            "is no WebAssembly file",
        ),
        (
            good.replace(
                &format!("{STREAM}{}", to("t/a")),
                &format!(
                    "{STREAM}{}  - id: t/file\n    file: {{ path: gone.ndjson }}\n{}",
                    to("t/a"),
                    to("t/a")
                ),
            ),
            "gone.ndjson",
        ),
    ];
    for (text, why) in &table {
        assert_ne!(*text, good, "{why}");
        rig.write(text);
        let told = rig.tell(&["reload"]);

        assert_ne!(told.code(), 0, "{why}: {}", told.stderr);
        assert!(told.stderr.contains(why), "{why}: {}", told.stderr);
    }
    host.wait_for("the module was not reloaded; the host runs on as it was");
    rig.write(&good);
    let back = rig.tell(&["reload"]);
    let refused = metric(&rig, "nozzle_module_reloads_total{result=\"refused\"}");
    let accepted = metric(&rig, "nozzle_module_reloads_total{result=\"accepted\"}");
    let before = endpoint.accepted().len();
    endpoint
        .until("more calls", |bodies| bodies.len() > before + 5)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        back.stderr.contains("nothing is changed"),
        "{}",
        back.stderr
    );
    // The host may have seen each file by itself, too.
    let refused: usize = refused.parse().expect("a number");
    assert!(
        (table.len()..=2 * table.len()).contains(&refused),
        "{refused}"
    );
    assert_eq!(accepted, "0");
    each_once("all", ids(&endpoint.accepted()));
    assert!(
        !ended.stderr.contains("the sink hands over"),
        "{}",
        ended.stderr
    );
    let audit = ended
        .stderr
        .lines()
        .filter(|line| line.contains("reload-module"));
    assert_eq!(audit.count(), table.len() + 1, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_and_so_it_is_at_sighup() {
    let endpoint = Recorder::start(|_| 200).await;
    let with = |size: u8| {
        let batch = format!("    batch: {{ max-records: {size}, max-wait: 10ms }}\n");
        let sinks = [sink("t/a", &endpoint.url(), &batch)];
        module(&format!("{STREAM}{}", to("t/a")), &sinks, "")
    };
    let rig = Rig::new(&with(5));
    let host = rig.start();
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;

    host.signal(Signal::SIGHUP);
    host.wait_for("the module was read again, and is as it was");
    rig.write(&with(6));
    host.wait_for("sinks started anew: t/a");
    rig.write("version: [");
    host.wait_for("the module was not reloaded");
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    each_once("all", ids(&endpoint.accepted()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_module_file_has_none_to_read_again() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new("");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(rig.path())
        .args(["run", "--plugin"])
        .arg(plugin("json_batch.wasm"))
        .args([
            "--url",
            &endpoint.url(),
            "--rate",
            "50",
            "--admin",
            "unix:admin.sock",
        ]);
    let host = Child::start(&mut command);
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;

    let told = rig.tell(&["reload"]);
    host.signal(Signal::SIGTERM);

    assert_ne!(told.code(), 0);
    assert!(told.stderr.contains("no module file"), "{}", told.stderr);
    assert_eq!(host.finish().code(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_refused_leaves_the_state_directory_as_it_was() {
    let endpoint = Recorder::start(|_| 200).await;
    let with = |sinks: &[String], names: &str| module(&format!("{STREAM}{}", to(names)), sinks, "");
    let path = plugin("json_batch.wasm").display().to_string();
    let a = sink("t/a", &endpoint.url(), "");
    let other_lines = a.replace(
        &format!("{path} }}"),
        &format!(
            "{}, limits: {{ log-lines: 7 }} }}",
            plugin("per_record.wasm").display()
        ),
    );
    let (b, c) = (
        sink("t/b", &endpoint.url(), ""),
        sink("t/c", &endpoint.url(), "").replace(&path, "no.wasm"),
    );
    let rig = Rig::new(&with(std::slice::from_ref(&a), "t/a"));
    std::fs::write(rig.path().join("no.wasm"), "no plugin").expect("written");
    let host = rig.start();
    endpoint.until("a call", |bodies| !bodies.is_empty()).await;
    let record = |sink: &str| {
        let path = rig.path().join("state/plugins/t").join(sink);
        std::fs::read_to_string(path.join("record.json")).ok()
    };
    let before = record("a");

    rig.write(&with(&[other_lines.clone(), b.clone(), c], "t/a, t/b, t/c"));
    let told = rig.tell(&["reload"]);
    let after = (record("a"), record("b"));
    rig.reload(
        &host,
        &with(&[other_lines, b], "t/a, t/b"),
        "sinks added: t/b; sinks started anew: t/a",
    );
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert!(
        told.stderr.contains("is no WebAssembly file"),
        "{}",
        told.stderr
    );
    assert_eq!(after, (before.clone(), None));
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(record("b").is_some(), "when it serves, it is remembered");
    assert_ne!(record("a"), before);
}
