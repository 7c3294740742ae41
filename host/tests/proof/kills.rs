//! Kills: at random, at every fail point, after a stop, while it stops, and by a power cut.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Enough};

use crate::{
    module::Source,
    rig::{LOOK, LOOKS, Rig, Setup, Start, number},
    world::Mood,
};

/// How an incarnation ends.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// SIGKILL.
    Killed,
    /// It dies by itself at the named place, at the n-th pass, n being random up to this.
    At(&'static str, u64),
    /// SIGSTOP, and SIGKILL while it stands.
    Frozen,
    /// SIGTERM, and the end that it finds.
    Stopped,
    /// SIGTERM, and SIGKILL while it drains.
    KilledWhileStopping,
    /// SIGKILL while it takes in another module.
    KilledWhileReloading,
    /// It dies behind a write, and what was not synced is gone.
    PowerCut,
}

use Kill::{At, Frozen, Killed, KilledWhileReloading, KilledWhileStopping, PowerCut, Stopped};

/// Every way to die: a new one is a line here.
const KILLS: [Kill; 14] = [
    Killed,
    At("call.before-send", 1_000),
    PowerCut,
    At("call.after-send", 1_000),
    Killed,
    At("file.before-sync", 20),
    Stopped,
    At("file.after-sync", 20),
    Frozen,
    At("progress.before-commit", 2),
    KilledWhileStopping,
    At("progress.after-commit", 2),
    // The records go on meanwhile: of a short run it may be the last to meet any.
    KilledWhileReloading,
    Stopped,
];

/// What a host says when the first of its sinks is to change.
const CHANGES: &str = "makes room";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_kills_of_every_kind() {
    let kills = number("NOZZLE_PROOF_KILLS").unwrap_or(40);
    let records = number("NOZZLE_PROOF_RECORDS").unwrap_or(200_000);
    let mut rig = Rig::new(Setup::new(Source::File, records)).await;

    kill(&mut rig, kills, records).await;
    rig.bring_to_an_end().await;

    let enough = Enough {
        sent_again: kills * 20,
        after_a_restart: kills * 20,
        letters: kills,
    };
    rig.judge(&enough);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_kills_while_a_stream_is_read() {
    let kills = 2 * KILLS.len() as u64;
    let records = kills * 1_000;
    let mut rig = Rig::new(Setup::new(Source::Kinesis, records)).await;

    kill(&mut rig, kills, records).await;
    rig.bring_to_an_end().await;

    let enough = Enough {
        sent_again: kills * 5,
        after_a_restart: kills * 5,
        letters: kills,
    };
    rig.judge(&enough);
}

/// Kills so many incarnations, evenly over the records, while endpoints misbehave.
///
/// # Panics
/// When one of the kills never took place as it should.
async fn kill(rig: &mut Rig, kills: u64, records: u64) {
    let mut random = fastrand::Rng::with_seed(rig.seed());
    let mut took_place = [0; KILLS.len()];
    rig.set(&Mood::Noisy);
    for number in 0..kills {
        let place = number as usize % KILLS.len();
        let kill = KILLS[place];
        let fail_point = match kill {
            At(point, passes) => Some((point, passes)),
            PowerCut => Some(("file.before-sync", 20)),
            _ => None,
        };
        // Between two kills some of the way is gone, whoever dies earlier by itself.
        let share = records * 2 / (kills * 3);
        let child = rig.start(&Start {
            // Each record is a call of one sink at least: of the last of these passes there are enough.
            fail_point: fail_point.map(|(point, passes)| {
                let passes = passes.min(share / 2).max(1);
                format!("{point}:{}", random.u64(1..=passes))
            }),
            ..Start::default()
        });
        let goal = random.u64(share / 2..=share * 3 / 2);
        took_place[place] += u64::from(die(rig, child, kill, goal.max(1), &mut random).await);
        rig.collect();
    }
    let rounds = kills / KILLS.len() as u64;
    let all = took_place.iter().all(|count| *count > 0);
    assert!(
        all || rounds < 2,
        "not every kill took place: {took_place:?} of {KILLS:?}"
    );
    println!("{kills} kills: {took_place:?} of {KILLS:?} took place as they should");
}

/// Lets it die once `goal` more records are delivered; whether it died as it should.
async fn die(
    rig: &mut Rig,
    mut child: Child,
    kill: Kill,
    goal: u64,
    random: &mut fastrand::Rng,
) -> bool {
    // With nothing left to wait for, a signal may come before the host has begun to listen for it.
    let has_work = !rig.is_all_sent();
    if rig.came(goal, &mut child).await {
        match kill {
            Killed | At(..) | PowerCut => child.signal(Signal::SIGKILL),
            Frozen => {
                child.signal(Signal::SIGSTOP);
                tokio::time::sleep(Duration::from_millis(random.u64(..100))).await;
                child.signal(Signal::SIGKILL);
            }
            Stopped => child.signal(Signal::SIGTERM),
            KilledWhileReloading => {
                rig.reload(&child);
                for _ in 0..LOOKS {
                    if child.has_said(CHANGES) || child.has_ended() {
                        break;
                    }
                    tokio::time::sleep(LOOK).await;
                }
                tokio::time::sleep(Duration::from_millis(random.u64(..300))).await;
                child.signal(Signal::SIGKILL);
            }
            KilledWhileStopping => {
                child.signal(Signal::SIGTERM);
                tokio::time::sleep(Duration::from_millis(random.u64(..30))).await;
                child.signal(Signal::SIGKILL);
            }
        }
    }
    let ended = child.finish();
    let died_of = ended.status.signal();
    let by_itself = died_of == Some(Signal::SIGABRT as i32);
    let is_meant = match died_of {
        // It was told to stop, or has come to the end of its file.
        None => ended.code() == 0,
        Some(signal) if signal == Signal::SIGKILL as i32 => !matches!(kill, Stopped),
        // A stack that overflows, and a panic while another unwinds, end in the same way, but not without a word.
        Some(_) if by_itself => {
            let words = ["panicked", "overflowed"];
            matches!(kill, At(..) | PowerCut)
                && !words.iter().any(|word| ended.stderr.contains(word))
        }
        // It had not yet begun to listen for it.
        Some(signal) => {
            let early = [Signal::SIGTERM as i32, Signal::SIGHUP as i32];
            early.contains(&signal) && !has_work
        }
    };
    if !is_meant {
        rig.ended_wrongly(&format!("{kill:?}"), &ended);
    }
    match kill {
        Stopped => has_work && ended.code() == 0,
        At(..) => by_itself,
        PowerCut => rig.cut_power() > 0 && by_itself,
        KilledWhileReloading => ended.stderr.contains(CHANGES),
        Killed | Frozen | KilledWhileStopping => died_of == Some(Signal::SIGKILL as i32),
    }
}
