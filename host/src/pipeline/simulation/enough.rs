//! What the runs have seen: a simulation that never retried proves nothing about retries.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::{delivery::settings::Backoff, outcome::Outcome};

/// How often each kind of fault, setting and end was met.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen(BTreeMap<String, u64>);

/// What must have been met, and how often, for each 500 seeds.
const ENOUGH: &[(&str, u64)] = &[
    ("egress: failure", 300),
    ("egress: write again", 300),
    ("end: dropped by shape", 100),
    ("end: rejected by shape", 100),
    ("failure: TLS handshake failed: broken", 80),
    ("failure: could not connect: refused", 700),
    (
        "failure: no complete response within the attempt's timeout",
        400,
    ),
    ("failure: protocol error: broken", 300),
    ("handler: each", 400),
    ("handler: reject", 70),
    ("handler: retry", 50),
    ("handler: trap", 100),
    ("handler: wrong number of verdicts", 60),
    ("incarnation: crash", 60),
    ("incarnation: drained", 20),
    ("incarnation: end of the sources", 100),
    ("incarnation: halt", 60),
    ("incarnation: last progress not stored", 2),
    ("incarnation: out of patience", 9),
    ("letter: attempts-exhausted", 200),
    ("letter: contract-violation", 80),
    ("letter: plugin-failed", 100),
    ("letter: rejected-by-shape", 100),
    ("letter: rejected-by-verdict", 200),
    ("letter: result-too-large", 200),
    ("letter: status", 500),
    ("letter: timed-out", 10),
    ("letter: too-large", 1000),
    ("outage: begun", 40),
    ("attempt: not counted", 1000),
    ("outage: over", 30),
    ("outage: probe", 900),
    ("plugin: contract violation", 200),
    ("plugin: no instance", 1000),
    ("plugin: trap", 400),
    ("result: durable", 3000),
    ("retry: same call", 2000),
    ("source: failure", 4),
    ("source: held", 500),
    ("source: long pause", 20),
    ("told to: Drain", 300),
    ("told to: Pause", 300),
    ("told to: Run", 600),
    ("status: 200", 10000),
    ("status: 202", 100),
    ("status: 204", 200),
    ("status: 301", 40),
    ("status: 400", 40),
    ("status: 401", 40),
    ("status: 404", 100),
    ("status: 408", 80),
    ("status: 409", 40),
    ("status: 413", 100),
    ("status: 422", 40),
    ("status: 429", 200),
    ("status: 500", 80),
    ("status: 502", 100),
    ("status: 503", 300),
    ("status: 504", 100),
    ("store: failure", 60),
    ("store: saved", 1000),
    ("store: taken over", 1),
    ("verdict: delivered", 10000),
    ("verdict: each", 400),
    ("verdict: halt", 1),
    ("verdict: handler failed", 100),
    ("verdict: reject", 500),
    ("verdict: retry", 2000),
    ("verdict: split", 30),
    ("order: None", 10),
    ("order: Key", 10),
    ("order: Strict", 10),
    ("results order: Arrival", 10),
    ("results order: Ingress", 10),
    ("on outage: Hold", 10),
    ("on outage: DeadLetter", 10),
    ("on plugin error: DeadLetter", 10),
    ("on plugin error: Drop", 10),
    ("on plugin error: Halt", 10),
    ("batch by: Any", 10),
    ("batch by: Key", 10),
    ("backoff: fixed", 10),
    ("backoff: exponential", 10),
    ("attempts: counted", 10),
    ("attempts: without end", 10),
    ("endpoint: full, and shared", 100),
    ("endpoint: named", 1000),
    ("ingress: to no sink", 10),
    ("ingress: to several sinks", 10),
];

impl Seen {
    pub(super) fn count(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    /// What a run is told.
    pub(super) fn settings(&mut self, plan: &Plan) {
        for sink in &plan.sinks {
            let of = &sink.settings;
            self.count(&format!("order: {:?}", of.order));
            self.count(&format!("results order: {:?}", of.results_order));
            self.count(&format!("on outage: {:?}", of.on_outage));
            self.count(&format!("on plugin error: {:?}", of.on_plugin_error));
            self.count(&format!("batch by: {:?}", of.batch.by));
            self.count(match of.retry.backoff {
                Backoff::Fixed { .. } => "backoff: fixed",
                Backoff::Exponential { .. } => "backoff: exponential",
            });
            self.count(match of.retry.max_attempts {
                Some(_) => "attempts: counted",
                None => "attempts: without end",
            });
        }
        for ingress in &plan.ingresses {
            match ingress.to.len() {
                0 => self.count("ingress: to no sink"),
                1 => {}
                _ => self.count("ingress: to several sinks"),
            }
        }
    }

    pub(super) fn count_letter(&mut self, cause: &str) {
        self.count(&format!("letter: {cause}"));
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(response) => self.count(&format!("status: {}", response.status)),
            Err(failure) => self.count(&format!("failure: {failure}")),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What was not met often enough in so many seeds.
    pub(super) fn missing(&self, seeds: u64) -> Vec<String> {
        let met = |what: &str| self.0.get(what).copied().unwrap_or(0);
        ENOUGH
            .iter()
            .filter(|(what, least)| met(what) < least * seeds / 500)
            .map(|(what, least)| format!("{what}: {} of {least}", met(what)))
            .collect()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:9} {what}")?;
        }
        Ok(())
    }
}
