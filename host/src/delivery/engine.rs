//! The engine of one sink: a loop that owns every event between intake and end.
//!
//! `plugin.shape` and the attempts run in tasks of their own that the loop owns; all state is
//! here, and changes only between two awaits. So what is written about order, limits and ends
//! can be read in one place, and runs in tests under a paused clock.

mod attempt;
mod delays;
mod dispatch;
mod ends;
mod exhausted;
mod failing;
mod leaving;
mod outcomes;
mod passages;
mod plan;
mod shaping;
#[cfg(test)]
mod tests;

pub use leaving::{Left, Rest, run_on};
pub use plan::{calls_of, dry_run, rehearse};

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tracing::{error, info, warn};

use self::{
    attempt::Attempted,
    delays::{Delayed, Delays},
    failing::Breakers,
    passages::Passage,
    shaping::ShapeDone,
};
use super::{
    Sink,
    control::{Controlled, Mode},
    item::Item,
    order::{Ready, Reorder},
    outbox::{Outbox, Written},
    queue::Intake,
    settings::{Order, ResultsOrder},
};
use crate::{
    batch::{Batcher, Due, KeyUse, Pending},
    egress::EgressClosed,
    event::Arrival,
    http::Transport,
    plugin::Plugin,
};

/// How a sink ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkEnd {
    /// Every event that came has its end.
    Done,
    /// It stopped with events unsettled: why.
    Halted(String),
    /// It was paused when the host ended; what it held is unsettled.
    Paused,
}

pub(super) struct Engine<P, T> {
    sink: Arc<Sink<P, T>>,
    next_seq: u64,
    /// What was received and does not fit yet.
    waiting: VecDeque<Arrival>,
    /// So many of the first of them were counted as read by the incarnation before.
    counted: usize,
    batcher: Batcher,
    /// Batches to shape ahead of new ones: halves, and events whose turn to be shaped again has come.
    reshape: VecDeque<Vec<Item>>,
    shaping: JoinSet<ShapeDone>,
    breakers: Breakers,
    ready: Ready,
    delayed: Delays,
    attempts: JoinSet<Attempted>,
    /// By the place of the endpoint.
    passages: Vec<Passage>,
    results: Option<Outbox>,
    letters: Outbox,
    reorder: Option<Reorder>,
    /// Events admitted and not settled, and those of them that have left the batcher and have no end.
    records: usize,
    open: usize,
    bytes: usize,
    intake_open: bool,
    control: Controlled,
    halted: Option<String>,
}

