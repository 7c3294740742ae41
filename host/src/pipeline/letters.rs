//! Where dead letters go: to the egress or the sink that is named, or to a file in the state directory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::info;

use super::{
    StartError,
    egresses::{Key, Waits, Writers},
    relay::{self, Relay},
};
use crate::{
    config::{Destination, OnUnrouted, SinkConfig},
    delivery::{Queue, Source, Sources},
    egress::{AnyEgress, EgressHandle, file::FileEgress, settings::FileEgressSettings},
    progress::Ledger,
};

/// Opens what dead letters go to, or finds what is open.
pub(super) struct Letters<'a> {
    pub(super) state_dir: &'a Path,
    /// Those of the module.
    pub(super) egresses: &'a [EgressHandle],
    pub(super) writers: &'a mut Writers,
    pub(super) sources: &'a Sources,
    /// For a file whose writer before may not have ended.
    pub(super) waits: &'a Waits,
}

impl Letters<'_> {
    /// A handle for one of the sinks. A sink that another one hands its letters to has a source more.
    pub(super) async fn of_sink(
        &mut self,
        sink: &SinkConfig,
        sinks: &[SinkConfig],
        queues: &[Queue],
    ) -> Result<EgressHandle, StartError> {
        let id = sink.id.to_string();
        let file = sink.default_letters();
        let to = match sink.dead_letters {
            Some(Destination::Sink(index)) => queues.get(index).zip(sinks.get(index)),
            _ => None,
        };
        match (to, sink.dead_letters) {
            (Some((queue, to)), _) => {
                let to = to.id.to_string();
                info!(sink = %id, %to, "dead letters go to another sink");
                Ok(self.relay(id, to, queue))
            }
            (None, Some(Destination::Egress(index))) => self.egress(index, &id, &file).await,
            (None, _) => {
                let handle = self.file(&id, &file).await?;
                info!(sink = %id, path = %self.path(&file).display(), "dead letters go to a file, as the sink names no egress for them");
                Ok(handle)
            }
        }
    }

    /// For a sink that is gone: `kept`, if it wrote to that and it stays.
    pub(super) async fn of_removed(
        &mut self,
        sink: &SinkConfig,
        kept: Option<EgressHandle>,
    ) -> Result<EgressHandle, StartError> {
        let (id, file) = (sink.id.to_string(), sink.default_letters());
        match kept {
            Some(named) => self.with_overflow(named, &id, &file).await,
            None => self.file(&id, &file).await,
        }
    }

    fn relay(&mut self, sink: String, to: String, queue: &Queue) -> EgressHandle {
        let key = Key::Relay(sink.clone(), to);
        if let Some(open) = self.writers.find(&key) {
            return open;
        }
        let ledger = Arc::new(Ledger::default());
        let source = self.sources.add(Source {
            id: sink.into(),
            ledger: Arc::clone(&ledger),
            relays: true,
        });
        let relay = Relay {
            source,
            ledger,
            to: queue.feeder(),
        };
        let sources = self.sources.clone();
        self.writers.relay(key, |queue| async move {
            let ledger = Arc::clone(&relay.ledger);
            relay::run(relay, queue).await;
            sources.leaves(&ledger);
        })
    }

    /// An egress of the module, by its place; letters that are too large for it go to `file`.
    pub(super) async fn egress(
        &mut self,
        index: usize,
        of: &str,
        file: &str,
    ) -> Result<EgressHandle, StartError> {
        match self.egresses.get(index).cloned() {
            Some(named) => self.with_overflow(named, of, file).await,
            None => self.file(of, file).await,
        }
    }

    async fn with_overflow(
        &mut self,
        named: EgressHandle,
        of: &str,
        file: &str,
    ) -> Result<EgressHandle, StartError> {
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
        self.state_dir.join(name)
    }

    /// A file in the state directory.
    pub(super) async fn file(&mut self, of: &str, name: &str) -> Result<EgressHandle, StartError> {
        let key = Key::File(name.to_owned());
        if let Some(open) = self.writers.find(&key) {
            return Ok(open);
        }
        let settings = FileEgressSettings {
            path: self.path(name),
            max_bytes: None,
            keep: None,
        };
        let (id, failed) = (
            format!("{of} (dead letters)"),
            format!("dead letters of {of}"),
        );
        let open = async {
            let opened = FileEgress::open(settings).await.map(AnyEgress::File);
            opened.map_err(|source| StartError::Egress {
                egress: failed,
                source,
            })
        };
        self.writers.open(key, id, self.waits, open).await
    }
}

/// The file, in the state directory, for the events that no router of an ingress takes.
fn unrouted_file(ingress: &str) -> String {
    format!("unrouted-{}.ndjson", ingress.replace('/', "_"))
}
