//! How long a call takes: in ticks while its guest runs, on the wall while its guest waits in the host.
//!
//! No epoch passes for a guest that waits, and a guest that runs is not to blame for a busy machine: so there are two
//! clocks. And as the host does much of what a guest asks for before it is the guest's turn again, and no tick falls into
//! that, the thread's own processor time is looked at behind each turn.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    task::Poll,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// How often a guest that runs lets other tasks go on, and looks whether its time is over.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The clock of one instance; it is started for each call.
#[derive(Debug)]
pub(super) struct Clock {
    limit: Duration,
    /// Ticks that the call under way has run.
    ticks: AtomicU32,
    max_ticks: u32,
    /// Processor time of the turns that it has had, in nanoseconds.
    ran: AtomicU64,
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

impl Clock {
    /// A clock for calls that take `limit` at most.
    pub(super) fn new(limit: Duration) -> Self {
        let max_ticks = limit.as_nanos().div_ceil(TICK.as_nanos()).max(1);
        Self {
            limit,
            ticks: AtomicU32::new(0),
            max_ticks: u32::try_from(max_ticks).unwrap_or(u32::MAX),
            ran: AtomicU64::new(0),
        }
    }

    /// A call begins.
    pub(super) fn start(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.ran.store(0, Ordering::Relaxed);
    }

    /// The guest has run for a tick more, or for as many as its turns have taken; how many these are, and whether it may go on.
    pub(super) fn tick(&self) -> (u32, bool) {
        let ran = Duration::from_nanos(self.ran.load(Ordering::Relaxed));
        let ran = u32::try_from(ran.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX);
        let before = self.ticks.load(Ordering::Relaxed);
        let now = before.max(ran).saturating_add(1);
        self.ticks.store(now, Ordering::Relaxed);
        (now - before, now <= self.max_ticks)
    }

    /// What `call` returns, or none if its guest still waits in the host when the limit has passed since it first did.
    ///
    /// # Cancel safety
    /// As `call`, which is dropped with it.
    pub(super) async fn limit<R>(&self, call: impl Future<Output = R>) -> Option<R> {
        let mut call = pin!(call);
        let mut limit = pin!(None);
        let mut ticks = 0;
        poll_fn(|context| {
            let began = thread_time();
            if let Poll::Ready(result) = call.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            let turn = thread_time().saturating_sub(began).as_nanos();
            let turn = u64::try_from(turn).unwrap_or(u64::MAX);
            self.ran.fetch_add(turn, Ordering::Relaxed);
            let now = self.ticks.load(Ordering::Relaxed);
            if now != ticks {
                // It has only given way, and is polled again at once.
                ticks = now;
                return Poll::Pending;
            }
            if limit.is_none() {
                limit.set(Some(tokio::time::sleep(self.limit)));
            }
            let limit = limit.as_mut().as_pin_mut().expect("it was just set");
            limit.poll(context).map(|()| None)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn many_short_waits_end_like_a_long_one() {
        let clock = Clock::new(LIMIT);
        let started = Instant::now();

        let ended = clock
            .limit(async {
                loop {
                    sleep(LIMIT / 8).await;
                }
            })
            .await;

        assert_eq!(ended, None::<()>);
        assert_eq!(started.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_gives_way_is_not_ended_by_the_wall() {
        let clock = Clock::new(LIMIT);

        let guest = async {
            for _ in 0..5 {
                assert_eq!(clock.tick(), (1, true));
                tokio::task::yield_now().await;
            }
        };
        // A busy machine: others take their time before the guest is polled again.
        let others = async {
            loop {
                tokio::time::advance(LIMIT).await;
            }
        };

        let ended = tokio::select! {
            ended = clock.limit(guest) => ended,
            () = others => unreachable!("it has no end"),
        };

        assert_eq!(ended, Some(()));
    }

    #[tokio::test]
    async fn what_the_host_does_for_a_guest_counts_as_its_own_time() {
        let clock = Clock::new(LIMIT);
        let busy = |time: Duration| {
            let began = thread_time();
            while thread_time() - began < time {}
        };

        let ticks = clock.limit(async {
            busy(5 * TICK);
            tokio::task::yield_now().await;
            let some = clock.tick();
            busy(5 * TICK);
            tokio::task::yield_now().await;
            (some, clock.tick())
        });

        let ((some, goes_on), (more, is_over)) = ticks.await.expect("it waits for nothing");
        assert!(some >= 6 && goes_on, "{some}");
        assert!(more >= 5 && !is_over, "{more}");
    }

    #[test]
    fn a_call_may_run_for_its_ticks_and_the_next_one_again() {
        let clock = Clock::new(Duration::from_millis(21));
        for _ in 0..2 {
            clock.start();
            let allowed = (0..5).filter(|_| clock.tick().1).count();
            assert_eq!(allowed, 3);
        }
    }
}
