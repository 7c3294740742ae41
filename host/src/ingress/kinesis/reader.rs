//! What both readers share: their places in memory, their way to the ingress, and what they do about failures.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::error;

use super::{
    cursor::{Cursor, From, Read},
    lineage::Listed,
    service::Service,
    trouble::Trouble,
    turns::Chunk,
};
use crate::{
    aws::{Failure, FailureKind},
    event::rfc3339,
    ingress::{IngressError, StreamError},
    metrics::IngressStats,
};

/// What tasks tell the ingress.
#[derive(Debug)]
pub(super) enum Said {
    Read(Chunk),
    Listed(Vec<Listed>),
    Failed(IngressError),
}

/// What all tasks of one ingress share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The ingress's id.
    pub(super) id: Arc<str>,
    /// The stream, as the user names it.
    pub(super) stream: String,
    pub(super) service: Service,
    pub(super) said: mpsc::Sender<Said>,
    /// A permit is a byte that is read ahead.
    pub(super) ahead: Arc<Semaphore>,
    pub(super) ahead_bytes: usize,
    pub(super) stats: Arc<IngressStats>,
    /// Tasks whose last call failed: only the first says so.
    pub(super) troubled: AtomicUsize,
}

/// A place for one answer: held until its last record is handed out. Each shard has two: one is handed out while the next is
/// read.
#[derive(Debug)]
pub(super) struct Room {
    _place: OwnedSemaphorePermit,
    /// A permit is a byte that is read ahead; none for a shard's first answer, so that no shard waits for another that is
    /// stuck.
    ahead: Option<OwnedSemaphorePermit>,
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It may pass, and some time has.
    TryAgain,
    /// The stream has the shard no more: it keeps none of its records.
    ShardGone,
}

/// The part of a reader that is the same for both kinds.
#[derive(Debug)]
pub(super) struct ShardReader {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: u32,
    pub(super) shard: String,
    first: Arc<Semaphore>,
    second: Arc<Semaphore>,
    closed: Arc<AtomicBool>,
    pub(super) trouble: Trouble,
}

impl ShardReader {
    /// `closed` is set once the stream's listing says that the shard takes no more records.
    pub(super) fn new(
        shared: Arc<Shared>,
        partition: u32,
        shard: String,
        closed: Arc<AtomicBool>,
    ) -> Self {
        Self {
            trouble: Trouble::new(Arc::clone(&shared)),
            shared,
            partition,
            shard,
            first: Arc::new(Semaphore::new(1)),
            second: Arc::new(Semaphore::new(1)),
            closed,
        }
    }

    /// Whether the stream's listing says that the shard takes no more records.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Waits until there is room for an answer of about `bytes`.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        const OPEN: &str = "the semaphores are never closed";
        let bytes = u32::try_from(bytes.min(self.shared.ahead_bytes)).unwrap_or(u32::MAX);
        let second = async {
            let place = Arc::clone(&self.second).acquire_owned().await;
            let ahead = Arc::clone(&self.shared.ahead).acquire_many_owned(bytes);
            (place, Some(ahead.await.expect(OPEN)))
        };
        let (place, ahead) = tokio::select! {
            biased;
            place = Arc::clone(&self.first).acquire_owned() => (place, None),
            both = second => both,
        };
        Room {
            _place: place.expect(OPEN),
            ahead,
        }
    }

    /// Hands over what was read. False when the ingress is gone.
    pub(super) async fn hand_over(&self, read: Read, ends: bool, mut room: Room) -> bool {
        let stats = &self.shared.stats;
        if let Some(gap) = read.gap {
            let ((behind, behind_ms), (before, before_ms)) = (gap.behind, gap.before);
            stats.losses.add(1);
            error!(
                ingress = %self.shared.id, shard = %self.shard, after = %behind, after_arrived = %rfc3339(behind_ms),
                before = %before, before_arrived = %rfc3339(before_ms),
                "records may be lost: the stream gave up those between these two before they were read"
            );
        }
        stats.bytes.add(read.bytes);
        if read.records.is_empty() && !ends {
            return true;
        }
        // What was asked for and did not come may be read by others.
        if let Some(ahead) = &mut room.ahead {
            let spare = ahead.num_permits().saturating_sub(read.bytes.max(1));
            drop(ahead.split(spare));
        }
        let chunk = Chunk {
            shard: self.partition,
            records: read.records,
            ends,
            _room: Some(room),
        };
        self.shared.said.send(Said::Read(chunk)).await.is_ok()
    }

    /// The stream has the shard no more: what was not read of it is lost, and its children may begin.
    pub(super) async fn shard_gone(&self, cursor: &mut Cursor) {
        let Shared { id, stats, .. } = &*self.shared;
        stats.losses.add(1);
        error!(ingress = %id, shard = %self.shard, "records may be lost: the stream gave up the shard before it was read to its end");
        let (nothing, room) = (cursor.take_in(Vec::new()), self.room(0).await);
        self.hand_over(nothing, true, room).await;
    }

    /// What a failed call means, if reading goes on.
    ///
    /// # Errors
    /// When the stream is deleted, or the stored progress is of another one.
    pub(super) async fn failed(
        &mut self,
        failure: Failure,
        cursor: &Cursor,
    ) -> Result<Meaning, IngressError> {
        let stored = match cursor.from() {
            From::At(sequence) => Some(sequence.clone()),
            _ => None,
        };
        let fails = |error: StreamError| IngressError::stream(&self.shared.stream, error);
        let foreign = |failure: Failure| StreamError::Foreign {
            shard: self.shard.clone(),
            sequence: stored.clone().unwrap_or_default().into(),
            failure,
        };
        match failure.kind {
            FailureKind::NotFound => match self.shared.service.stream.summary().await {
                Err(gone) if gone.kind == FailureKind::NotFound => {
                    return Err(fails(StreamError::Deleted(gone)));
                }
                Ok(summary) if !summary.deleting => {
                    if let Ok(listed) = self.shared.service.shards().await
                        && listed.iter().all(|listed| listed.id != self.shard)
                    {
                        return Ok(Meaning::ShardGone);
                    }
                    // A subscription may also lack its consumer.
                    if stored.is_some() && failure.call != "SubscribeToShard" {
                        return Err(fails(foreign(failure)));
                    }
                }
                _ => {}
            },
            FailureKind::Refused if stored.is_some() && failure.is_of_position() => {
                return Err(fails(foreign(failure)));
            }
            _ => {}
        }
        self.trouble.pause(&failure).await;
        Ok(Meaning::TryAgain)
    }

    pub(super) fn lag(&self, behind_ms: u64) {
        self.shared.stats.lag(&self.shard, behind_ms);
    }
}
