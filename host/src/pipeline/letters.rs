//! Where dead letters go: to the egress or the sink that is named, or to a file in the state directory.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;
use tracing::info;

use super::{
    StartError,
    egresses::{EGRESS_QUEUE, Writers},
    relay::{self, Relay},
};
use crate::{
    config::{Destination, OnUnrouted, SinkConfig},
    delivery::Source,
    egress::{AnyEgress, EgressHandle, file::FileEgress, settings::FileEgressSettings},
    event::Arrival,
    progress::{Ledger, state_dir::StateDir},
};

/// Opens what dead letters go to.
pub(super) struct Letters<'a> {
    pub(super) state_dir: &'a StateDir,
    pub(super) egresses: &'a [EgressHandle],
    pub(super) writers: &'a mut Writers,
}

impl Letters<'_> {
    /// A handle for each sink. A sink that another one hands its letters to has a source more: it is added to
    /// `sources`, whose places tickets name.
    pub(super) async fn of_sinks(
        &mut self,
        sinks: &[SinkConfig],
        queues: &[mpsc::Sender<Vec<Arrival>>],
        sources: &mut Vec<Source>,
    ) -> Result<Vec<EgressHandle>, StartError> {
        let mut handles = Vec::new();
        for sink in sinks {
            let id = sink.id.to_string();
            let file = sink.default_letters();
            let to = match sink.dead_letters {
                Some(Destination::Sink(index)) => queues.get(index).map(|queue| (index, queue)),
                _ => None,
            };
            handles.push(match (to, sink.dead_letters) {
                (Some((index, queue)), _) => {
                    let of = sinks.get(index).map(|sink| sink.id.to_string());
                    info!(sink = %id, to = of.unwrap_or_default(), "dead letters go to another sink");
                    self.relay(&id, queue.clone(), sources)
                }
                (None, Some(Destination::Egress(index))) => {
                    self.egress(index, &id, &file).await?
                }
                (None, _) => {
                    let handle = self.file(&id, &file).await?;
                    info!(sink = %id, path = %self.path(&file).display(), "dead letters go to a file, as the sink names no egress for them");
                    handle
                }
            });
        }
        Ok(handles)
    }

    fn relay(
        &mut self,
        sink: &str,
        to: mpsc::Sender<Vec<Arrival>>,
        sources: &mut Vec<Source>,
    ) -> EgressHandle {
        let ledger = Arc::new(Ledger::default());
        let relay = Relay {
            source: u16::try_from(sources.len()).unwrap_or(u16::MAX),
            ledger: Arc::clone(&ledger),
            to,
        };
        sources.push(Source {
            id: sink.into(),
            ledger,
            relays: true,
        });
        let (handle, queue) = EgressHandle::channel(EGRESS_QUEUE);
        self.writers.tasks.spawn(relay::run(relay, queue));
        handle
    }

    /// An egress of the module, by its place; letters that are too large for it go to `file`.
    pub(super) async fn egress(
        &mut self,
        index: usize,
        of: &str,
        file: &str,
    ) -> Result<EgressHandle, StartError> {
        let Some(named) = self.egresses.get(index).cloned() else {
            return self.file(of, file).await;
        };
        if named.max_record().is_none() {
            return Ok(named);
        }
        let overflow = self.file(of, file).await?;
        info!(of, path = %self.path(file).display(), "dead letters that are too large for their stream go to a file");
        Ok(named.with_overflow(overflow))
    }

    /// For the events that no router of an ingress takes.
    pub(super) async fn of_unrouted(
        &mut self,
        ingress: &str,
        to: OnUnrouted,
    ) -> Result<EgressHandle, StartError> {
        let file = unrouted_file(ingress);
        if let OnUnrouted::To(Destination::Egress(index)) = to {
            return self.egress(index, ingress, &file).await;
        }
        let handle = self.file(ingress, &file).await?;
        info!(%ingress, path = %self.path(&file).display(), "events that no router takes go to a file, as `unrouted` says nothing else");
        Ok(handle)
    }

    /// Where a file of the state directory is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.state_dir.path().join(name)
    }

    /// A file in the state directory.
    pub(super) async fn file(&mut self, of: &str, name: &str) -> Result<EgressHandle, StartError> {
        let settings = FileEgressSettings {
            path: self.path(name),
            max_bytes: None,
            keep: None,
        };
        let egress = FileEgress::open(settings)
            .await
            .map_err(|source| StartError::Egress {
                egress: format!("dead letters of {of}"),
                source,
            })?;
        let id = format!("{of} (dead letters)");
        Ok(self.writers.spawn(id, AnyEgress::File(egress)))
    }
}

/// The file, in the state directory, for the events that no router of an ingress takes.
fn unrouted_file(ingress: &str) -> String {
    format!("unrouted-{}.ndjson", ingress.replace('/', "_"))
}
