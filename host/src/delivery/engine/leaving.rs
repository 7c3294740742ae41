//! A sink that makes room for its next incarnation: it hands over its queue, and what it holds.
//!
//! # Invariants
//! - Nothing that is handed over is settled, and everything that is not settled is handed over.
//! - No call is under way then: what becomes of it is known.

use std::collections::VecDeque;

use super::{Engine, SinkEnd};
use crate::{
    delivery::{Intake, Sink, control::Controlled, item::Item, outbox::Outbox},
    event::Arrival,
    http::Transport,
    plugin::Plugin,
};

/// How a sink that may be told to hand over came to its end.
#[derive(Debug)]
pub enum Left {
    /// By itself.
    Ended(SinkEnd),
    /// Another incarnation goes on with this.
    HandedOver(Rest),
}

/// What one incarnation of a sink leaves to the next.
#[derive(Debug)]
pub struct Rest {
    /// What it took in and did not settle, in the order in which it came.
    pub arrivals: VecDeque<Arrival>,
    /// How many of the first of them it has counted as read.
    pub counted: usize,
    /// Its queue: whoever sends events does not notice.
    pub intake: Intake,
    /// By what it was told what to do: whoever tells it something does not notice either. None if nobody has told it yet.
    pub control: Option<Controlled>,
}

impl Rest {
    /// Nothing but a queue.
    pub fn of(intake: Intake) -> Self {
        Self {
            arrivals: VecDeque::new(),
            counted: 0,
            intake,
            control: None,
        }
    }
}

/// As [`run`], but goes on with what the incarnation before has left, and may be told to hand over.
///
/// # Cancel safety
/// As [`run`].
///
/// [`run`]: super::run
pub async fn run_on<P: Plugin, T: Transport>(sink: Sink<P, T>, rest: Rest) -> Left {
    let mut engine = Engine::new(sink);
    engine.waiting = rest.arrivals;
    engine.counted = rest.counted;
    Box::pin(engine.run(rest.intake)).await
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Whether it was told to leave, and nothing is in the way of that.
    pub(super) fn has_left(&self) -> bool {
        if !self.control.leaves() {
            return false;
        }
        let results_written = self.results.as_ref().is_none_or(Outbox::is_empty);
        let letters_written = self.letters.is_empty() || self.control.is_cut_off();
        if self.waiting.is_empty() && self.records == 0 && results_written && letters_written {
            return true;
        }
        self.control.hands_over()
            && self.attempts.is_empty()
            && self.shaping.is_empty()
            && (self.control.is_cut_off() || (results_written && self.letters.is_empty()))
    }

    /// What is not settled; results that wait for those of earlier events are made once more, in their order.
    pub(super) fn hand_over(self, intake: Intake) -> Rest {
        let stats = &self.sink.stats;
        for gauge in [
            &stats.in_flight,
            &stats.delayed,
            &stats.plugin_failing,
            &stats.paused,
            &stats.draining,
        ] {
            gauge.set(0);
        }
        let records = self.records;
        let mut held: Vec<(u64, Arrival)> = Vec::with_capacity(records);
        let mut keep = |item: Item| held.push((item.seq, item.arrival));
        self.delayed.into_items().for_each(&mut keep);
        self.reshape.into_iter().flatten().for_each(&mut keep);
        let calls = self.ready.into_calls();
        calls.flat_map(|call| call.items).for_each(&mut keep);
        let ordered = self.reorder.into_iter();
        let results = self.results.into_iter().flat_map(Outbox::into_ended);
        let ended = ordered.flat_map(super::Reorder::into_held);
        let ended = ended.chain(results).chain(self.letters.into_ended());
        ended
            .flat_map(|ended| [ended.delivered, ended.dropped, ended.dead])
            .flatten()
            .for_each(&mut keep);
        let pending = self.batcher.into_pending().into_iter();
        held.extend(pending.map(|pending| (pending.seq, pending.arrival)));
        held.sort_unstable_by_key(|(seq, _)| *seq);
        debug_assert_eq!(held.len(), records, "all that is not settled");
        let held = held.into_iter().map(|(_, arrival)| arrival);
        let arrivals: VecDeque<Arrival> = held.chain(self.waiting).collect();
        // It is the sink's still, whoever asks for its numbers.
        stats.buffered.set(arrivals.len());
        let bytes = arrivals.iter().map(|arrival| arrival.event.memory()).sum();
        stats.buffered_bytes.set(bytes);
        Rest {
            arrivals,
            // Those that came from the incarnation before, and were not admitted, too.
            counted: records + self.counted,
            intake,
            control: Some(self.control.hand_over()),
        }
    }
}
