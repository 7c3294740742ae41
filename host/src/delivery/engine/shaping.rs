//! From batches to calls: `plugin.shape`, the contract, and bisection where either fails.

use std::sync::Arc;

use tokio::{task::JoinError, time::Instant};
use tracing::{debug, warn};

use super::{
    Engine,
    delays::Delayed,
    plan::{Plan, ShapeFailure, not_shaped, plan},
};
use crate::{
    delivery::{
        breaker::Blame,
        item::{Call, Ended, Item},
        letters::{self, Cause},
        retry,
        settings::{OnGivenUp, Order},
        tap::BatchTape,
    },
    http::Transport,
    plugin::{Compared, Events, Generation, Judge, Plugin, Shaped, Slot},
    trace,
};

/// What came of a `shape` call.
pub(super) struct ShapeDone {
    items: Vec<Item>,
    /// The version that was asked.
    by: Arc<dyn Judge>,
    result: Result<Plan, ShapeFailure>,
    /// Where the batch's span stands.
    trace: Option<trace::Context>,
    /// What is recorded of it, if somebody records.
    tape: Option<BatchTape>,
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Whether a new batch may be shaped: a slot is free, and not too many calls wait already.
    pub(super) fn may_shape_new(&self) -> bool {
        self.may_take_batch()
            && self.reshape.is_empty()
            && self.shaping.len() < self.sink.shape_slots
    }

    /// Whether the sink has room for the calls of a further batch.
    pub(super) fn may_take_batch(&self) -> bool {
        let settings = &self.sink.settings;
        let alone = settings.order != Order::Strict || self.open == 0;
        alone
            && self.ready.has_room(settings.in_flight.max_calls)
            && !self.is_full_of_requests()
            && !self.control.is_paused()
    }

    /// Whether the buffer is spent, and the requests of calls in back-off are a good part of it, and more than a single one: those
    /// of further batches would come on top.
    fn is_full_of_requests(&self) -> bool {
        let settings = &self.sink.settings;
        let most = (settings.buffer.max_bytes / 4).max(settings.batch.max_bytes);
        self.bytes >= settings.buffer.max_bytes && self.delayed.memory() > most
    }

    pub(super) fn start_shaping(&mut self, now: Instant) {
        if self.control.is_paused() {
            return;
        }
        if let Some(next) = self.breakers.shape.next_try() {
            return self.try_shape(now, next);
        }
        while self.shaping.len() < self.sink.shape_slots {
            let Some(items) = self.reshape.pop_front() else {
                break;
            };
            self.shape(items);
        }
        while self.may_shape_new() {
            let Some(items) = self.take_batch(now) else {
                return;
            };
            self.shape(items);
        }
    }

    /// The next batch that is due, and that the plugin may be given.
    pub(super) fn take_batch(&mut self, now: Instant) -> Option<Vec<Item>> {
        loop {
            let batch = self.batcher.pop(now, self.due())?;
            let items: Vec<Item> = batch.into_iter().map(Item::from).collect();
            self.open += items.len();
            self.ready.begin(&items);
            match too_large(&items, self.sink.settings.batch.max_bytes) {
                Some(cause) => self.dead_letter(items, &cause, None),
                None => return Some(items),
            }
        }
    }

    pub(super) fn shape(&mut self, items: Vec<Item>) {
        let generation = self.sink.plugin.next();
        self.shape_by(generation, items);
    }

    fn shape_by(&mut self, generation: Arc<Generation<P>>, items: Vec<Item>) {
        self.sink.stats.batches.add(1);
        let sink = Arc::clone(&self.sink);
        self.shaping.spawn(async move {
            let events: Events = items
                .iter()
                .map(|item| Arc::clone(&item.arrival.event))
                .collect();
            sink.plugin.comes(&events);
            let span = sink.tracer.batch(&events);
            let identity = || generation.plugin.identity();
            let tape = sink.tap.batch(&events, generation.number, identity);
            let answer = generation.plugin.shape(&events).await;
            if let Some(tape) = &tape {
                tape.shaped(answer.as_ref());
            }
            let result = match answer {
                Ok(shaped) => {
                    compare(&sink.plugin, &events, &shaped);
                    let plan = plan(shaped, &sink.endpoints, sink.settings.order, &events);
                    if let (Some(tape), Err(_)) = (&tape, &plan) {
                        tape.unusable();
                    }
                    plan
                }
                Err(error) => Err(not_shaped(error)),
            };
            let calls = result.as_ref().map(|plan| plan.calls.len());
            let trace = span.ended(calls.map_err(ShapeFailure::reason));
            ShapeDone {
                items,
                by: generation,
                result,
                trace,
                tape,
            }
        });
    }

