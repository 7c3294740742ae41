//! From batches to calls: `plugin.shape`, the contract, and bisection where either fails.

use std::sync::Arc;

use tokio::{task::JoinError, time::Instant};
use tracing::{debug, warn};

use super::{Delayed, Engine};
use crate::{
    delivery::{
        Endpoint, contract,
        item::{Call, Ended, Item},
        letters::{self, Cause},
        prepare::prepare,
        retry,
        settings::{OnGivenUp, Order},
    },
    event::Event,
    http::Transport,
    plugin::{Plugin, PluginError},
    trace,
};

/// What came of a `shape` call.
pub(super) struct ShapeDone {
    items: Vec<Item>,
    result: Result<Plan, ShapeFailure>,
    /// Where the batch's span stands.
    trace: Option<trace::Context>,
}

/// A batch's calls, and the events that need none; events by batch index.
struct Plan {
    calls: Vec<crate::delivery::prepare::Prepared>,
    drop: Vec<u32>,
    reject: Vec<(u32, String)>,
}

/// Why a batch has no calls.
enum ShapeFailure {
    /// The batch, or an event in it, is at fault.
    Batch { cause: Cause },
    /// No instance: the plugin is at fault, whatever the batch.
    NoInstance(String),
}

impl<P: Plugin, T: Transport> Engine<P, T> {
    /// Whether a new batch may be shaped: a slot is free, and not too many calls wait already.
    pub(super) fn may_shape_new(&self) -> bool {
        let settings = &self.sink.settings;
        let alone = settings.order != Order::Strict || self.open == 0;
        alone
            && self.reshape.is_empty()
            && self.shaping.len() < self.sink.shape_slots
            && self.ready.len() < settings.in_flight.max_calls
            && !self.control.is_paused()
    }

    pub(super) fn start_shaping(&mut self, now: Instant) {
        while self.shaping.len() < self.sink.shape_slots && !self.control.is_paused() {
            let Some(items) = self.reshape.pop_front() else {
                break;
            };
            self.shape(items);
        }
        while self.may_shape_new() {
            let Some(batch) = self.batcher.pop(now, self.due()) else {
                return;
            };
            let items: Vec<Item> = batch.into_iter().map(Item::from).collect();
            self.open += items.len();
            self.ready.begin(&items);
            match too_large(&items, self.sink.settings.batch.max_bytes) {
                Some(cause) => self.dead_letter(items, &cause, None),
                None => self.shape(items),
            }
        }
    }

    fn shape(&mut self, items: Vec<Item>) {
        self.sink.stats.batches.add(1);
        let sink = Arc::clone(&self.sink);
        self.shaping.spawn(async move {
            let events: Vec<Arc<Event>> = items
                .iter()
                .map(|item| Arc::clone(&item.arrival.event))
                .collect();
            let span = sink.tracer.batch(&events);
            let result = plan(&sink.plugin, &sink.endpoint, sink.settings.order, &events).await;
            let trace = span.ended(result.as_ref().map(|plan| plan.calls.len()).map_err(
                |failure| match failure {
                    ShapeFailure::Batch { cause } => cause.message.as_str(),
                    ShapeFailure::NoInstance(reason) => reason.as_str(),
                },
            ));
            ShapeDone {
                items,
                result,
                trace,
            }
        });
    }

    pub(super) fn shaped(&mut self, done: Result<ShapeDone, JoinError>) {
        let ShapeDone {
            items,
            result,
            trace,
        } = match done {
            Ok(done) => done,
            Err(error) => return self.task_failed(&error),
        };
        match result {
            Ok(plan) => self.take_plan(items, plan, trace.as_ref()),
            Err(ShapeFailure::NoInstance(reason)) => {
                self.sink.stats.plugin_failures.add(1);
                warn!(sink = %self.sink.id, %reason, "the plugin has no instance; trying again");
                let pause = self
                    .sink
                    .settings
                    .retry
                    .max_delay
                    .min(std::time::Duration::from_secs(1));
                self.delay(Instant::now() + pause, Delayed::Shape(items));
            }
            Err(ShapeFailure::Batch { cause }) => {
                self.sink.stats.plugin_failures.add(1);
                debug!(sink = %self.sink.id, events = items.len(), cause = %cause.message, "a batch could not be shaped");
                self.bisect(items, cause);
            }
        }
    }

    fn take_plan(&mut self, items: Vec<Item>, plan: Plan, batch: Option<&trace::Context>) {
        let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
        let mut take = |index: u32| slots.get_mut(index as usize).and_then(Option::take);
        for prepared in plan.calls {
            let items: Vec<Item> = prepared
                .shaped
                .events
                .iter()
                .copied()
                .filter_map(&mut take)
                .collect();
            self.bytes += prepared.memory;
            let trace = self.sink.tracer.call(batch, &prepared.request, items.len());
            self.ready.insert(Call {
                items,
                shaped: prepared.shaped,
                request: prepared.request,
                before: None,
                memory: prepared.memory,
                trace,
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
    fn bisect(&mut self, items: Vec<Item>, cause: Cause) {
        if items.len() > 1 {
            return self.reshape_halves(items);
        }
        match self.sink.settings.on_plugin_error {
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
        self.delay(
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

/// Shapes events without sending anything; says what would be sent.
///
/// # Errors
/// Why the events cannot be shaped, in words.
pub async fn dry_run(
    plugin: &impl Plugin,
    endpoint: &Endpoint,
    events: &[Arc<Event>],
) -> Result<String, String> {
    match plan(plugin, endpoint, Order::None, events).await {
        Err(ShapeFailure::Batch { cause }) => Err(cause.message),
        Err(ShapeFailure::NoInstance(reason)) => Err(reason),
        Ok(plan) => match (plan.calls.len(), plan.reject.first()) {
            (_, Some((_, reason))) => Err(format!("rejected: {reason}")),
            (0, None) => Ok("no call: it is dropped".to_owned()),
            (1, None) => Ok("1 call".to_owned()),
            (calls, None) => Ok(format!("{calls} calls")),
        },
    }
}

async fn plan(
    plugin: &impl Plugin,
    endpoint: &Endpoint,
    order: Order,
    events: &[Arc<Event>],
) -> Result<Plan, ShapeFailure> {
    let shaped = plugin.shape(events).await.map_err(|error| match error {
        PluginError::Instance(reason) => ShapeFailure::NoInstance(reason),
        error => ShapeFailure::Batch {
            cause: letters::plugin_failed(&error),
        },
    })?;
    contract::check(&shaped, events, order).map_err(|violation| ShapeFailure::Batch {
        cause: letters::violation(&violation),
    })?;
    let (drop, reject) = (shaped.drop, shaped.reject);
    let calls =
        prepare(endpoint, shaped.headers, shaped.requests, events).map_err(|violation| {
            ShapeFailure::Batch {
                cause: letters::violation(&violation),
            }
        })?;
    Ok(Plan {
        calls,
        drop,
        reject,
    })
}
