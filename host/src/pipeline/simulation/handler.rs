//! A plugin that is given outcomes: what it must be given, and what it says.

use std::time::Duration;

use bytes::Bytes;

use super::{judge::Answer, world::World};
use crate::{
    event::Record,
    outcome::Outcome,
    plugin::{CurrentCall, EventVerdict, Handled, PluginError, PluginVerdict},
};

impl World {
    /// The plugin is given an outcome: gives the call, and how long the plugin takes.
    pub(super) fn handle_begins(
        &mut self,
        sink: usize,
        current: &CurrentCall,
        outcome: &Outcome,
    ) -> (Option<usize>, Duration) {
        let named = current
            .request
            .headers
            .iter()
            .find(|(name, _)| name == "x-call");
        let call = named.and_then(|(_, call)| call.parse::<usize>().ok());
        let Some(call) = call.filter(|call| *call < self.calls.len()) else {
            self.fail("INVENTED", "an outcome of no call".to_owned());
            return (None, Duration::ZERO);
        };
        let truth = &self.calls[call];
        let given = current
            .events
            .iter()
            .map(|event| self.number(&event.id))
            .collect::<Option<Vec<usize>>>();
        if truth.sink != sink || given.as_ref() != Some(&truth.events) {
            let what = format!(
                "the outcome of call {call} ({:?}) comes with {given:?}",
                truth.events
            );
            self.fail("ALTERED", what);
        } else if truth.outcome.as_ref() != Some(outcome) {
            let what = format!(
                "the outcome of call {call} was {:?}, and the plugin is told {outcome:?}",
                truth.outcome
            );
            self.fail("ALTERED", what);
        }
        let slow = self.plan.sinks[sink].plugin_ms;
        let takes = Duration::from_millis(self.rng.u64(0..=slow));
        let endpoint = self.calls[call].endpoint;
        let takes = match self.plan.is_shared(endpoint) {
            true => self.in_slot(sink, takes),
            false => takes,
        };
        (Some(call), takes)
    }

    /// The plugin's answer, and what it means.
    pub(super) fn handle_ends(
        &mut self,
        call: usize,
        outcome: &Outcome,
    ) -> Result<Handled, PluginError> {
        let events = self.calls[call].events.len();
        let answer = self.answer(outcome, events);
        let mut results = Vec::new();
        if self.rng.bool() {
            for _ in 0..self.rng.usize(0..3) {
                let size = self.rng.usize(0..60);
                results.push(Record {
                    key: self.rng.bool().then(|| "result".into()),
                    attributes: Vec::new(),
                    data: Bytes::from(format!(
                        "r{}|{}",
                        self.results.len() + results.len(),
                        "x".repeat(size)
                    )),
                });
            }
        }
        self.note(format_args!(
            "call {call}: the plugin says {answer:?} and gives {} results",
            results.len()
        ));
        let told = results.clone();
        self.conclude(call, Some((&answer, results)));
        answer.map(|verdict| Handled {
            verdict,
            results: told,
        })
    }

    fn answer(&mut self, outcome: &Outcome, events: usize) -> Answer {
        if self.calm() {
            return Ok(PluginVerdict::ByStatus);
        }
        if self.fault(60) {
            self.seen.count("handler: trap");
            return Err(PluginError::Trapped("planned".to_owned()));
        }
        let each = |world: &mut Self, len: usize, delivered: bool| {
            let one = |world: &mut Self| match world.rng.u8(0..4) {
                0 => EventVerdict::Retry,
                1 => EventVerdict::Reject("planned".to_owned()),
                _ if delivered => EventVerdict::Delivered,
                _ => EventVerdict::Retry,
            };
            (0..len).map(|_| one(world)).collect::<Vec<_>>()
        };
        Ok(match self.rng.u8(0..12) {
            0 if self.fault(500) => PluginVerdict::Delivered,
            1 if outcome.is_ok() => PluginVerdict::Delivered,
            2 => {
                self.seen.count("handler: each");
                PluginVerdict::Each(each(self, events, outcome.is_ok()))
            }
            3 if self.fault(500) => {
                self.seen.count("handler: wrong number of verdicts");
                PluginVerdict::Each(each(self, events + 1, outcome.is_ok()))
            }
            4 if self.fault(500) => {
                self.seen.count("handler: retry");
                PluginVerdict::Retry(self.rng.bool().then(|| self.rng.u64(0..3_000)))
            }
            5 if self.fault(500) => {
                self.seen.count("handler: reject");
                PluginVerdict::Reject("planned".to_owned())
            }
            _ => PluginVerdict::ByStatus,
        })
    }
}