    pub(super) fn shaped(&mut self, done: Result<ShapeDone, JoinError>) {
        let ShapeDone {
            items,
            by,
            result,
            trace,
            tape,
        } = match done {
            Ok(done) => done,
            Err(error) => return self.task_failed(&error),
        };
        by.tally().count(|counts| {
            counts.batches += 1;
            counts.batches_failed += u64::from(result.is_err());
        });
        if let Err(failure) = &result {
            let serving = self.sink.plugin.main();
            // What a version on trial, or one that is gone, fails on is the serving one's to shape.
            if by.number() != serving.number {
                self.sink.stats.plugin_failures.add(1);
                let generation = by.number();
                debug!(sink = %self.sink.id, generation, cause = failure.reason(), "a batch goes to the generation that serves");
                return self.shape_by(serving, items);
            }
        }
        match result {
            Ok(plan) => {
                self.shape_works();
                self.take_plan(items, plan, &by, trace.as_ref(), tape.as_ref());
            }
            Err(ShapeFailure::NoInstance(reason)) => {
                self.sink.stats.plugin_failures.add(1);
                self.no_instance(&reason);
                self.reshape.push_back(items);
            }
            Err(ShapeFailure::Batch { cause }) => {
                self.sink.stats.plugin_failures.add(1);
                debug!(sink = %self.sink.id, events = items.len(), cause = %cause.message, "a batch could not be shaped");
                self.bisect(items, cause);
            }
        }
    }

    fn take_plan(
        &mut self,
        items: Vec<Item>,
        plan: Plan,
        by: &Arc<dyn Judge>,
        batch: Option<&trace::Context>,
        tape: Option<&BatchTape>,
    ) {
        by.tally().count(|counts| {
            counts.events += items.len() as u64;
            counts.events_rejected += plan.reject.len() as u64;
        });
        let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        let mut take = |index: u32| slots.get_mut(index as usize).and_then(Option::take);
        for (place, prepared) in plan.calls.into_iter().enumerate() {
            let items: Vec<Item> = prepared
                .shaped
                .events
                .iter()
                .copied()
                .filter_map(&mut take)
                .collect();
            self.bytes += prepared.memory;
            let way = &self.sink.ways[prepared.way];
            let trace = way.tracer.call(batch, &prepared.request, items.len());
            self.ready.insert(Call {
                items,
                shaped: prepared.shaped,
                shaped_by: Arc::clone(by),
                request: prepared.request,
                way: prepared.way,
                before: None,
                memory: prepared.memory,
                trace,
                tape: tape.map(|tape| tape.call(place)),
            });
        }
        let dropped: Vec<Item> = plan.drop.into_iter().filter_map(&mut take).collect();
        if !dropped.is_empty() {
            self.end(Ended {
                dropped,
                ..Ended::default()
            });
        }
        for (index, reason) in plan.reject {
            let items = take(index).into_iter().collect();
            self.dead_letter(items, &letters::rejected(reason), None);
        }
    }

    /// Shapes the halves on their own, until the event at fault stands alone.
    fn bisect(&mut self, mut items: Vec<Item>, cause: Cause) {
        let on_plugin_error = self.sink.settings.on_plugin_error;
        let halts = on_plugin_error == OnGivenUp::Halt && items.len() == 1;
        if !halts && self.blame_for_shape(&mut items, &cause.message) == Blame::Plugin {
            return self.reshape.push_back(items);
        }
        if items.len() > 1 {
            return self.reshape_halves(items);
        }
        match on_plugin_error {
            OnGivenUp::DeadLetter => {
                warn!(sink = %self.sink.id, cause = %cause.message, "the plugin fails on an event");
                self.dead_letter(items, &cause, None);
            }
            OnGivenUp::Drop => self.end(Ended {
                dropped: items,
                ..Ended::default()
            }),
            OnGivenUp::Halt => {
                let id = items.first().map_or("", |item| &*item.arrival.event.id);
                self.halted = Some(format!(
                    "the plugin fails on event `{id}`: {}",
                    cause.message
                ));
            }
        }
    }

    /// Shapes the halves next, ahead of everything that is newer.
    pub(super) fn reshape_halves(&mut self, items: Vec<Item>) {
        let [first, second] = halves(items);
        self.reshape.push_front(second);
        self.reshape.push_front(first);
    }

    /// Shapes these events again, after a pause for the attempts they had.
    pub(super) fn shape_later(&mut self, items: Vec<Item>, wish: Option<std::time::Duration>) {
        let tries = items.iter().map(|item| item.attempts).max().unwrap_or(1);
        let retry = &self.sink.settings.retry;
        let pause = retry::pause(retry, tries, fastrand::f64()).max(wish.unwrap_or_default());
        self.delayed.push(
            Instant::now() + pause.min(retry.max_delay),
            Delayed::Shape(items),
        );
    }
}

/// A batch over the limit has a single event: nothing can be cut off it.
fn too_large(items: &[Item], limit: usize) -> Option<Cause> {
    let size: usize = items.iter().map(|item| item.arrival.event.data.len()).sum();
    (size > limit).then(|| letters::too_large(size, limit))
}

/// The two halves of what is to be shaped again, the first one not smaller.
pub(super) fn halves(mut items: Vec<Item>) -> [Vec<Item>; 2] {
    let second = items.split_off(items.len().div_ceil(2));
    [items, second]
}

/// Gives a copy to the version that is compared, if there is one and it has time.
fn compare<P: Plugin>(slot: &Slot<P>, events: &Events, shaped: &Shaped) {
    if let Some(queue) = slot.shadow()
        && let Ok(place) = queue.try_reserve()
    {
        place.send(Compared {
            events: Arc::clone(events),
            shaped: shaped.clone(),
        });
    }
}
