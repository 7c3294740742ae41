//! Every class of faults, through every ingress, with each plugin.

use std::{future::Future, pin::Pin, time::Duration};

use nix::sys::signal::Signal;
use nozzle_testkit::{
    Enough, OsFault, Violation,
    fault_endpoint::{At, FAULTS, Fault, Meaning, Wire},
};

use crate::{
    module::{INGRESSES, PLUGINS, Source},
    rig::{LOOK, LOOKS, Rig, Setup, Start},
    world::Mood,
};

/// What goes wrong, while a host of its own runs; then everything must come to its end.
type Disturb = for<'a> fn(&'a mut Rig) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A class of faults.
struct Class {
    /// What differs from the usual.
    setup: fn(Setup) -> Setup,
    disturb: Disturb,
    enough: Enough,
}

/// Nothing special is asked for.
const ANY: Enough = Enough {
    sent_again: 0,
    after_a_restart: 0,
    letters: 0,
};

/// Each class is a line here: it runs through every ingress, with each plugin.
macro_rules! classes {
    ($($name:ident: $setup:expr, $disturb:ident, $enough:expr;)*) => {
        $(
            mod $name {
                use super::*;

                const CLASS: Class = Class { setup: $setup, disturb: |rig| Box::pin($disturb(rig)), enough: $enough };

                #[tokio::test(flavor = "multi_thread")]
                async fn from_a_file() {
                    run(INGRESSES[0], &CLASS).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn from_kinesis() {
                    run(INGRESSES[1], &CLASS).await;
                }
            }
        )*
    };
}

#[rustfmt::skip]
classes! {
    http_faults: |setup| catalogue(Wire::Http, setup), every_fault, Enough { sent_again: 50, letters: 10, ..ANY };
    tls_faults: |setup| catalogue(Wire::Https, setup), every_fault, Enough { sent_again: 1, ..ANY };
    http2_faults: |setup| catalogue(Wire::Http2, setup), every_fault, Enough { sent_again: 20, ..ANY };
    endpoint_down: |setup| setup, down, ANY;
    one_endpoint_of_three_down: |setup| setup, one_down, ANY;
    names_not_found: |setup| Setup { host: "localhost", ..setup }, no_names, ANY;
    disk_full: |setup| Setup { rewrites: true, ..setup }, disk_full, Enough { letters: 1, ..ANY };
    disk_full_and_killed: |setup| Setup { rewrites: true, ..setup }, disk_full_and_killed, Enough { letters: 1, after_a_restart: 1, ..ANY };
    sync_fails: |setup| Setup { rewrites: true, ..setup }, sync_fails, Enough { letters: 1, ..ANY };
    short_writes: |setup| setup, short_writes, Enough { letters: 1, ..ANY };
    letters_to_a_second_sink: |setup| Setup { second_sink: true, ..setup }, killed, Enough { letters: 1, after_a_restart: 1, ..ANY };
    clock_jumps: |setup| setup, clock_jumps, Enough { sent_again: 1, ..ANY };
    few_file_descriptors: |setup| setup, few_files, ANY;
    frozen_for_a_while: |setup| setup, frozen, ANY;
    reloaded_under_load: |setup| Setup { records: 24_000, ..setup }, reloaded, ANY;
    stopped_under_load: |setup| Setup { records: 8_000, ..setup }, stopped, ANY;
}

/// Records that are enough for a class to meet a host at work.
const RECORDS: u64 = 3_000;

async fn run(source: Source, class: &Class) {
    let setup = (class.setup)(Setup::new(source, RECORDS));
    let mut rig = Rig::new(setup).await;
    rig.set(&Mood::Noisy);

    (class.disturb)(&mut rig).await;
    rig.bring_to_an_end().await;

    rig.judge(&class.enough);
}

/// Small batches, so that there are calls enough, and a time limit that faults may wait for.
fn catalogue(wire: Wire, setup: Setup) -> Setup {
    Setup {
        wire,
        batch: 8,
        timeout: Duration::from_secs(2),
        ..setup
    }
}

/// Each fault that this wire can have, in each sink.
async fn every_fault(rig: &mut Rig) {
    let faults: Vec<Fault> = FAULTS
        .iter()
        .filter(|fault| fault.wire == rig.wire() && is_judged(fault))
        .copied()
        .collect();
    rig.set(&Mood::Faults(faults.clone().into()));
    let mut child = rig.start(&Start::default());
    for _ in 0..LOOKS {
        rig.collect();
        let missing = rig
            .worlds()
            .iter()
            .any(|world| world.happened().contains(&0));
        if !missing || child.has_ended() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    child.signal(Signal::SIGTERM);
    let ended = rig.stopped_well(child);
    for (world, case) in rig.worlds().iter().zip(&PLUGINS) {
        for (fault, happened) in faults.iter().zip(world.happened()) {
            let (row, name) = (fault.row, fault.name);
            assert!(
                happened > 0,
                "{}: {name} ({row}) did not happen:\n{}",
                case.name,
                ended.stderr
            );
        }
    }
}

/// An early 2xx settles records that the endpoint has not read: no oracle can say which.
fn is_judged(fault: &Fault) -> bool {
    !matches!(
        (fault.at, fault.meaning),
        (At::Early(_), Meaning::Status(200..=299))
    )
}

async fn down(rig: &mut Rig) {
    let mut child = rig.start(&Start::default());
    assert!(rig.came(RECORDS / 4, &mut child).await, "it has ended");
    rig.set(&Mood::Down);
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.set(&Mood::Calm);
    rig.came(RECORDS / 8, &mut child).await;
    rig.run_out(child).await;
    assert_eq!(rig.given_up(), 0, "an outage fills no dead letters");
}

/// The slowest sink paces its ingress: the others deliver all that was read, and wait.
async fn one_down(rig: &mut Rig) {
    rig.worlds()[0].set(Mood::Down);
    let mut child = rig.start(&Start::default());
    rig.others_came(RECORDS / 4, &mut child).await;
    rig.set(&Mood::Noisy);
    rig.run_out(child).await;
    assert_eq!(rig.given_up(), 0, "an outage fills no dead letters");
}

async fn no_names(rig: &mut Rig) {
    rig.faults().set(OsFault::NamesFail, true);
    let child = rig.start(&Start::default());
    rig.met(10).await;
    rig.faults().set(OsFault::NamesFail, false);
    rig.run_out(child).await;
}

async fn disk_full(rig: &mut Rig) {
    disk(rig, OsFault::DiskFull).await;
}

async fn sync_fails(rig: &mut Rig) {
    disk(rig, OsFault::SyncFails).await;
}

/// For a while; then the same host goes on.
async fn disk(rig: &mut Rig, fault: OsFault) {
    let mut child = rig.start(&Start::default());
    rig.came(RECORDS / 4, &mut child).await;
    rig.faults().set(fault, true);
    rig.met(6).await;
    rig.faults().set(fault, false);
    rig.run_out(child).await;
}

async fn disk_full_and_killed(rig: &mut Rig) {
    let mut child = rig.start(&Start::default());
    rig.came(RECORDS / 4, &mut child).await;
    rig.faults().set(OsFault::DiskFull, true);
    rig.met(6).await;
    child.signal(Signal::SIGKILL);
    child.finish();
    rig.collect();
    // A start on a full disk is refused, in words.
    let refused = rig.start(&Start::default()).finish();
    rig.expect_code(&refused, 4);
    rig.faults().set(OsFault::DiskFull, false);
    rig.collect();
}

async fn killed(rig: &mut Rig) {
    for _ in 0..2 {
        let mut child = rig.start(&Start::default());
        rig.came(RECORDS / 4, &mut child).await;
        child.signal(Signal::SIGKILL);
        child.finish();
        rig.collect();
    }
    let child = rig.start(&Start::default());
    rig.run_out(child).await;
}

async fn short_writes(rig: &mut Rig) {
    rig.faults().set(OsFault::ShortWrites, true);
    let child = rig.start(&Start::default());
    rig.run_out(child).await;
    assert!(rig.faults().fired() > 0);
    rig.faults().set(OsFault::ShortWrites, false);
}

async fn clock_jumps(rig: &mut Rig) {
    let mut child = rig.start(&Start::default());
    for seconds in [3_600, -3_600, 0, 86_400 * 366, -86_400 * 366 * 30] {
        rig.came(RECORDS / 8, &mut child).await;
        rig.faults().set_clock_ahead(seconds);
    }
    rig.run_out(child).await;
}

async fn few_files(rig: &mut Rig) {
    let start = Start {
        max_files: Some(64),
        ..Start::default()
    };
    let child = rig.start(&start);
    rig.run_out(child).await;
}

async fn frozen(rig: &mut Rig) {
    let mut child = rig.start(&Start::default());
    for _ in 0..3 {
        rig.came(RECORDS / 8, &mut child).await;
        child.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_millis(300)).await;
        child.signal(Signal::SIGCONT);
    }
    rig.run_out(child).await;
}

/// While one sink's endpoint is down, which hands over what it holds, and keeps the host from coming to its end.
async fn reloaded(rig: &mut Rig) {
    let mut child = rig.start(&Start::default());
    for reloads in 1..=4 {
        assert!(rig.came(RECORDS / 8, &mut child).await, "it has ended");
        rig.worlds()[reloads % PLUGINS.len()].set(Mood::Down);
        rig.reload(&child);
        child.wait_for_times("the module was reloaded", reloads);
        rig.set(&Mood::Noisy);
    }
    rig.run_out(child).await;
}

async fn stopped(rig: &mut Rig) {
    // A stop drains what the buffers hold: there may be less to do than stops.
    while !rig.is_all_sent() {
        let mut child = rig.start(&Start::default());
        rig.came(RECORDS / 8, &mut child).await;
        child.signal(Signal::SIGTERM);
        rig.stopped_well(child);
    }
    // A clean stop delivers nothing twice.
    let twice: u64 = rig
        .oracles()
        .iter()
        .map(|oracle| oracle.after_a_restart())
        .sum();
    if twice > 0 {
        let what = format!("{twice} records were sent again after a clean stop");
        rig.oracles()[0].violated(Violation::Ended(what));
    }
}
