//! A Kinesis stream: all of its shards, followed through splits and merges.
//!
//! Each shard has a task that reads ahead within bounds; the ingress takes from all of them in turn.
//!
//! # Invariants
//! - A shard is read only when all that its parents had is handed out.
//! - No more is read ahead than `read_ahead` bytes beside one answer of each shard, and two answers of each.
//! - Progress knows of a shard before it knows of what comes behind its first record, or of its children: a shard that is not
//!   stored is taken for one that ended before the ingress was there.
//! - An aggregate is taken apart when it is its turn: one of each shard at a time.
//! - What was read is handed out before a failure ends the reading.

mod aggregate;
mod cursor;
mod fan_out;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod lineage;
mod open;
mod pace;
mod polling;
mod reader;
mod records;
mod service;
mod trouble;
mod turns;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tracing::{debug, info, warn};

use self::{
    cursor::Cursor,
    lineage::{Lineage, Listed},
    reader::{Said, ShardReader, Shared},
    trouble::Trouble,
    turns::{Turns, end_of},
};
use super::{Ingress, IngressError, ReadLimit, StreamError};
use crate::{
    causes::explain,
    event::{Incoming, Position},
};

/// What the shards' tasks may say before the ingress listens; a task waits then.
const QUEUE: usize = 64;

/// Reads a stream.
#[derive(Debug)]
pub struct KinesisIngress {
    shared: Arc<Shared>,
    reader: Reader,
    lineage: Lineage,
    /// Shards that were read, by the index that their events hold.
    partitions: Vec<String>,
    /// By partition: whether the stream's listing says that the shard is closed.
    closed: Vec<Arc<AtomicBool>>,
    said: mpsc::Receiver<Said>,
    turns: Turns,
    passed: Vec<(u32, Position)>,
    /// Shards that a listing has brought since the ingress was opened, and that progress does not know of.
    found: BTreeSet<String>,
    /// Why nothing more is read.
    failed: Option<IngressError>,
    /// By partition: whether nothing of it is to be handed out for now.
    held: Vec<bool>,
    /// Begun as `latest` and without progress: a time to begin at means now.
    begins_now: bool,
    opening: Vec<(String, Position)>,
    forgotten: Vec<String>,
    /// Wakes the discovery before its time.
    look: Arc<Notify>,
    /// The readers and the discovery; they end with the ingress.
    tasks: JoinSet<()>,
}

/// How shards are read.
#[derive(Debug, Clone)]
enum Reader {
    Polling { interval: Duration },
    EnhancedFanOut { consumer: Arc<str> },
}

impl KinesisIngress {
    /// Where the shards that are new to this ingress begin; to be stored before the first read, so that a crash
    /// does not move `latest`.
    pub fn opening(&self) -> &[(String, Position)] {
        &self.opening
    }

    /// Shards with stored progress that the stream has no more.
    pub fn forgotten(&self) -> &[String] {
        &self.forgotten
    }

    fn begin_ready(&mut self) {
        for (shard, from) in self.lineage.ready() {
            let partition = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
            debug!(ingress = %self.shared.id, %shard, ?from, "reading a shard");
            let prefix = format!("{}/{shard}", self.shared.id);
            let cursor = Cursor::new(prefix.into(), partition, from.clone(), self.begins_now);
            self.partitions.push(shard.clone());
            if self.found.remove(&shard) {
                let from = Position::Shard(from);
                self.passed.push((partition, from));
            }
            let closed = Arc::new(AtomicBool::new(!self.lineage.is_open(&shard)));
            self.closed.push(Arc::clone(&closed));
            let reader = ShardReader::new(Arc::clone(&self.shared), partition, shard, closed);
            self.tasks
                .spawn(read_shard(self.reader.clone(), reader, cursor));
        }
        self.shared.stats.shards.set(self.lineage.reading());
    }

