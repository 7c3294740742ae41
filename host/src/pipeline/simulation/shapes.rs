//! What a plugin makes of a batch: usually calls, sometimes nonsense. And whether the batch was one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    attempts::{CallState, CallTruth},
    plan::Manner,
    truth::{State, Why},
    world::World,
};
use crate::{
    batch::BatchBy,
    delivery::settings::{OnPluginError, Order},
    event::Event,
    plugin::{Method, PluginError, Shaped, ShapedBody, ShapedRequest},
};

/// A failure of `shape`, as the world plans it.
enum Failure {
    NoInstance,
    Trapped,
    Refused,
    TimedOut,
    /// The answer breaks the contract.
    Nonsense,
}

impl World {
    /// A batch comes to the plugin: gives the numbers of its records, and how long the plugin takes.
    pub(super) fn shape_begins(
        &mut self,
        sink: usize,
        events: &[Arc<Event>],
    ) -> (Vec<usize>, Duration) {
        let numbers: Vec<usize> = events
            .iter()
            .filter_map(|event| self.genuine(event))
            .collect();
        self.note(format_args!("sink {sink}: shape {numbers:?}"));
        self.hold_against_limits(sink, &numbers);
        for &number in &numbers {
            self.may_be_shaped(sink, number);
        }
        let slow = self.plan.sinks[sink].plugin_ms;
        (numbers, Duration::from_millis(self.rng.u64(0..=slow)))
    }

    /// The number of a record, if it is one that was issued, byte for byte.
    fn genuine(&mut self, event: &Event) -> Option<usize> {
        let Some(number) = self.number(&event.id) else {
            self.fail("INVENTED", format!("the plugin was given `{}`", event.id));
            return None;
        };
        if self.plan.issued[number].event != *event {
            self.fail(
                "ALTERED",
                format!("the plugin was given another event {number}"),
            );
        }
        Some(number)
    }

    fn hold_against_limits(&mut self, sink: usize, numbers: &[usize]) {
        let settings = &self.plan.sinks[sink].settings.batch;
        let bytes: usize = numbers
            .iter()
            .map(|number| self.plan.data(*number).len())
            .sum();
        let keys: BTreeSet<_> = numbers
            .iter()
            .map(|number| &self.plan.issued[*number].event.key)
            .collect();
        let broken = if numbers.is_empty() {
            Some("has no events")
        } else if numbers.len() > settings.max_records {
            Some("has more than `batch.max-records` events")
        } else if bytes > settings.max_bytes {
            Some("has more than `batch.max-bytes` bytes")
        } else if settings.by == BatchBy::Key && keys.len() > 1 {
            Some("has two keys")
        } else {
            None
        };
        if let Some(broken) = broken {
            self.fail("BOUND", format!("a batch of sink {sink} {broken}"));
        }
    }

    fn may_be_shaped(&mut self, sink: usize, number: usize) {
        let settings = self.plan.sinks[sink].settings.clone();
        let Some(fate) = self.fate(sink, number) else {
            return self.fail(
                "INVENTED",
                format!("event {number} never came to sink {sink}"),
            );
        };
        let (state, busy, spent, call) =
            (fate.state, fate.busy, fate.is_spent(&settings), fate.call);
        fate.busy = true;
        if busy || !matches!(state, State::Open(_)) {
            self.fail(
                "TWO ENDS",
                format!("event {number} is shaped, but it is {state:?} (busy: {busy})"),
            );
        }
        if spent {
            self.fail(
                "RETRY",
                format!("event {number} is shaped again, and has no attempts left"),
            );
        }
        if state == State::Open(Why::CallAgain) {
            // Only a call of which some events are given up on is shaped anew.
            let mates = call
                .map(|call| self.calls[call].events.clone())
                .unwrap_or_default();
            let mut given_up = false;
            for mate in mates {
                given_up |= self
                    .fate(sink, mate)
                    .is_some_and(|fate| !fate.is_open() || fate.may_give_up(&settings));
            }
            if !given_up {
                self.fail(
                    "RETRY",
                    format!("event {number} is shaped anew, and not sent again as it was"),
                );
            }
        }
    }

