//! Somebody who tells sinks to pause, to drain and to go on, at any moment; until faults are over.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::world::Shared;
use crate::delivery::control::{Control, Mode};

/// Never ends. Some lives have nobody who steers.
pub(super) async fn steer(world: &Shared, controls: Vec<Control>) {
    // A generator of its own: what the world draws stays as it is without it.
    let seed = world.lock().rng.clone().u64(..);
    let mut rng = Rng::with_seed(seed);
    let steers = rng.u8(0..3) == 0 && !controls.is_empty();
    while steers && !world.lock().calm() {
        sleep(Duration::from_millis(rng.u64(1..2000))).await;
        let number = rng.usize(0..controls.len());
        let mode = match rng.bool() {
            true => Mode::Pause,
            false => Mode::Drain,
        };
        tell(world, &controls, number, mode).await;
        sleep(Duration::from_millis(rng.u64(0..3000))).await;
        tell(world, &controls, number, Mode::Run).await;
    }
    std::future::pending().await
}

async fn tell(world: &Shared, controls: &[Control], number: usize, mode: Mode) {
    {
        let mut world = world.lock();
        world.sinks[number].paused = false;
        world.pauses |= mode == Mode::Pause;
    }
    let told = controls[number].set(mode).await;
    let mut world = world.lock();
    // While the host stops, nobody would tell it to go on.
    if world.stopped.is_none() {
        world.sinks[number].paused = mode == Mode::Pause && told.is_ok();
        world.pauses = world.sinks.iter().any(|sink| sink.paused);
    }
    world.note(format_args!("sink {number}: told to {mode:?}: {told:?}"));
    if told.is_ok() {
        world.seen.count(&format!("told to: {mode:?}"));
    }
}
