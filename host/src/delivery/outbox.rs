//! Records on their way to an egress: one write at a time, everything that waits in the next.

use tokio::task::JoinSet;

use super::item::Ended;
use crate::{
    egress::{EgressClosed, EgressHandle},
    event::Record,
};

/// A queue in front of an egress. It holds what counts against `buffer`, so it needs no bound of its own.
#[derive(Debug)]
pub(super) struct Outbox {
    egress: EgressHandle,
    take: fn(&mut Ended) -> Vec<Record>,
    waiting: Vec<Ended>,
    /// What the write under way is for.
    under_way: Written,
    writing: JoinSet<Result<(), EgressClosed>>,
}

/// A write that is durable.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What it was for.
    pub(super) ended: Vec<Ended>,
    /// How many records it had, and how many bytes of data in them.
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Outbox {
    /// `take` takes this egress's records out of what has ended.
    pub(super) fn new(egress: EgressHandle, take: fn(&mut Ended) -> Vec<Record>) -> Self {
        Self {
            egress,
            take,
            waiting: Vec::new(),
            under_way: Written::default(),
            writing: JoinSet::new(),
        }
    }

    pub(super) fn push(&mut self, ended: Ended) {
        self.waiting.push(ended);
    }

    /// Starts the next write, if none is under way.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() || !self.writing.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.waiting);
        let records: Vec<Record> = batch.iter_mut().flat_map(self.take).collect();
        self.under_way = Written {
            ended: batch,
            records: records.len(),
            bytes: records.iter().map(|record| record.data.len()).sum(),
        };
        let egress = self.egress.clone();
        self.writing.spawn(async move {
            if !records.is_empty() {
                egress.write(records).await?;
            }
            Ok(())
        });
    }

    /// What the write under way was for, once it is durable. None where no write is under way.
    ///
    /// # Errors
    /// When the egress has stopped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn written(&mut self) -> Option<Result<Written, EgressClosed>> {
        let joined = self.writing.join_next().await?;
        let written = std::mem::take(&mut self.under_way);
        Some(joined.unwrap_or(Err(EgressClosed)).map(|()| written))
    }

    /// What waits, and what a write is under way for: of that, nobody will know whether it was written.
    pub(super) fn into_ended(self) -> impl Iterator<Item = Ended> {
        self.under_way.ended.into_iter().chain(self.waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_empty()
    }
}
