//! An endpoint that is down for long, while the source has ever more: memory stays within its budget, and the first
//! fresh record comes soon after the endpoint is back.

use std::time::Duration;

use nozzle_testkit::{Enough, Violation};
use tokio::time::Instant;

use crate::{
    module::{PLUGINS, Source},
    rig::{LOOK, Rig, Setup, Start, number},
    world::Mood,
};

/// `buffer.max-bytes` of each sink, as the module says it.
const BUDGET: u64 = 16 * 1024 * 1024;
/// More than the buffers hold: a record takes more than 100 bytes of one.
const RECORDS: u64 = 300_000;
/// How soon a fresh record must come: `retry.max-delay`, which is 30 s by default, and a call on a busy machine.
const RETURN: Duration = Duration::from_secs(32);
/// Records of the host that is the measure: it holds as good as nothing.
const FEW: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_no_memory_beyond_the_buffers_and_ends_soon() {
    let outage = Duration::from_secs(number("NOZZLE_PROOF_OUTAGE").unwrap_or(10));
    let setup = Setup {
        batch: 500,
        // The retries are the defaults: pauses up to 30 s.
        sink: "buffer: { max-records: 1000000, max-bytes: 16MiB }",
        timeout: Duration::from_secs(10),
        ..Setup::new(Source::File, FEW)
    };
    let mut rig = Rig::new(setup).await;
    let mut child = rig.start(&Start::default());
    let mut idle = 0;
    while !child.has_ended() {
        idle = idle.max(child.memory());
        tokio::time::sleep(LOOK).await;
    }
    rig.run_out(child).await;
    rig.issue(RECORDS);

    let mut child = rig.start(&Start::default());
    rig.came(RECORDS / 100, &mut child).await;
    rig.set(&Mood::Down);
    let started = Instant::now();
    let mut highest = 0;
    while started.elapsed() < outage {
        tokio::time::sleep(Duration::from_millis(100)).await;
        highest = highest.max(child.memory());
    }
    let given_up = rig.given_up();
    rig.set(&Mood::Calm);
    let back = Instant::now();
    let came = tokio::time::timeout(RETURN, rig.came(1, &mut child)).await;
    let after = back.elapsed();
    rig.run_out(child).await;

    let mib = |bytes: u64| bytes / (1024 * 1024);
    println!(
        "down for {outage:?}: {} MiB without load, {} MiB at most, {} MiB of buffers; a fresh record in every sink {after:?} after its return",
        mib(idle),
        mib(highest),
        mib(BUDGET * PLUGINS.len() as u64)
    );
    if came.is_err() {
        let what = format!("no fresh record within {RETURN:?} of the endpoint's return");
        rig.oracles()[0].violated(Violation::Stuck(what));
    }
    assert_eq!(given_up, 0, "an outage fills no dead letters");
    let budget = BUDGET * PLUGINS.len() as u64;
    assert!(
        highest - idle <= budget + budget / 10,
        "{} MiB without load, {} MiB at most",
        mib(idle),
        mib(highest)
    );
    rig.judge(&Enough::default());
}
