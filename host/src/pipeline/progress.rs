//! Stores progress while the host runs, and once more when it stops.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::{JoinError, JoinHandle},
    time::{MissedTickBehavior, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    delivery::Source,
    metrics::ProgressStats,
    progress::{
        Advanced,
        store::{Advance, Store, StoreError},
    },
    shutdown::Shutdown,
};

use super::reload::WRITES;

/// How long the last progress may take to be stored when the host was told to end at once.
const HURRIED: Duration = Duration::from_secs(1);

/// Stores progress.
pub(super) type Progress = JoinHandle<Result<(), StoreError>>;

/// The ingresses whose progress is stored; clones are the same list.
pub(super) type Stored = Arc<Mutex<Vec<Source>>>;

/// The store, which is used by one at a time.
pub(super) type Shared<S> = Arc<tokio::sync::Mutex<S>>;

/// Stores the settled prefixes each `interval` until `last`, and once more then.
///
/// # Errors
/// When another host has taken over an ingress: what this one does is done twice. Other failures pass.
pub(super) async fn keep(
    store: Shared<impl Store>,
    sources: Stored,
    interval: Duration,
    last: CancellationToken,
    stats: Arc<ProgressStats>,
) -> Result<(), StoreError> {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let ending = tokio::select! {
            biased;
            () = last.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let mut store = store.lock().await;
        // Behind that lock: who holds the store may take one off the list, and knows then that it is stored no more.
        let now = sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match save(&mut *store, &now).await {
            Ok(()) if failing => {
                failing = false;
                stats.failing.set(0);
                info!("progress is stored again");
            }
            Err(error @ StoreError::TakenOver { .. }) => return Err(error),
            Err(error) if !failing => {
                // Delivery goes on: a restart would deliver more twice, and lose nothing.
                failing = true;
                stats.failing.set(1);
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                warn!(%error, %cause, "progress could not be stored; trying on");
            }
            _ => {}
        }
        if ending {
            return Ok(());
        }
    }
}

/// What becomes of the last progress, which is being stored. A store that does not answer is not waited for: without it, what
/// was settled since is delivered again, and nothing is lost.
///
/// # Errors
/// When it took too long, or the task has failed.
pub(super) async fn stored_at_last(
    mut progress: Progress,
    shutdown: &Shutdown,
) -> Result<Result<(), StoreError>, JoinError> {
    let hurried = async {
        shutdown.now.cancelled().await;
        sleep(HURRIED).await;
    };
    tokio::select! {
        biased;
        joined = &mut progress => return joined,
        () = hurried => {}
        () = sleep(WRITES) => {}
    }
    progress.abort();
    progress.await
}

/// Stores what is settled and not stored.
pub(super) async fn save(store: &mut impl Store, sources: &[Source]) -> Result<(), StoreError> {
    let advanced: Vec<(&Source, Vec<Advanced>)> = sources
        .iter()
        .map(|source| (source, source.ledger.advanced()))
        .collect();
    let advances: Vec<Advance> = advanced
        .iter()
        .flat_map(|(source, advanced)| {
            advanced.iter().map(|advanced| Advance {
                ingress: source.id.to_string(),
                partition: advanced.name.clone(),
                position: advanced.position.clone(),
            })
        })
        .collect();
    if advances.is_empty() {
        return Ok(());
    }
    store.save(advances).await?;
    for (source, advanced) in &advanced {
        source.ledger.stored(advanced);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;
    use crate::event::Position;

    /// It fails so often, and then takes what it is given.
    struct Fails(u32);

    impl Store for Fails {
        async fn load(&self, _: &str) -> Result<Vec<(String, Position)>, StoreError> {
            Ok(Vec::new())
        }

        async fn save(&mut self, _: Vec<Advance>) -> Result<(), StoreError> {
            self.0 = self.0.wrapping_sub(1);
            match self.0 {
                u32::MAX => Ok(()),
                _ => Err(StoreError::Io {
                    path: "full".into(),
                    source: std::io::ErrorKind::StorageFull.into(),
                }),
            }
        }

        async fn forget(&mut self, _: &str, _: Vec<String>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_is_tried_again_and_seen_to_fail() {
        let source = Source {
            id: "t/in".into(),
            ledger: Arc::default(),
            relays: false,
        };
        source.ledger.learn(&["a".to_owned()]);
        source
            .ledger
            .begin([(0, Position::Count(1))].into_iter(), 0);
        let (stats, last) = (Arc::<ProgressStats>::default(), CancellationToken::new());
        let second = Duration::from_secs(1);
        let keeping = tokio::spawn(keep(
            Arc::new(tokio::sync::Mutex::new(Fails(2))),
            Arc::new(Mutex::new(vec![source.clone()])),
            second,
            last.clone(),
            Arc::clone(&stats),
        ));

        let mut failing = Vec::new();
        for _ in 0..3 {
            sleep(second * 3 / 4).await;
            failing.push((stats.failing.get(), source.ledger.advanced().len()));
        }
        last.cancel();

        assert_eq!(failing, [(1, 1), (1, 1), (0, 0)]);
        assert!(keeping.await.is_ok_and(|kept| kept.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_holds_nobody_up() {
        for (told_again, limit) in [(false, WRITES), (true, HURRIED)] {
            let shutdown = Shutdown::default();
            if told_again {
                shutdown.now.cancel();
            }
            let start = Instant::now();
            let last = stored_at_last(tokio::spawn(pending()), &shutdown).await;
            assert!(last.is_err_and(|error| error.is_cancelled()));
            assert_eq!(start.elapsed().as_secs(), limit.as_secs());
        }
    }

    #[tokio::test]
    async fn one_that_answers_is_heard_even_if_the_host_is_to_end_at_once() {
        let shutdown = Shutdown::default();
        shutdown.now.cancel();
        let last = stored_at_last(tokio::spawn(async { Ok(()) }), &shutdown).await;
        assert!(last.is_ok_and(|kept| kept.is_ok()));
    }
}
