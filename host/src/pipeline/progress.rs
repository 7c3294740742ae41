//! Stores progress while the host runs, and once more when it stops.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    delivery::Source,
    event::Position,
    progress::store::{Advance, Store},
};

/// Between two stores: what a crash may deliver twice.
const INTERVAL: Duration = Duration::from_secs(1);

/// The partitions of an ingress whose progress is stored.
pub(super) struct Stored {
    pub(super) source: Source,
    /// By partition index.
    pub(super) partitions: Vec<String>,
}

/// Stores the settled prefixes until `last`, and once more then.
pub(super) async fn keep(mut store: impl Store, sources: Vec<Stored>, last: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let ending = tokio::select! {
            biased;
            () = last.cancelled() => true,
            _ = ticks.tick() => false,
        };
        match save(&mut store, &sources).await {
            Ok(()) if failing => {
                failing = false;
                info!("progress is stored again");
            }
            Err(error) if !failing => {
                // Delivery goes on: a restart would deliver more twice, and lose nothing.
                failing = true;
                warn!(%error, "progress could not be stored; trying again each second");
            }
            _ => {}
        }
        if ending {
            return;
        }
    }
}

async fn save(
    store: &mut impl Store,
    sources: &[Stored],
) -> Result<(), crate::progress::store::StoreError> {
    let advanced: Vec<(&Stored, Vec<(u32, Position)>)> = sources
        .iter()
        .map(|stored| (stored, stored.source.ledger.advanced()))
        .collect();
    let advances: Vec<Advance> = advanced
        .iter()
        .flat_map(|(stored, positions)| {
            positions.iter().filter_map(|(partition, position)| {
                Some(Advance {
                    ingress: stored.source.id.to_string(),
                    partition: stored.partitions.get(*partition as usize)?.clone(),
                    position: position.clone(),
                })
            })
        })
        .collect();
    if advances.is_empty() {
        return Ok(());
    }
    store.save(advances).await?;
    for (stored, positions) in &advanced {
        stored.source.ledger.stored(positions);
    }
    Ok(())
}