    /// The plugin's answer, and what it means.
    pub(super) fn shape_ends(
        &mut self,
        sink: usize,
        numbers: &[usize],
    ) -> Result<Shaped, PluginError> {
        for &number in numbers {
            if let Some(fate) = self.fate(sink, number) {
                fate.busy = false;
            }
        }
        let failure = self.shape_failure(sink, numbers);
        let (cause, answer) = match failure {
            None => return Ok(self.honest(sink, numbers)),
            Some(Failure::NoInstance) => {
                self.seen.count("plugin: no instance");
                self.note(format_args!("sink {sink}: no instance"));
                return Err(PluginError::Instance("none".to_owned()));
            }
            Some(Failure::Trapped) => (
                "plugin-failed",
                Err(PluginError::Trapped("planned".to_owned())),
            ),
            Some(Failure::Refused) => (
                "plugin-failed",
                Err(PluginError::Refused("planned".to_owned())),
            ),
            Some(Failure::TimedOut) => (
                "plugin-failed",
                Err(PluginError::TimedOut(Duration::from_secs(1))),
            ),
            Some(Failure::Nonsense) => ("contract-violation", Ok(self.nonsense(sink, numbers))),
        };
        self.note(format_args!("sink {sink}: {cause} on {numbers:?}"));
        self.seen.count(if cause == "plugin-failed" {
            "plugin: trap"
        } else {
            "plugin: contract violation"
        });
        if let [alone] = numbers {
            let end = match self.plan.sinks[sink].settings.on_plugin_error {
                OnPluginError::DeadLetter => Some(State::Doomed(cause)),
                OnPluginError::Drop => Some(State::Dropped),
                OnPluginError::Halt => None,
            };
            match (end, self.fate(sink, *alone)) {
                (Some(end), Some(fate)) => fate.state = end,
                _ => self.sinks[sink].may_halt = true,
            }
        }
        answer
    }

    fn shape_failure(&mut self, sink: usize, numbers: &[usize]) -> Option<Failure> {
        if self.calm() {
            return None;
        }
        let now = tokio::time::Instant::now();
        if now < self.sinks[sink].no_instance_until {
            return Some(Failure::NoInstance);
        }
        if self.fault(20) {
            let pause = Duration::from_millis(self.rng.u64(0..4_000));
            self.sinks[sink].no_instance_until = now + pause;
            return Some(Failure::NoInstance);
        }
        let cursed = self.plan.sinks[sink].cursed;
        let by_curse = numbers
            .iter()
            .map(|number| (*number as u64 * 7919 + sink as u64 * 104_729) % 1000)
            .find(|draw| *draw < cursed);
        match by_curse.map(|draw| draw % 4) {
            Some(0) => Some(Failure::Trapped),
            Some(1) => Some(Failure::Refused),
            Some(2) => Some(Failure::TimedOut),
            Some(_) => Some(Failure::Nonsense),
            None if self.fault(50) => Some(Failure::Nonsense),
            None if self.fault(30) => Some(Failure::Trapped),
            None => None,
        }
    }

    /// An answer that keeps the contract: its calls are known from here on.
    fn honest(&mut self, sink: usize, numbers: &[usize]) -> Shaped {
        let mut shaped = Shaped::default();
        let mut rest = Vec::new();
        for (index, &number) in (0_u32..).zip(numbers) {
            let dropped = self.fault(40);
            let rejected = self.fault(40);
            if dropped {
                self.seen.count("end: dropped by shape");
                shaped.drop.push(index);
            } else if rejected {
                self.seen.count("end: rejected by shape");
                shaped.reject.push((index, "planned".to_owned()));
            } else {
                rest.push(index);
                continue;
            }
            if let Some(fate) = self.fate(sink, number) {
                fate.state = if dropped {
                    State::Dropped
                } else {
                    State::Doomed("rejected-by-shape")
                };
            }
        }
        for indices in self.cut(sink, rest) {
            let request = self.call(sink, numbers, indices);
            shaped.requests.push(request);
        }
        shaped
    }

