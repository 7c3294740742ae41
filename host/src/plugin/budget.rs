//! The share of processors that the calls of one plugin may take: pure, driven by the caller's clock.
//!
//! A guest that runs gives way each tick, so it holds nobody up for longer; but one that runs all the time on every
//! worker still takes the machine's time. So ticks are counted, and when a plugin has had its share, its next calls
//! wait. A call that has begun goes on: `limits.time` ends it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::clock::TICK;

/// So much of its share may be taken ahead: calls come in bursts.
const BURST: Duration = Duration::from_secs(1);

/// What is left of a plugin's share, over all of its instances.
#[derive(Debug)]
pub(super) struct Budget {
    /// How long a tick's worth of the share takes to come back.
    tick: Duration,
    /// When all that was spent has come back; none while nothing was.
    whole_at: Mutex<Option<Instant>>,
}

impl Budget {
    /// A share of so many thousandths of a core.
    pub(super) fn new(cpu_millis: u32) -> Self {
        Self {
            tick: TICK * 1000 / cpu_millis.max(1),
            whole_at: Mutex::new(None),
        }
    }

    /// A guest has run for so many ticks. A call shorter than that is charged for a tick with the probability that one falls
    /// into it: so the mean is right, and a call costs nothing to measure.
    pub(super) fn charge(&self, now: Instant, ticks: u32) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        *whole_at = Some(whole_at.map_or(now, |at| at.max(now)) + self.tick * ticks);
    }

    /// When the next call may begin; none for at once.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if whole_at.is_some_and(|at| at <= now) {
            *whole_at = None;
        }
        let may_begin = (*whole_at)?.checked_sub(BURST)?;
        (may_begin > now).then_some(may_begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long guests run in `seconds`, if `side_by_side` of them would always run.
    fn ran(cpu_millis: u32, side_by_side: u32, seconds: u64) -> Duration {
        let budget = Budget::new(cpu_millis);
        let start = Instant::now();
        let mut ran = Duration::ZERO;
        for tick in 0..seconds * 100 {
            let now = start + TICK * tick as u32;
            for _ in 0..side_by_side {
                if budget.wait(now).is_none() {
                    budget.charge(now, 1);
                    ran += TICK;
                }
            }
        }
        ran
    }

    #[test]
    fn a_plugin_gets_its_share_and_a_burst() {
        for (cpu_millis, side_by_side, expected) in [
            (500, 1, 10.5),
            (500, 4, 10.5),
            (1500, 2, 31.5),
            (1500, 1, 20.0),
            (1, 1, 0.03),
        ] {
            let ran = ran(cpu_millis, side_by_side, 20).as_secs_f64();
            assert!(
                (ran - expected).abs() < 0.1,
                "{cpu_millis} with {side_by_side}: {ran}"
            );
        }
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let budget = Budget::new(1000);
        let start = Instant::now();
        budget.charge(start, 1);
        let later = start + Duration::from_secs(3600);

        for _ in 0..101 {
            budget.charge(later, 1);
        }

        assert_eq!(budget.wait(later), Some(later + TICK));
    }
}
