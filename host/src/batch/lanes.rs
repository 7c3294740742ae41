//! A queue for each key: the batcher where a batch holds one key, or a key one batch at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use super::{BatchBy, BatchSettings, Due, KeyUse, Pending, fifo::fitting};

type Key = Option<Box<str>>;

/// The events of one key.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Pending>,
    bytes: usize,
    /// Events popped and not released; counted only for exclusive keys.
    out: usize,
}

/// Events by key; the lanes that may be popped are indexed by their oldest event.
#[derive(Debug)]
pub(super) struct Lanes {
    by: BatchBy,
    keys: KeyUse,
    lanes: HashMap<Key, Lane>,
    /// Lanes with events and no key out, by the `seq` of their head.
    open: BTreeMap<u64, Key>,
    /// The heads of those open lanes that fill a batch alone ([`BatchBy::Key`]).
    full: BTreeSet<u64>,
    /// What the open lanes hold.
    open_records: usize,
    open_bytes: usize,
    records: usize,
}

impl Lanes {
    pub(super) fn new(by: BatchBy, keys: KeyUse) -> Self {
        Self {
            by,
            keys,
            lanes: HashMap::new(),
            open: BTreeMap::new(),
            full: BTreeSet::new(),
            open_records: 0,
            open_bytes: 0,
            records: 0,
        }
    }

    pub(super) fn push(&mut self, pending: Pending, settings: &BatchSettings) {
        let key = pending.arrival.event.key.clone();
        self.close(&key);
        self.records += 1;
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.bytes += pending.size();
        lane.queue.push_back(pending);
        self.open(key, settings);
    }

    pub(super) fn pop(
        &mut self,
        now: Instant,
        due: Due,
        settings: &BatchSettings,
    ) -> Option<Vec<Pending>> {
        let aged = now >= self.oldest()? + settings.max_wait;
        let any = due == Due::Now || aged;
        let batch = match self.by {
            BatchBy::Key => {
                let head = match self.full.first() {
                    Some(head) => Some(head),
                    None if any => self.open.keys().next(),
                    None => None,
                };
                let key = self.open.get(head?)?.clone();
                self.take_lane(key, settings)
            }
            BatchBy::Any => {
                let full = self.open_records >= settings.max_records
                    || self.open_bytes >= settings.max_bytes;
                if !(any || full) {
                    return None;
                }
                self.take_mixed(settings)
            }
        };
        self.records -= batch.len();
        Some(batch)
    }

    pub(super) fn release(&mut self, key: &str, settings: &BatchSettings) {
        let key: Key = Some(key.into());
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.out = lane.out.saturating_sub(1);
        if lane.out == 0 {
            self.close(&key);
            self.open(key, settings);
        }
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        let key = self.open.values().next()?;
        self.lanes
            .get(key)?
            .queue
            .front()
            .map(|pending| pending.arrived)
    }

    pub(super) fn into_pending(self) -> Vec<Pending> {
        let lanes = self.lanes.into_values();
        lanes.flat_map(|lane| lane.queue).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn take_lane(&mut self, key: Key, settings: &BatchSettings) -> Vec<Pending> {
        self.close(&key);
        let exclusive = self.exclusive(&key);
        let lane = self.lanes.entry(key.clone()).or_default();
        let taken = fitting(lane.queue.iter(), settings);
        let batch: Vec<_> = lane.queue.drain(..taken).collect();
        lane.bytes -= batch.iter().map(Pending::size).sum::<usize>();
        if exclusive {
            lane.out += batch.len();
        }
        self.open(key, settings);
        batch
    }

    /// Takes the oldest events over all open lanes. A lane stays open while it gives to this
    /// batch, and is closed afterwards if its key is exclusive.
    fn take_mixed(&mut self, settings: &BatchSettings) -> Vec<Pending> {
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        let mut heads = std::mem::take(&mut self.open);
        let mut touched = BTreeSet::new();
        while batch.len() < settings.max_records {
            let Some((head, key)) = heads.pop_first() else {
                break;
            };
            let lane = self.lanes.entry(key.clone()).or_default();
            let Some(pending) = lane.queue.pop_front() else {
                continue;
            };
            let total = bytes.saturating_add(pending.size());
            if !batch.is_empty() && total > settings.max_bytes {
                lane.queue.push_front(pending);
                heads.insert(head, key);
                break;
            }
            bytes = total;
            lane.bytes -= pending.size();
            self.open_records -= 1;
            self.open_bytes -= pending.size();
            if self.keys == KeyUse::Exclusive && key.is_some() {
                lane.out += 1;
            }
            batch.push(pending);
            if let Some(next) = lane.queue.front() {
                heads.insert(next.seq, key.clone());
            }
            touched.insert(key);
        }
        self.open = heads;
        for key in touched {
            self.close(&key);
            self.open(key, settings);
        }
        batch
    }

    fn exclusive(&self, key: &Key) -> bool {
        self.keys == KeyUse::Exclusive && key.is_some()
    }

    /// Takes the lane out of the index of open lanes.
    fn close(&mut self, key: &Key) {
        let Some(lane) = self.lanes.get(key) else {
            return;
        };
        let Some(head) = lane.queue.front() else {
            return;
        };
        if self.open.remove(&head.seq).is_some() {
            self.full.remove(&head.seq);
            self.open_records -= lane.queue.len();
            self.open_bytes -= lane.bytes;
        }
    }

    /// Puts the lane into the index if it may be popped; forgets a lane without events or claims.
    fn open(&mut self, key: Key, settings: &BatchSettings) {
        let Some(lane) = self.lanes.get(&key) else {
            return;
        };
        if lane.out > 0 {
            return;
        }
        let Some(head) = lane.queue.front() else {
            self.lanes.remove(&key);
            return;
        };
        self.open_records += lane.queue.len();
        self.open_bytes += lane.bytes;
        if lane.queue.len() >= settings.max_records || lane.bytes >= settings.max_bytes {
            self.full.insert(head.seq);
        }
        self.open.insert(head.seq, key);
    }
}
