//! Opening a stream: is it there, may it be read, which shards has it, and where does reading begin?

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
};
use tracing::{error, info, warn};

use super::{
    KinesisIngress, QUEUE, Reader, discover, fan_out,
    lineage::{Change, Lineage, Listed},
    reader::Shared,
    service::Service,
    turns::Turns,
};
use crate::{
    aws::{OpenError, Stream, persist},
    event::{Position, ShardPosition, now_ms},
    ingress::{
        IngressError, Start, StreamError,
        settings::{KinesisIngressSettings, StreamReader, StreamStart},
    },
    metrics::IngressStats,
};

/// How often a listing is asked for once more that has a shard open which had ended.
const LOOKS: u32 = 5;

impl KinesisIngress {
    /// Opens the stream, and begins to read it from what is stored.
    ///
    /// # Errors
    /// When there is no such stream, it is being deleted, the caller may not read it, or the service does not
    /// answer.
    pub async fn open(
        id: &str,
        settings: &KinesisIngressSettings,
        stored: Start,
        stats: Arc<IngressStats>,
    ) -> Result<Self, IngressError> {
        let label = settings.stream.to_string();
        let fail = |error: OpenError| IngressError::stream(&label, error);
        let refused = |failure| fail(OpenError::Refused(failure));
        let (stream, summary) = Stream::open(&settings.aws, &settings.stream)
            .await
            .map_err(fail)?;
        if summary.spreads_keys {
            warn!(
                ingress = %id, stream = %label,
                "the stream ignores partition keys (record distribution `AUTO`): the records of a key have no order"
            );
        }
        let service = Service { stream };
        let stored: Vec<(String, ShardPosition)> =
            stored.into_iter().filter_map(of_shard).collect();
        let mut looks = 0;
        let listed = loop {
            let listed = persist(|| service.shards()).await.map_err(refused)?;
            match check_history(&stored, &listed) {
                Ok(()) => break listed,
                // A listing may be some time behind (Kinesis API: `ListShards`), so that a shard has not ended in it.
                Err(StreamError::Reopened { .. }) if looks < LOOKS => {
                    looks += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(IngressError::stream(&label, error)),
            }
        };
        let reader = match &settings.reader {
            StreamReader::Polling { interval } => Reader::Polling {
                interval: *interval,
            },
            StreamReader::EnhancedFanOut { consumer } => {
                let arn = fan_out::consumer(&service, &summary.arn, consumer).await;
                Reader::EnhancedFanOut {
                    consumer: arn.map_err(refused)?.into(),
                }
            }
        };

        let begins_now = stored.is_empty() && settings.start == StreamStart::Latest;
        let mut lineage = Lineage::new(settings.start, stored, now_ms());
        let change = lineage.list(&listed);
        report(id, &stats, &change);
        let (said, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            id: id.into(),
            stream: label,
            service,
            said,
            ahead: Arc::new(Semaphore::new(settings.read_ahead)),
            ahead_bytes: settings.read_ahead,
            stats,
            troubled: AtomicUsize::new(0),
        });
        let look = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let discovery = discover(
            Arc::clone(&shared),
            settings.discovery,
            Arc::clone(&look),
            listed,
        );
        tasks.spawn(discovery);

        let opening = change.begun.into_iter();
        let mut ingress = Self {
            reader,
            lineage,
            partitions: Vec::new(),
            closed: Vec::new(),
            said: queue,
            turns: Turns::default(),
            passed: Vec::new(),
            found: BTreeSet::new(),
            failed: None,
            held: Vec::new(),
            begins_now,
            opening: opening
                .map(|(shard, from)| (shard, Position::Shard(from)))
                .collect(),
            forgotten: change.gone.into_iter().map(|(shard, _)| shard).collect(),
            look,
            tasks,
            shared,
        };
        ingress.begin_ready();
        Ok(ingress)
    }

    /// Says that reading has begun. Whoever reads that may rely on `latest`: its time is stored.
    pub fn announce(&self) {
        info!(
            ingress = %self.shared.id, stream = %self.shared.stream, shards = self.lineage.reading(),
            reader = ?self.reader, "reading a stream"
        );
    }
}

fn of_shard((shard, position): (String, Position)) -> Option<(String, ShardPosition)> {
    match position {
        Position::Shard(position) => Some((shard, position)),
        // Of an ingress of another kind that had this id.
        Position::Count(_) | Position::Line { .. } => None,
    }
}

/// Refuses progress that another stream has made, which had the same name.
fn check_history(stored: &[(String, ShardPosition)], listed: &[Listed]) -> Result<(), StreamError> {
    for (shard, from) in stored {
        let Some(listed) = listed.iter().find(|listed| listed.id == *shard) else {
            continue;
        };
        match from {
            ShardPosition::Record { sequence, .. } if !listed.may_have(sequence) => {
                return Err(StreamError::Anew {
                    shard: shard.clone(),
                    sequence: sequence.clone(),
                    begins: listed.begins.clone(),
                });
            }
            ShardPosition::End if listed.open => {
                return Err(StreamError::Reopened {
                    shard: shard.clone(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says what the stream has given up before it was read.
fn report(id: &str, stats: &IngressStats, change: &Change) {
    for (shard, from) in &change.gone {
        if *from != ShardPosition::End {
            stats.losses.add(1);
            error!(
                ingress = %id, %shard, behind = ?from,
                "records may be lost: the stream has this shard no more, and it was not read to its end"
            );
        }
    }
}
