//! Ingresses, opened behind their stored progress.

use std::sync::{Arc, PoisonError};

use tracing::info;

use super::StartError;
use crate::{
    config::{IngressConfig, IngressKind},
    delivery::{Source, Sources},
    ingress::{
        AnyIngress, datagen::Datagen, dead_letters::DeadLetters, file::FileIngress,
        kinesis::KinesisIngress,
    },
    metrics::IngressStats,
    pipeline::{
        live::OpenIngress,
        progress::{Shared, Stored},
    },
    progress::{
        AnyStore, Ledger,
        store::{Advance, Store},
    },
};

/// Whether the store must hear that an ingress is this host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Claim {
    Needed,
    Done,
}

/// Opens an ingress behind its stored progress.
pub(in crate::pipeline) async fn open_ingress(
    config: &IngressConfig,
    store: &Shared<AnyStore>,
    claim: Claim,
) -> Result<OpenIngress, StartError> {
    let id = config.id.to_string();
    if claim == Claim::Needed {
        store.lock().await.claim(&id).await?;
    }
    let stats = Arc::new(IngressStats::default());
    let ingress = try_ingress(config, store, Arc::clone(&stats)).await?;
    let opening = ingress
        .opening()
        .iter()
        .map(|(partition, position)| Advance {
            ingress: id.clone(),
            partition: partition.clone(),
            position: position.clone(),
        });
    let opening: Vec<Advance> = opening.collect();
    if !opening.is_empty() {
        store.lock().await.save(opening).await?;
    }
    if !ingress.forgotten().is_empty() {
        let forgotten = ingress.forgotten().to_vec();
        store.lock().await.forget(&id, forgotten).await?;
    }
    ingress.announce();
    let source = Source {
        id: id.into(),
        ledger: Arc::new(Ledger::default()),
        relays: ingress.relays(),
    };
    Ok(OpenIngress {
        ingress,
        source,
        stats,
    })
}

/// Opens an ingress, and stores nothing.
pub(in crate::pipeline) async fn try_ingress(
    config: &IngressConfig,
    store: &Shared<AnyStore>,
    stats: Arc<IngressStats>,
) -> Result<AnyIngress, StartError> {
    let id = config.id.to_string();
    let start = store.lock().await.load(&id).await?;
    let is_replay = matches!(config.kind, IngressKind::DeadLetters(_));
    // A replay finds its own among those of other replays, and says so itself.
    if let Some((partition, position)) = start.first().filter(|_| !is_replay) {
        info!(ingress = %id, %partition, ?position, "going on from stored progress");
    }
    let ingress = match &config.kind {
        IngressKind::Datagen(settings) => {
            Ok(AnyIngress::Datagen(Datagen::new(&id, settings.clone())))
        }
        IngressKind::File(settings) => FileIngress::open(&id, settings, start)
            .await
            .map(|file| AnyIngress::File(Box::new(file))),
        IngressKind::DeadLetters(settings) => DeadLetters::open(settings, start, stats)
            .await
            .map(|letters| AnyIngress::DeadLetters(Box::new(letters))),
        IngressKind::Kinesis(settings) => {
            Box::pin(KinesisIngress::open(&id, settings, start, stats))
                .await
                .map(|kinesis| AnyIngress::Kinesis(Box::new(kinesis)))
        }
    };
    ingress.map_err(|source| StartError::Ingress {
        ingress: id,
        source,
    })
}

/// Tickets may name the ingress from now on, and its progress is stored. Says what they name.
pub(in crate::pipeline) fn begin_source(
    open: &OpenIngress,
    sources: &Sources,
    stored: &Stored,
) -> u16 {
    if open.ingress.keeps_progress() {
        let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.push(open.source.clone());
    }
    sources.add(open.source.clone())
}
