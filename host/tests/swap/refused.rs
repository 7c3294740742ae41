//! Versions that must never serve: each is refused with its cause, and the one before delivers on.

use nix::sys::signal::Signal;
use nozzle_testkit::Recorder;

use super::{Rig, component, hostile};

/// A component of which nothing but its exports' names are right.
fn odd(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("it is one")
}

/// A component with so many functions that each take the compiler a while.
fn bulky(functions: usize) -> Vec<u8> {
    let step =
        "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (local.get 0))))";
    let function = format!("(func (param i32) {})", step.repeat(5_000));
    odd(&format!(
        "(component (core module (memory 1) {}))",
        function.repeat(functions)
    ))
}

/// A component of half a megabyte with one function, which takes a compiler gigabytes, and no time to speak of: it keeps the
/// last definition of each local for each block (cranelift-frontend, `SSABuilder::variables`), a number of four bytes.
fn memory_bomb() -> Vec<u8> {
    const LOCALS: usize = 50_000;
    const BLOCKS: usize = 50_000;
    let sets: String = (0..LOCALS)
        .map(|local| format!("(local.set {local} (i32.const 1))"))
        .collect();
    odd(&format!(
        "(component (core module (func (local {}) {} {sets})))",
        "i32 ".repeat(LOCALS),
        "(block)".repeat(BLOCKS)
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_takes_too_much_memory_to_compile_is_refused_and_the_old_one_serves() {
    let endpoint = Recorder::start(|_| 200).await;
    let stream = "datagen: { rate: 200, fields: { id: { sequence: {} } } }";
    // A fifth of what the other takes, and four times what this one does in a build without optimisation.
    let rig = Rig::new(&endpoint.url(), stream, "compile-memory: 2GiB", "");
    rig.put(&component("json_batch.wasm"));
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    rig.swap(
        &host,
        &memory_bomb(),
        "it may use 2.0 GiB of memory (limits.compile-memory)",
    );
    let seen = endpoint.accepted().len();
    endpoint
        .until("calls after it", |bodies| bodies.len() > seen + 10)
        .await;
    rig.swap(&host, &component("per_record.wasm"), "was accepted");
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(" 0 dead-lettered"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_version_is_refused_with_its_cause_and_the_old_one_serves() {
    let endpoint = Recorder::start(|_| 200).await;
    let rig = Rig::new(
        &endpoint.url(),
        "datagen: { rate: 200, fields: { id: { sequence: {} }, name: { choice: [poison] } } }",
        "time: 200ms, compile-time: 2s",
        "",
    );
    rig.put(&hostile("{}"));
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    let cut: Vec<u8> = component("json_batch.wasm")
        .into_iter()
        .take(20_000)
        .collect();
    let bad: [(&str, Vec<u8>, &str); 13] = [
        (
            "no WebAssembly",
            b"#!/bin/sh".to_vec(),
            "is no WebAssembly file",
        ),
        ("nothing", Vec::new(), "is no WebAssembly file"),
        (
            "a core module",
            odd("(module)"),
            "is a core WebAssembly module",
        ),
        ("cut off", cut, "cannot be compiled"),
        (
            "another version of the contract",
            odd("(component (instance $i) (export \"nozzle:plugin/shaping@0.2.0\" (instance $i)))"),
            "was built for `nozzle:plugin/shaping@0.2.0`",
        ),
        (
            "nothing of the contract",
            odd("(component)"),
            "does not export the interface `nozzle:plugin/shaping@0.1.0`",
        ),
        (
            "other types",
            odd("(component (instance $i) (export \"nozzle:plugin/shaping@0.1.0\" (instance $i)))"),
            "does not fit the contract",
        ),
        (
            "an import that is not offered",
            odd(
                "(component (import \"wasi:sql/query@0.2.0\" (instance)) (instance $i) (export \"nozzle:plugin/shaping@0.1.0\" (instance $i)))",
            ),
            "imports `wasi:sql/query@0.2.0`, which this host does not offer",
        ),
        (
            "refuses",
            hostile("{\"configure\":\"refuse\"}"),
            "the plugin refuses its configuration: it refuses",
        ),
        (
            "traps in configure",
            hostile("{\"configure\":\"panic\"}"),
            "the plugin could not be started: the plugin trapped",
        ),
        (
            "loops in configure",
            hostile("{\"configure\":\"loop\"}"),
            "the plugin ran longer than 200ms",
        ),
        (
            "traps on the last batch",
            hostile("{\"shape\":\"panic\"}"),
            "fails on the last batch",
        ),
        (
            "takes too long to compile",
            bulky(600),
            "compiling took longer than 2s of processor time",
        ),
    ];
    for (name, component, words) in bad {
        println!("{name}");
        rig.swap(&host, &component, words);
    }
    let seen = endpoint.accepted().len();
    endpoint
        .until("calls after all of them", |bodies| bodies.len() > seen + 10)
        .await;
    host.signal(Signal::SIGTERM);
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(" 0 dead-lettered"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("was accepted"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_swaps_at_a_time_the_second_is_refused() {
    let endpoint = Recorder::start(|_| 200).await;
    let stream = "datagen: { rate: 200, fields: { id: { sequence: {} } } }";
    let rig = Rig::new(&endpoint.url(), stream, "compile-time: 2s", "");
    rig.put(&component("json_batch.wasm"));
    let host = rig.start();
    endpoint
        .until("the first call", |bodies| !bodies.is_empty())
        .await;

    // It compiles for two seconds of processor time, and is refused then.
    rig.put(&bulky(600));
    host.signal(Signal::SIGHUP);
    std::fs::write(rig.path().join("new.wasm"), component("per_record.wasm")).expect("written");
    let second = rig.plugin(&["swap", "t/sink", "new.wasm"]);
    host.wait_for("compiling took longer than 2s of processor time");
    let third = rig.plugin(&["swap", "t/sink", "new.wasm"]);
    host.signal(Signal::SIGTERM);

    assert_eq!(host.finish().code(), 0);
    assert!(
        second
            .stderr
            .contains("another version of the plugin of sink `t/sink` is being loaded"),
        "{}",
        second.stderr
    );
    assert_eq!(third.code(), 0, "{}", third.stderr);
}
