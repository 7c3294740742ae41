//! A batch comes to a plugin: whether it may, and whether the plugin fails on it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    truth::{State, Why},
    world::World,
};
use crate::{
    batch::BatchBy,
    delivery::settings::OnGivenUp,
    event::Event,
    plugin::{PluginError, Shaped},
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
            self.hold_against_passing(sink, number);
        }
        self.hold_against_a_pause(sink, "a call of the plugin");
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
            let halts = self.plan.sinks[sink].settings.on_plugin_error == OnGivenUp::Halt;
            match self.fate(sink, *alone) {
                Some(fate) if !halts => fate.state = State::Open(Why::ShapeFailed(cause)),
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
}
