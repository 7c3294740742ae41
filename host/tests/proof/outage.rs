//! An endpoint that is down for long, while the source has ever more: memory stays within its budget, and the first
//! fresh record comes soon after the endpoint is back.

use std::time::Duration;

use nozzle_testkit::{Enough, Violation};
use tokio::time::Instant;

use crate::{
    module::{PLUGINS, Source},
    rig::{Rig, Setup, Start, number},
    world::Mood,
};

/// `buffer.max-bytes` of each sink, as the module says it.
const BUDGET: u64 = 16 * 1024 * 1024;
/// More than the buffers hold: a record takes more than 100 bytes of one.
const RECORDS: u64 = 300_000;
/// How soon a fresh record must come.
const RETURN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_no_memory_beyond_the_buffers_and_ends_soon() {
    let outage = Duration::from_secs(number("NOZZLE_PROOF_OUTAGE").unwrap_or(10));
    let setup = Setup {
        batch: 500,
        // The retries are the defaults: pauses up to 30 s.
        sink: "buffer: { max-records: 1000000, max-bytes: 16MiB }",
        timeout: Duration::from_secs(10),
        ..Setup::new(Source::File, RECORDS)
    };
    let mut rig = Rig::new(setup).await;
    let mut child = rig.start(&Start::default());
    rig.came(RECORDS / 100, &mut child).await;

    rig.set(&Mood::Down);
    let before = child.memory();
    let started = Instant::now();
    let mut highest = before;
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
        "down for {outage:?}: {} MiB before, {} MiB at most, {} MiB budget; a fresh record in every sink {after:?} after its return",
        mib(before),
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
        highest - before <= budget + budget / 10,
        "{} MiB before, {} MiB at most",
        mib(before),
        mib(highest)
    );
    rig.judge(&Enough::default());
}