    /// Cuts a batch into the calls of the plugin's manner.
    fn cut(&mut self, sink: usize, mut rest: Vec<u32>) -> Vec<Vec<u32>> {
        let size = match self.plan.sinks[sink].manner {
            Manner::Whole => rest.len(),
            Manner::Single => 1,
            Manner::Runs(size) => size,
            Manner::Shuffled => {
                self.rng.shuffle(&mut rest);
                self.rng.usize(1..=rest.len().max(1))
            }
        };
        rest.chunks(size.max(1)).map(<[u32]>::to_vec).collect()
    }

    fn call(&mut self, sink: usize, numbers: &[usize], indices: Vec<u32>) -> ShapedRequest {
        let events: Vec<usize> = indices
            .iter()
            .map(|index| numbers[*index as usize])
            .collect();
        let parts: Vec<Bytes> = events
            .iter()
            .map(|number| self.plan.data(*number).clone())
            .collect();
        let (prefix, separator, suffix) =
            [("", ",", ""), ("[", ",", "]"), ("", "", "\n")][self.rng.usize(0..3)];
        let expected = [
            prefix.as_bytes(),
            &parts.join(separator.as_bytes()),
            suffix.as_bytes(),
        ]
        .concat();
        let body = match self.rng.u8(0..5) {
            0 => ShapedBody::Empty,
            1 => ShapedBody::Bytes(expected.clone().into()),
            _ => ShapedBody::Joined {
                prefix: Bytes::from_static(prefix.as_bytes()),
                separator: Bytes::from_static(separator.as_bytes()),
                suffix: Bytes::from_static(suffix.as_bytes()),
            },
        };
        let names: Vec<String> = events.iter().map(ToString::to_string).collect();
        let number = self.calls.len();
        self.calls.push(CallTruth {
            sink,
            events,
            body: (body != ShapedBody::Empty).then(|| expected.into()),
            sent: None,
            state: CallState::Ready,
            began: None,
            before: None,
            outcome: None,
        });
        ShapedRequest {
            method: [Method::Post, Method::Put, Method::Get][self.rng.usize(0..3)],
            target: format!("?call={number}"),
            headers: vec![
                ("x-call".to_owned(), number.to_string()),
                ("x-events".to_owned(), names.join(",")),
            ],
            body,
            events: indices,
        }
    }

    /// An answer that breaks the contract: none of it may be used.
    fn nonsense(&mut self, sink: usize, numbers: &[usize]) -> Shaped {
        let last = numbers.len() as u32 - 1;
        let order = self.plan.sinks[sink].settings.order;
        let all: Vec<u32> = (0..=last).collect();
        let mut shaped = Shaped::default();
        let request = |events: Vec<u32>| ShapedRequest {
            method: Method::Post,
            target: String::new(),
            headers: vec![("x-call".to_owned(), "nonsense".to_owned())],
            body: ShapedBody::Empty,
            events,
        };
        match self.rng.u8(0..7) {
            0 => shaped.drop = (0..last).collect(),
            1 => shaped.drop = (0..=last).chain([self.rng.u32(0..=last)]).collect(),
            2 => shaped.drop = (0..=last + 1).collect(),
            3 => shaped.requests = vec![request(all), request(Vec::new())],
            4 => {
                let mut framing = request(all);
                framing
                    .headers
                    .push(("content-length".to_owned(), "1".to_owned()));
                shaped.requests = vec![framing];
            }
            5 if order == Order::Strict && last > 0 => {
                shaped.requests = vec![request(all.into_iter().rev().collect())];
            }
            5 => shaped.reject = vec![(last, "twice".to_owned()); 2],
            _ => {
                let mut astray = request(all);
                astray.target = "http://elsewhere.test/".to_owned();
                shaped.requests = vec![astray];
            }
        }
        shaped
    }
}
