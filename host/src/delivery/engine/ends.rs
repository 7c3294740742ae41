//! The end of an event: its results and its dead letter are written, then it is settled.

use std::time::Duration;

use super::Engine;
use crate::{
    delivery::{
        item::{Ended, Item, LastAttempt},
        letters::{self, Cause},
        outbox::Written,
    },
    egress::EgressClosed,
    event::now_ms,
    http::Transport,
    plugin::Plugin,
};

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Ends these events with a dead letter each.
    pub(super) fn dead_letter(
        &mut self,
        items: Vec<Item>,
        cause: &Cause,
        last: Option<&LastAttempt>,
    ) {
        let mut ended = Ended {
            dead: items,
            ..Ended::default()
        };
        self.write_letters(&mut ended, cause, last);
        self.end(ended);
    }

    /// Makes the dead letters of those in `ended.dead` that have none yet.
    pub(super) fn write_letters(
        &self,
        ended: &mut Ended,
        cause: &Cause,
        last: Option<&LastAttempt>,
    ) {
        for item in ended.dead.get(ended.letters.len()..).unwrap_or_default() {
            let ingress = self.sink.sources.ingress_of(&item.arrival);
            let from = letters::From {
                ingress: &ingress,
                sink: &self.sink.id,
                endpoint: item.way().and_then(|way| self.sink.endpoints.label(way)),
            };
            ended
                .letters
                .push(letters::letter(&from, item, cause, last));
        }
    }

    pub(super) fn end(&mut self, ended: Ended) {
        let seq = ended.items().map(|item| item.seq).min();
        self.end_at(seq.unwrap_or(0), ended);
    }

    /// Takes in what has ended; `seq` is where its results stand in the order of the ingress.
    pub(super) fn end_at(&mut self, seq: u64, mut ended: Ended) {
        if ended.is_empty() {
            return;
        }
        self.withhold_large_results(&mut ended);
        for item in ended.items() {
            self.open -= 1;
            self.ready.end(item);
            self.batcher.release(item.key());
        }
        // Given back when they are written.
        let records = ended.results.iter().chain(&ended.letters);
        self.bytes += records.map(|record| record.data.len()).sum::<usize>();
        let leaving = match &mut self.reorder {
            Some(reorder) => reorder.push(seq, ended),
            None => vec![ended],
        };
        for ended in leaving {
            match &mut self.results {
                Some(outbox) if !ended.results.is_empty() || self.reorder.is_some() => {
                    outbox.push(ended)
                }
                _ => self.after_results(ended),
            }
        }
    }

    /// Results that their egress would never take become dead letters of their own: their events are delivered.
    fn withhold_large_results(&self, ended: &mut Ended) {
        let Some((egress, max)) = self
            .sink
            .results
            .as_ref()
            .and_then(|egress| Some((egress, egress.max_record()?)))
        else {
            return;
        };
        if ended.results.iter().all(|record| egress.takes(record)) {
            return;
        }
        let results = std::mem::take(&mut ended.results);
        let (fit, large): (Vec<_>, Vec<_>) =
            results.into_iter().partition(|record| egress.takes(record));
        ended.results = fit;
        let of = ended.items().next();
        let ingress = of.map(|item| self.sink.sources.ingress_of(&item.arrival));
        let ingress = ingress.as_deref().unwrap_or_default();
        let large: Vec<_> = (0..)
            .zip(large)
            .map(|(number, record)| {
                letters::large_result(&self.sink.id, ingress, of, number, record, max)
            })
            .collect();
        ended.letters.extend(large);
    }

    fn after_results(&mut self, ended: Ended) {
        if ended.letters.is_empty() {
            self.settle(ended);
        } else {
            self.letters.push(ended);
        }
    }

    pub(super) fn flush(&mut self) {
        if let Some(results) = &mut self.results {
            results.flush();
        }
        self.letters.flush();
    }

    pub(super) fn results_written(&mut self, written: Result<Written, EgressClosed>) {
        match written {
            Ok(Written {
                ended,
                records,
                bytes,
            }) => {
                self.bytes -= bytes;
                self.sink.stats.results.add(records);
                ended
                    .into_iter()
                    .for_each(|ended| self.after_results(ended));
            }
            Err(closed) => self.halted = Some(format!("results cannot be written: {closed}")),
        }
    }

    pub(super) fn letters_written(&mut self, written: Result<Written, EgressClosed>) {
        match written {
            Ok(Written { ended, bytes, .. }) => {
                self.bytes -= bytes;
                ended.into_iter().for_each(|ended| self.settle(ended));
            }
            Err(closed) => self.halted = Some(format!("dead letters cannot be written: {closed}")),
        }
    }

    /// The last step: the only place where an event is settled.
    fn settle(&mut self, ended: Ended) {
        let stats = &self.sink.stats;
        stats.delivered.add(ended.delivered.len());
        stats.dropped.add(ended.dropped.len());
        stats.dead_lettered.add(ended.dead.len());
        let now = now_ms();
        let age = |item: &Item| now.saturating_sub(item.arrival.event.timestamp_ms);
        stats
            .settled_age
            .record_all(ended.items().map(age).map(Duration::from_millis));
        for item in ended.items() {
            self.records -= 1;
            self.bytes -= item.arrival.event.memory();
        }
        self.sink
            .sources
            .settle(ended.items().map(|item| item.arrival.ticket));
    }
}
