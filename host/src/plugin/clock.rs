//! How long a call takes: in ticks while its guest runs, on the wall while its guest waits in the host.
//!
//! No epoch passes for a guest that waits, and a guest that runs is not to blame for a busy machine: so there are two
//! clocks. Neither costs a call that ends within a tick anything.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::Poll,
    time::Duration,
};

/// How often a guest that runs lets other tasks go on, and looks whether its time is over.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The clock of one instance; it is started for each call.
#[derive(Debug)]
pub(super) struct Clock {
    limit: Duration,
    /// Ticks that the call under way has run.
    ticks: AtomicU32,
    max_ticks: u32,
}

impl Clock {
    /// A clock for calls that take `limit` at most.
    pub(super) fn new(limit: Duration) -> Self {
        let max_ticks = limit.as_nanos().div_ceil(TICK.as_nanos()).max(1);
        Self {
            limit,
            ticks: AtomicU32::new(0),
            max_ticks: u32::try_from(max_ticks).unwrap_or(u32::MAX),
        }
    }

    /// A call begins.
    pub(super) fn start(&self) {
        self.ticks.store(0, Ordering::Relaxed);
    }

    /// The guest has run for a tick more; whether it may go on.
    pub(super) fn tick(&self) -> bool {
        self.ticks.fetch_add(1, Ordering::Relaxed) < self.max_ticks
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
            if let Poll::Ready(result) = call.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
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
                assert!(clock.tick());
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

    #[test]
    fn a_call_may_run_for_its_ticks_and_the_next_one_again() {
        let clock = Clock::new(Duration::from_millis(21));
        for _ in 0..2 {
            clock.start();
            let allowed = (0..5).filter(|_| clock.tick()).count();
            assert_eq!(allowed, 3);
        }
    }
}