    fn absorb(&mut self, said: Said) {
        match said {
            Said::Read(chunk) => self.turns.push(chunk),
            Said::Listed(listed) => {
                let change = self.lineage.list(&listed);
                for (shard, closed) in self.partitions.iter().zip(&self.closed) {
                    closed.store(!self.lineage.is_open(shard), Relaxed);
                }
                if !change.begun.is_empty() {
                    let shards: Vec<&str> = change.begun.iter().map(|(id, _)| &**id).collect();
                    info!(ingress = %self.shared.id, ?shards, "the stream has new shards");
                    self.shared.stats.reshards.add(1);
                }
                let begun = change.begun.into_iter();
                self.found.extend(begun.map(|(shard, _)| shard));
                self.begin_ready();
            }
            Said::Failed(error) => {
                self.tasks.abort_all();
                let why = explain(&error);
                warn!(ingress = %self.shared.id, error = why, "nothing more is read; what was read is delivered first");
                self.failed.get_or_insert(error);
            }
        }
    }

    /// The last record of a shard has been handed out: its children may begin.
    fn end(&mut self, partition: u32) {
        self.passed.push(end_of(partition));
        let Some(shard) = self.partitions.get(partition as usize) else {
            return;
        };
        info!(ingress = %self.shared.id, %shard, "a shard is read to its end");
        self.lineage.ended(shard);
        self.shared.stats.forget_lag(shard);
        self.begin_ready();
        self.look.notify_one();
    }
}

impl Ingress for KinesisIngress {
    fn partitions(&self) -> &[String] {
        &self.partitions
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        loop {
            while let Ok(said) = self.said.try_recv() {
                self.absorb(said);
            }
            if !self.passed.is_empty() {
                // Where shards begin lies in front of their records.
                return Ok(Some(Vec::new()));
            }
            let held = |partition: u32| self.held.get(partition as usize) == Some(&true);
            let taken = self.turns.take(limit, held);
            for partition in taken.ended {
                self.end(partition);
            }
            self.shared.stats.events.add(taken.records.len());
            if !taken.records.is_empty() || !self.passed.is_empty() {
                return Ok(Some(taken.records));
            }
            // The readers may hand over something until they are gone.
            let is_over = self.tasks.is_empty() && self.turns.is_empty();
            if let Some(error) = self.failed.take_if(|_| is_over) {
                return Err(error);
            }
            tokio::select! {
                biased;
                Some(said) = self.said.recv() => self.absorb(said),
                Some(joined) = self.tasks.join_next() => match joined {
                    Err(error) if !error.is_cancelled() => {
                        let error = StreamError::Task(error);
                        return Err(IngressError::stream(&self.shared.stream, error));
                    }
                    _ => {}
                },
                else => std::future::pending().await,
            }
        }
    }

    fn active(&self) -> usize {
        self.lineage.reading()
    }

    fn hold(&mut self, held: &[bool]) {
        self.held.clear();
        self.held.extend_from_slice(held);
    }

    fn passed(&mut self) -> Vec<(u32, Position)> {
        std::mem::take(&mut self.passed)
    }
}

/// Reads a shard to its end, or until the ingress is gone.
async fn read_shard(kind: Reader, mut reader: ShardReader, cursor: Cursor) {
    let read = match kind {
        Reader::Polling { interval } => polling::read(&mut reader, cursor, interval).await,
        Reader::EnhancedFanOut { consumer } => fan_out::read(&mut reader, cursor, &consumer).await,
    };
    if let Err(error) = read {
        // Nobody listens when the ingress is gone.
        drop(reader.shared.said.send(Said::Failed(error)).await);
    }
}

/// Lists the stream's shards again and again, each `interval` and when a shard has ended, and tells what differs
/// from `known`.
async fn discover(
    shared: Arc<Shared>,
    interval: Duration,
    look: Arc<Notify>,
    mut known: Vec<Listed>,
) {
    let mut trouble = Trouble::new(Arc::clone(&shared));
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = look.notified() => {}
        }
        loop {
            match shared.service.shards().await {
                Ok(listed) => {
                    trouble.over();
                    if listed == known {
                        break;
                    }
                    known.clone_from(&listed);
                    if shared.said.send(Said::Listed(listed)).await.is_err() {
                        return;
                    }
                    break;
                }
                // Whether the stream is gone is for the readers to find out.
                Err(failure) => trouble.pause(&failure).await,
            }
        }
    }
}
