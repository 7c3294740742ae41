//! Components that must not become plugins: refused at the start, with the cause named, by a host that goes on.

use std::{path::PathBuf, time::Duration};

use nozzle::plugin::{
    LoadError, LoadedPlugin, PluginHost, SourceError,
    settings::{PluginLimits, PluginSettings, PluginSource},
};
use nozzle_testkit::plugin;

/// The component's bytes; what is configured; what the error says, with its causes.
type Row = (&'static str, Vec<u8>, &'static str, &'static str);

/// A component that exports what a plugin does, by its name, around this core module and whatever stands beside it.
fn around(core: &str, beside: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {beside}
            (core module $m (func (export "f")) {core})
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $shaping (export "configure" (func $f)) (export "shape" (func $f)))
            (export "nozzle:plugin/shaping@0.1.0" (instance $shaping)))"#
    );
    wat::parse_str(text).expect("a component")
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
const MODULE: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];

/// A section: 1 a core module, 4 a component.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &*leb(content.len()), content].concat()
}

/// Components within components.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(COMPONENT.to_vec(), |inner, _| {
        [&COMPONENT[..], &section(4, &inner)].concat()
    })
}

/// A module of so many functions of one type, whose bodies are missing.
fn functions(count: usize) -> Vec<u8> {
    let types = section(1, &[1, 0x60, 0, 0]);
    let all = [leb(count), vec![0; count]].concat();
    let module = [&MODULE[..], &types, &section(3, &all)].concat();
    [&COMPONENT[..], &section(1, &module)].concat()
}

/// A function with so many locals, or a table of jumps so large.
fn body(code: &[u8]) -> Vec<u8> {
    let types = section(1, &[1, 0x60, 0, 0]);
    let all = [leb(1), leb(code.len()), code.to_vec()].concat();
    let module = [
        &MODULE[..],
        &types,
        &section(3, &[1, 0]),
        &section(10, &all),
    ]
    .concat();
    [&COMPONENT[..], &section(1, &module)].concat()
}

fn hostile() -> Vec<u8> {
    std::fs::read(plugin("hostile.wasm")).expect("it is there")
}

/// How many there are.
pub(crate) fn rows() -> usize {
    table().len()
}

