//! Opens the egresses of a module, and owns the tasks that write to them.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::{
    admin::EgressView,
    config::{EgressConfig, EgressKind},
    egress::{
        self, AnyEgress, EgressHandle, file::FileEgress, kinesis::KinesisEgress,
        stdout::StdoutEgress,
    },
    metrics::EgressStats,
};

/// Requests that may wait in front of an egress: one for each sink's results and dead letters
/// that is being written, and as many that wait.
pub(super) const EGRESS_QUEUE: usize = 16;

pub(super) async fn open_egress(
    config: &EgressConfig,
    writers: &mut Writers,
) -> Result<EgressHandle, StartError> {
    let id = config.id.to_string();
    let egress = match &config.kind {
        EgressKind::File(settings) => FileEgress::open(settings.clone())
            .await
            .map(AnyEgress::File),
        EgressKind::Kinesis(settings) => Box::pin(KinesisEgress::open(id.clone(), settings))
            .await
            .map(|kinesis| AnyEgress::Kinesis(Box::new(kinesis))),
        EgressKind::Stdout => Ok(AnyEgress::Stdout(StdoutEgress::default())),
    };
    let egress = egress.map_err(|source| StartError::Egress {
        egress: id.clone(),
        source,
    })?;
    Ok(writers.spawn(id, egress))
}

/// The tasks that own the egresses.
#[derive(Debug, Default)]
pub(super) struct Writers {
    pub(super) tasks: JoinSet<()>,
    pub(super) views: Vec<EgressView>,
    pub(super) stop: CancellationToken,
}

impl Writers {
    pub(super) fn spawn(&mut self, id: String, egress: AnyEgress) -> EgressHandle {
        let (handle, queue) = EgressHandle::channel(EGRESS_QUEUE);
        let handle = handle.limited(egress.max_record());
        let stats = Arc::new(EgressStats::default());
        self.views.push(EgressView {
            id: id.as_str().into(),
            stats: Arc::clone(&stats),
        });
        let task = egress::task::run(id, egress, queue, self.stop.clone(), stats);
        self.tasks.spawn(task);
        handle
    }
}