/// Runs a sink until `intake` is closed and every event has its end, or until it halts.
///
/// # Cancel safety
/// Dropping the future stops all calls; what has no end stays unsettled, and comes again from
/// stored progress.
pub async fn run<P: Plugin, T: Transport>(sink: Sink<P, T>, intake: Intake) -> SinkEnd {
    match run_on(sink, Rest::of(intake)).await {
        Left::Ended(end) => end,
        // Whoever tells it to hand over takes what there is.
        Left::HandedOver(_) => SinkEnd::Paused,
    }
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    fn new(mut sink: Sink<P, T>) -> Self {
        sink.stats.name_endpoints(sink.endpoints.labels());
        let control = std::mem::take(&mut sink.control).begin();
        let settings = &sink.settings;
        let keys = if settings.order == Order::Key {
            KeyUse::Exclusive
        } else {
            KeyUse::Shared
        };
        let results = sink.results.clone();
        Self {
            next_seq: 0,
            waiting: VecDeque::new(),
            counted: 0,
            batcher: Batcher::new(settings.batch.clone(), keys),
            reshape: VecDeque::new(),
            shaping: JoinSet::new(),
            breakers: Breakers::default(),
            ready: Ready::new(settings.order, sink.ways.len()),
            delayed: Delays::default(),
            attempts: JoinSet::new(),
            passages: sink
                .ways
                .iter()
                .map(|way| Passage::new(way.gate.enter(settings.on_outage)))
                .collect(),
            results: results
                .map(|egress| Outbox::new(egress, |ended| std::mem::take(&mut ended.results))),
            letters: Outbox::new(sink.dead_letters.clone(), |ended| {
                std::mem::take(&mut ended.letters)
            }),
            reorder: (settings.results_order == ResultsOrder::Ingress).then(Reorder::default),
            records: 0,
            open: 0,
            bytes: 0,
            intake_open: true,
            control,
            halted: None,
            sink: Arc::new(sink),
        }
    }

    async fn run(mut self, mut intake: Intake) -> Left {
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        loop {
            let now = Instant::now();
            if let Some(mode) = self.control.look(now) {
                self.tell_mode(mode);
            }
            self.look_at_gates();
            self.wake_delayed(now);
            self.admit(now);
            self.start_shaping(now);
            self.dispatch(now);
            self.flush();
            self.report();
            self.control.heed();
            if let Some(reason) = self.halted.take() {
                self.sink.stats.halted.set(1);
                error!(sink = %self.sink.id, %reason, "the sink has halted");
                return Left::Ended(SinkEnd::Halted(reason));
            }
            if self.is_done() {
                return Left::Ended(SinkEnd::Done);
            }
            if self.has_left() {
                return Left::HandedOver(self.hand_over(intake));
            }
            if self.ends_paused() {
                info!(sink = %self.sink.id, events = self.records, "the sink ends paused: its events stay unsettled");
                return Left::Ended(SinkEnd::Paused);
            }
            let wake = self.next_wake(now);
            if let Some(wake) = wake
                && timer.deadline() != wake
            {
                timer.as_mut().reset(wake);
            }
            // Finishing comes before starting, so that a full host empties before it fills.
            tokio::select! {
                biased;
                Some(done) = self.attempts.join_next() => {
                    self.attempted(done);
                    while let Some(done) = self.attempts.try_join_next() {
                        self.attempted(done);
                    }
                }
                Some(done) = self.shaping.join_next() => self.shaped(done),
                Some(written) = written(self.results.as_mut()) => self.results_written(written),
                Some(written) = self.letters.written() => self.letters_written(written),
                chunk = intake.take(), if self.wants_more() => match chunk {
                    Some(chunk) => self.waiting.extend(chunk),
                    None => self.intake_open = false,
                },
                () = self.control.changed() => {}
                () = passages::changed(&mut self.passages), if self.passages.iter().any(Passage::listens) => {}
                () = self.sink.plugin.replaced(self.breakers.generation), if self.breakers.are_open() => self.plugin_replaced(),
                () = &mut timer, if wake.is_some() => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        let buffer = &self.sink.settings.buffer;
        let responses = usize::try_from(self.sink.stats.response_bytes.get()).unwrap_or(usize::MAX);
        self.records < buffer.max_records && self.bytes.saturating_add(responses) < buffer.max_bytes
    }

    fn wants_more(&self) -> bool {
        // Over: what is still in the queue is taken, as its end lies behind it.
        self.intake_open
            && !self.control.is_draining()
            && (self.control.is_over() || (self.waiting.is_empty() && self.has_room()))
    }

    /// Moves what was received into the batcher, as far as the buffer has room.
    fn admit(&mut self, now: Instant) {
        while !self.waiting.is_empty() && self.has_room() {
            let Some(arrival) = self.waiting.pop_front() else {
                return;
            };
            let pending = Pending {
                arrival,
                seq: self.next_seq,
                arrived: now,
            };
            self.next_seq += 1;
            self.records += 1;
            self.bytes += pending.arrival.event.memory();
            match self.counted.checked_sub(1) {
                Some(rest) => self.counted = rest,
                None => self.sink.stats.read.add(1),
            }
            self.batcher.push(pending);
        }
    }

    /// Brings back what has waited long enough.
    fn wake_delayed(&mut self, now: Instant) {
        while let Some(delayed) = self.delayed.pop(now) {
            self.bring_back(delayed);
        }
    }

    fn bring_back(&mut self, delayed: Delayed) {
        match delayed {
            Delayed::Call(call) => self.ready.insert(*call),
            Delayed::Shape(items) => self.reshape.push_back(items),
        }
    }

    /// Whether a batch may be cut before it is full: nothing more will come, or nothing more can.
    fn due(&self) -> Due {
        let is_last = !self.intake_open || self.control.is_draining();
        if (is_last && self.waiting.is_empty()) || !self.has_room() {
            Due::Now
        } else {
            Due::WhenFull
        }
    }

    /// When the loop must look again even if nothing happens.
    fn next_wake(&self, now: Instant) -> Option<Instant> {
        let batch = match self.breakers.shape.next_try() {
            Some(next) if next > now => Some(next),
            Some(_) if !self.shaping.is_empty() || !self.may_take_batch() => None,
            None if !self.may_shape_new() => None,
            // A plugin that fails on everything may be tried, and there was nothing to try it with.
            _ => self.batcher.deadline(),
        };
        let next_handle = self.breakers.handle.next_try().filter(|next| *next > now);
        let gates = self.passages.iter().filter_map(Passage::opens).min();
        [self.delayed.next_at(), batch, next_handle, gates]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_done(&self) -> bool {
        !self.intake_open
            && self.waiting.is_empty()
            && self.records == 0
            // The letter of a result may stand there though its event has its end.
            && self.letters.is_empty()
            && self.results.as_ref().is_none_or(Outbox::is_empty)
    }

    /// Whether it is paused for good, and nothing that it has begun is under way.
    fn ends_paused(&self) -> bool {
        self.control.is_over()
            && !self.intake_open
            && self.attempts.is_empty()
            && self.shaping.is_empty()
            && self.letters.is_empty()
            && self.results.as_ref().is_none_or(Outbox::is_empty)
    }

    fn tell_mode(&self, mode: Mode) {
        let stats = &self.sink.stats;
        let is = |other: Mode| usize::from(mode == other);
        stats.paused.set(is(Mode::Pause));
        stats.draining.set(is(Mode::Drain));
        let (sink, in_flight) = (&self.sink.id, self.attempts.len());
        match mode {
            Mode::Run => info!(%sink, "the sink goes on"),
            Mode::Pause => {
                info!(%sink, in_flight, "the sink is paused: no call begins, those in flight end")
            }
            Mode::Drain => {
                info!(%sink, in_flight, "the sink drains: it delivers what it has, and takes in no more")
            }
        }
    }

    /// A task of this sink has panicked: what it held cannot be known, so nothing is settled.
    fn task_failed(&mut self, error: &JoinError) {
        warn!(sink = %self.sink.id, %error, "a task of the sink failed");
        self.halted = Some(format!("an internal task failed: {error}"));
    }

    fn report(&self) {
        let stats = &self.sink.stats;
        stats.buffered.set(self.records);
        stats.buffered_bytes.set(self.bytes);
        stats.in_flight.set(self.attempts.len());
        stats.delayed.set(self.delayed.len());
        self.tell_failing();
    }
}

/// [`Outbox::written`] where there is one.
async fn written(outbox: Option<&mut Outbox>) -> Option<Result<Written, EgressClosed>> {
    match outbox {
        Some(outbox) => outbox.written().await,
        None => None,
    }
}