fn table() -> Vec<Row> {
    let good = hostile;
    let half = good().len() / 2;
    let truncated = good().into_iter().take(half).collect();
    let flipped = good().into_iter().enumerate();
    let flipped = flipped.map(|(place, byte)| if place % 1009 == 1008 { !byte } else { byte });
    let locals = [&[1][..], &leb(4_000_000_000), &[0x7f, 0x0b]].concat();
    let jumps = [
        &[0, 0x41, 0, 0x0e][..],
        &leb(10_000_000),
        &[0; 1000],
        &[0, 0x0b],
    ]
    .concat();
    let memories = (0..99)
        .map(|n| format!("(core module $m{n} (memory 16)) (core instance (instantiate $m{n}))"));
    let many = (0..150).map(|n| {
        format!(
            "(core module $m{n} (memory 0) (table 0 funcref)) (core instance (instantiate $m{n}))"
        )
    });
    let start = |body: &str| around(&format!("(func $s {body}) (start $s)"), "");
    let late = "ran longer than";
    vec![
        // What is no plugin at all.
        ("nothing", Vec::new(), "null", "is no WebAssembly file"),
        (
            "text",
            b"#!/bin/sh\nrm -rf /".to_vec(),
            "null",
            "is no WebAssembly file",
        ),
        (
            "elf",
            b"\x7fELF\x02\x01\x01\0".to_vec(),
            "null",
            "is no WebAssembly file",
        ),
        (
            "core module",
            MODULE.to_vec(),
            "null",
            "is a core WebAssembly module",
        ),
        (
            "empty component",
            COMPONENT.to_vec(),
            "null",
            "does not export the interface",
        ),
        ("truncated", truncated, "null", "cannot be compiled"),
        ("flipped", flipped.collect(), "null", "cannot be compiled"),
        (
            "other contract",
            around("", r#"(import "nozzle:plugin/host@9.0.0" (instance))"#),
            "null",
            "was built for `nozzle:plugin/host@9.0.0`",
        ),
        (
            "other types",
            around("", ""),
            "null",
            "does not fit the contract",
        ),
        (
            "wasi:http",
            around(
                "",
                r#"(import "wasi:http/outgoing-handler@0.2.0" (instance))"#,
            ),
            "null",
            "imports `wasi:http/outgoing-handler@0.2.0`",
        ),
        (
            "wasi:keyvalue",
            around("", r#"(import "wasi:keyvalue/store@0.2.0" (instance))"#),
            "null",
            "imports `wasi:keyvalue/store@0.2.0`",
        ),
        (
            "threads",
            around("", r#"(import "wasi:threads/spawn@0.2.0" (instance))"#),
            "null",
            "imports `wasi:threads/spawn@0.2.0`",
        ),
        (
            "a function",
            around("", r#"(import "take-over" (func))"#),
            "null",
            "imports `take-over`",
        ),
        // What is too much to compile.
        (
            "nested components",
            nested(2000),
            "null",
            "does not export the interface",
        ),
        (
            "a million functions",
            functions(1_000_001),
            "null",
            "cannot be compiled",
        ),
        ("locals", body(&locals), "null", "cannot be compiled"),
        (
            "a table of jumps",
            body(&jumps),
            "null",
            "cannot be compiled",
        ),
        (
            "a large file",
            [good(), section(0, &vec![b'x'; 2 << 20])].concat(),
            "null",
            "more than 1048576 bytes (`limits.size`)",
        ),
        // What does harm before it is called.
        ("start loops", start("(loop (br 0))"), "null", late),
        ("start traps", start("unreachable"), "null", "unreachable"),
        (
            "start recurses",
            start("(call $s)"),
            "null",
            "call stack exhausted",
        ),
        (
            "start divides",
            start("(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
            "null",
            "divide by zero",
        ),
        (
            "start reads beyond",
            around(
                "(memory 1) (func $s (drop (i32.load (i32.const -1)))) (start $s)",
                "",
            ),
            "null",
            "out of bounds",
        ),
        (
            "start jumps",
            around(
                "(type $t (func)) (table 1 funcref) (func $s (call_indirect (type $t) (i32.const 0))) (start $s)",
                "",
            ),
            "null",
            "uninitialized element",
        ),
        (
            "start grows",
            around(
                "(memory 1) (func $s (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable) (start $s)",
                "",
            ),
            "null",
            "(`limits.memory`)",
        ),
        (
            "start fills",
            around(
                "(memory 500) (func $s (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 32768000)) (br 0))) (start $s)",
                "",
            ),
            "null",
            late,
        ),
        (
            "a large memory",
            around("(memory 2000)", ""),
            "null",
            "(`limits.memory`)",
        ),
        (
            "many memories",
            around("", &memories.collect::<String>()),
            "null",
            "(`limits.memory`)",
        ),
        (
            "a large table",
            around("(table 10000000 funcref)", ""),
            "null",
            "elements of tables",
        ),
        (
            "many tables",
            around(&"(table 400000 funcref)".repeat(3), ""),
            "null",
            "elements of tables",
        ),
        (
            "many instances",
            around("", &many.collect::<String>()),
            "null",
            "resource limit exceeded",
        ),
        // What does harm when it is configured.
        ("configure loops", good(), r#"{"configure":"loop"}"#, late),
        ("configure sleeps", good(), r#"{"configure":"sleep"}"#, late),
        (
            "configure panics",
            good(),
            r#"{"configure":"panic"}"#,
            "it panics",
        ),
        (
            "configure recurses",
            good(),
            r#"{"configure":"recurse"}"#,
            "call stack exhausted",
        ),
        (
            "configure hoards",
            good(),
            r#"{"configure":"memory"}"#,
            "(`limits.memory`)",
        ),
        (
            "configure exits",
            good(),
            r#"{"configure":"exit"}"#,
            "Exited with i32 exit status 0",
        ),
        (
            "configure refuses",
            good(),
            r#"{"configure":"refuse-long"}"#,
            r"the plugin refuses its configuration: \u{1b}[31mno",
        ),
        (
            "configure passes too much",
            good(),
            r#"{"configure":"output"}"#,
            "(`limits.output`)",
        ),
        (
            "configure asks for the call",
            good(),
            r#"{"configure":"current-call"}"#,
            "outside `handle`",
        ),
    ]
}

fn settings(path: PathBuf, config: &str, is_late: bool) -> PluginSettings {
    let limits = PluginLimits {
        memory: 64 << 20,
        time: Duration::from_millis(if is_late { 100 } else { 60_000 }),
        output: 16 << 20,
        size: 1 << 20,
        ..PluginLimits::default()
    };
    PluginSettings {
        grants: Default::default(),
        source: PluginSource::File(path),
        signature: None,
        sha256: None,
        config: config.to_owned(),
        limits,
    }
}

/// An error with its causes.
fn told(error: &LoadError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_become_a_plugin_is_refused_with_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Some(folder.path().join("cache"));
    let host = PluginHost::new(cache).expect("the host can be set up");
    let path = folder.path().join("plugin.wasm");
    let load = async |settings: &PluginSettings| -> Result<LoadedPlugin, LoadError> {
        host.load("t/sink", settings).await
    };

    let mut wrong = Vec::new();
    for (name, bytes, config, expected) in table() {
        std::fs::write(&path, bytes).expect("written");
        let is_late = expected.starts_with("ran longer");
        let loaded = load(&settings(path.clone(), config, is_late)).await;
        match loaded {
            Ok(_) => wrong.push(format!("{name}: it is loaded")),
            Err(error) => {
                let text = told(&error);
                let long = text.len() > 9000;
                if long || !text.contains(expected) || text.contains('\u{1b}') {
                    wrong.push(format!("{name}: {text:.300}, and not: {expected}"));
                }
            }
        }
    }
    std::fs::write(&path, hostile()).expect("written");
    let good = load(&settings(path, "null", false)).await;

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good.is_ok(), "the host goes on: {good:?}");
}

#[tokio::test]
async fn a_file_that_does_not_end_is_not_read_to_its_end() {
    let host = PluginHost::new(None).expect("the host can be set up");

    let endless = settings("/dev/zero".into(), "null", false);
    let error = host.load("t/sink", &endless).await.expect_err("refused");

    assert!(
        matches!(error, LoadError::Source(SourceError::TooLarge { .. })),
        "{error}"
    );
}
