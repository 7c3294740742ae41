//! Stores progress while the host runs, and once more when it stops.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    delivery::Source,
    progress::{
        Advanced,
        store::{Advance, Store, StoreError},
    },
};

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
                info!("progress is stored again");
            }
            Err(error @ StoreError::TakenOver { .. }) => return Err(error),
            Err(error) if !failing => {
                // Delivery goes on: a restart would deliver more twice, and lose nothing.
                failing = true;
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
