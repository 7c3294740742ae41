//! The whole engine in a world of chance: the real pump, sinks, ledger, egress tasks, progress and drain, between
//! scripted ingresses, plugins, endpoints, egresses and stores, under a paused clock, all from one seed.
//!
//! The world keeps the truth and never asks the engine. At each step it holds what the engine does against it; a
//! broken invariant is named by its word:
//!
//! | word | what is promised |
//! | --- | --- |
//! | `LOST` | a stored position never passes an event without an end; at the end of a run each event has one |
//! | `INVENTED`, `ALTERED` | calls, letters and results carry what was issued and asked for, byte for byte |
//! | `TWO ENDS` | an event that has its end is not tried, delivered or dead-lettered again; the counters agree |
//! | `ORDER` | nothing overtakes, where order is promised |
//! | `BOUND` | buffer, batch, calls in flight, probes and timeouts keep to their settings |
//! | `RETRY` | the same bytes again, no more often than allowed, not before `Retry-After`; outages do not count |
//! | `PAUSE` | behind a pause nothing begins |
//! | `LIVE` | once faults are over, everything ends; told to stop, it ends in its time |
//! | `ENDED` | it ends when it is told to, when all is settled, or for a fault that was planned, and not before |
//! | `PANIC` | no part of the engine panics, or halts without a cause |
//! | `ENOUGH` | over all seeds, each kind of fault and end was met |
//!
//! `NOZZLE_SIM_SEEDS=N` runs so many seeds (500), `NOZZLE_SIM_SEED=n` one of them, and prints its trace.

mod answers;
mod attempts;
mod bounds;
mod enough;
mod handler;
mod incarnation;
mod judge;
mod letters;
mod outside;
mod plan;
mod progress_truth;
mod settings;
mod shapes;
mod source;
mod steering;
mod truth;
mod weather;
mod world;

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use fastrand::Rng;

use self::{
    enough::Seen,
    incarnation::{End, live},
    plan::Plan,
    world::{Shared, Violation, World},
};

/// Seeds in a plain run of the tests.
const SEEDS: u64 = 500;

/// On the wall: the longest a seed may take before its engine is said to turn in circles.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a seed came to.
struct Run {
    seed: u64,
    violation: Option<Violation>,
    trace: Vec<String>,
    seen: Seen,
}

/// Runs one seed to its end.
fn simulate(seed: u64, whole_trace: bool) -> Run {
    // The engine's own dice, on this thread.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::of(&mut rng);
    let endings = plan.endings.clone();
    let world = Shared::new(World::new(plan, rng, whole_trace));
    let mut end = End::Early;
    let mut lives = endings.into_iter().map(Some).chain([None, None]).peekable();
    while let Some(ending) = lives.next() {
        let last = lives.peek().is_none();
        end = live(&world, ending, last);
        if end == End::Clean || world.lock().violation.is_some() {
            break;
        }
    }
    let mut world = world.lock();
    world.gone = false;
    match end {
        End::Clean => world.all_is_over(),
        End::Early => world.fail("LIVE", "the last incarnation does not end".to_owned()),
    }
    Run {
        seed,
        violation: world.violation.take(),
        trace: world.trace(),
        seen: world.seen.clone(),
    }
}

fn report(run: &Run) -> String {
    let mut text = String::new();
    if let Some(Violation { word, what }) = &run.violation {
        writeln!(text, "{word}: {what}").expect("a string takes it");
    }
    for line in &run.trace {
        writeln!(text, "  {line}").expect("a string takes it");
    }
    let seed = run.seed;
    writeln!(
        text,
        "replay: NOZZLE_SIM_SEED={seed} cargo test -p nozzle --lib simulation -- --nocapture"
    )
    .expect("a string takes it");
    text
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

/// Runs seeds on all processors until one fails; gives what they have met.
fn run_all(seeds: u64) -> Seen {
    let next = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (send, runs) = mpsc::sync_channel::<Run>(64);
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    // They are not joined: one that turns in circles must not keep the test from saying so.
    for _ in 0..threads {
        let (next, stop, send) = (Arc::clone(&next), Arc::clone(&stop), send.clone());
        std::thread::spawn(move || {
            while !stop.load(Relaxed) {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= seeds || send.send(simulate(seed, false)).is_err() {
                    return;
                }
            }
        });
    }
    drop(send);
    let (mut seen, mut done) = (Seen::default(), 0);
    let mut broken: Option<Run> = None;
    loop {
        let run = match runs.recv_timeout(PATIENCE) {
            Ok(run) => run,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                stop.store(true, Relaxed);
                panic!(
                    "LIVE: a seed below {} does not end: the engine turns in circles",
                    next.load(Relaxed)
                )
            }
        };
        if run.violation.is_some() {
            // Seeds begin in their order: of those that break a promise, the first is always the same.
            stop.store(true, Relaxed);
            broken = match broken {
                Some(before) if before.seed < run.seed => Some(before),
                _ => Some(run),
            };
            continue;
        }
        seen.add(run.seen);
        done += 1;
    }
    if let Some(run) = broken {
        panic!("{}", report(&run));
    }
    assert_eq!(done, seeds, "a thread of the simulation has panicked");
    seen
}

#[test]
fn no_schedule_breaks_a_promise() {
    if let Some(seed) = variable("NOZZLE_SIM_SEED") {
        let run = simulate(seed, true);
        println!("{}", report(&run));
        return assert!(run.violation.is_none(), "seed {seed} breaks a promise");
    }
    let seeds = variable("NOZZLE_SIM_SEEDS").unwrap_or(SEEDS);

    let seen = run_all(seeds);

    println!("{seen}");
    if seeds >= SEEDS {
        let missing = seen.missing(seeds);
        assert!(missing.is_empty(), "ENOUGH: {missing:#?}");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..20 {
        let (first, second) = (simulate(seed, true), simulate(seed, true));

        assert!(first.trace.len() > 3, "seed {seed} does something");
        let other = first
            .trace
            .iter()
            .zip(&second.trace)
            .find(|(first, second)| first != second);
        assert_eq!(other, None, "seed {seed}");
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
    }
}
