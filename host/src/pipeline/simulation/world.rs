//! The world around the engine: it knows what was issued and what became of it, and never asks the engine.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;
use tokio::{sync::Notify, time::Instant};

use super::{
    attempts::CallTruth,
    enough::Seen,
    letters::{EgressTruth, ResultTruth},
    plan::{Ending, Plan},
    truth::{EndpointTruth, Fate, SinkTruth},
};
use crate::event::Position;

/// More steps than any run needs: an engine that turns in circles has come to life's end.
const MAX_STEPS: u64 = 300_000;

/// A broken invariant.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    /// The invariant's word, in capitals.
    pub(super) word: &'static str,
    pub(super) what: String,
}

/// The truth of one run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    /// When this incarnation began, and whether faults are over from its start.
    pub(super) started: Instant,
    pub(super) fault_free: bool,
    /// How long it may take to stop.
    pub(super) grace: std::time::Duration,
    /// When it was told to stop, and whether it was told again.
    pub(super) stopped: Option<Instant>,
    pub(super) stopped_again: Option<Instant>,
    /// A sink is told to pause, or was when the host was told to stop: what it holds waits for the next incarnation.
    pub(super) pauses: bool,
    /// A source has failed, or another host has taken over: then it ends by itself.
    pub(super) source_failed: bool,
    pub(super) taken_over: bool,
    /// It has crashed, or is being taken down: what is dropped now says nothing.
    pub(super) gone: bool,
    pub(super) sinks: Vec<SinkTruth>,
    pub(super) endpoints: Vec<EndpointTruth>,
    /// How far each partition was read in this incarnation, and from where, by ingress.
    pub(super) read: Vec<Vec<ReadTruth>>,
    /// Every call that a plugin asked for in this incarnation.
    pub(super) calls: Vec<CallTruth>,
    pub(super) results: Vec<ResultTruth>,
    pub(super) egresses: Vec<EgressTruth>,
    /// What the store holds, by ingress and partition: it outlives a crash.
    pub(super) stored: BTreeMap<(usize, String), Position>,
    /// Whether what was to be stored last is stored.
    pub(super) kept: bool,
    pub(super) seen: Seen,
    pub(super) violation: Option<Violation>,
    pub(super) violated: Arc<Notify>,
    trace: Trace,
    steps: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ReadTruth {
    pub(super) from: usize,
    pub(super) next: usize,
    /// Whether its end was told.
    pub(super) ended: bool,
}

/// What happened, a line each.
#[derive(Debug, Default)]
struct Trace {
    whole: bool,
    lines: VecDeque<String>,
}

/// Kept of the trace of a run that nobody asked for.
const LAST_LINES: usize = 40;

impl World {
    pub(super) fn new(plan: Plan, rng: Rng, whole_trace: bool) -> Self {
        let mut seen = Seen::default();
        seen.settings(&plan);
        Self {
            rng,
            started: Instant::now(),
            fault_free: false,
            grace: std::time::Duration::ZERO,
            stopped: None,
            stopped_again: None,
            pauses: false,
            source_failed: false,
            taken_over: false,
            gone: false,
            sinks: Vec::new(),
            endpoints: Vec::new(),
            read: Vec::new(),
            calls: Vec::new(),
            results: Vec::new(),
            egresses: Vec::new(),
            stored: BTreeMap::new(),
            kept: true,
            seen,
            violation: None,
            violated: Arc::default(),
            trace: Trace {
                whole: whole_trace,
                lines: VecDeque::new(),
            },
            steps: 0,
            plan,
        }
    }

    /// A new incarnation begins: what the one before knew is forgotten, what the store holds is not.
    pub(super) fn begin(&mut self, ending: Option<Ending>, fault_free: bool) {
        self.grace = match ending {
            Some(Ending::Stop { grace, .. }) => grace,
            _ => self.plan.grace,
        };
        self.started = Instant::now();
        self.fault_free = fault_free;
        self.kept = true;
        (self.stopped, self.stopped_again) = (None, None);
        self.pauses = false;
        (self.source_failed, self.taken_over) = (false, false);
        self.gone = false;
        self.sinks = self
            .plan
            .sinks
            .iter()
            .map(|_| SinkTruth::new(self.plan.issued.len()))
            .collect();
        let sinks = self.plan.sinks.len();
        let endpoints = self.plan.endpoints.iter();
        self.endpoints = endpoints.map(|_| EndpointTruth::new(sinks)).collect();
        self.read = self
            .plan
            .ingresses
            .iter()
            .map(|ingress| vec![ReadTruth::default(); ingress.partitions.len()])
            .collect();
        self.calls.clear();
        self.results.clear();
        self.egresses = (0..3).map(|_| EgressTruth::default()).collect();
        self.resume();
    }

    /// Writes the plan into a trace that is kept whole, its records apart.
    pub(super) fn show_plan(&mut self) {
        if !self.trace.whole || !self.trace.lines.is_empty() {
            return;
        }
        for (number, sink) in self.plan.sinks.clone().into_iter().enumerate() {
            self.note(format_args!("sink {number}: {sink:?}"));
        }
        for (number, endpoint) in self.plan.endpoints.clone().into_iter().enumerate() {
            self.note(format_args!("endpoint {number}: {endpoint:?}"));
        }
        for (number, ingress) in self.plan.ingresses.clone().into_iter().enumerate() {
            self.note(format_args!("ingress {number}: {ingress:?}"));
        }
    }

    /// Whether faults are over.
    pub(super) fn calm(&self) -> bool {
        self.fault_free || self.started.elapsed() >= self.plan.calm_after
    }

    /// Whether a fault is due that comes `in_thousand` times at full trouble.
    pub(super) fn fault(&mut self, in_thousand: u32) -> bool {
        let dice = self.rng.u32(0..1000 * 60);
        !self.calm() && dice < in_thousand * self.plan.trouble
    }

    /// Writes a line into the trace, and counts a step.
    pub(super) fn note(&mut self, line: std::fmt::Arguments<'_>) {
        self.steps += 1;
        if self.steps == MAX_STEPS {
            self.fail(
                "LIVE",
                format!("{MAX_STEPS} steps, and there is no end to them"),
            );
        }
        if !self.trace.whole && self.trace.lines.len() == LAST_LINES {
            self.trace.lines.pop_front();
        }
        let at = self.started.elapsed().as_secs_f64();
        self.trace.lines.push_back(format!("{at:10.3} {line}"));
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.lines.iter().cloned().collect()
    }

    /// An invariant is broken: the first time counts.
    pub(super) fn fail(&mut self, word: &'static str, what: String) {
        if self.violation.is_none() && !self.gone {
            self.note(format_args!("{word}: {what}"));
            self.violation.get_or_insert(Violation { word, what });
            self.violated.notify_one();
        }
    }

    /// The number of a record by its id; none if it was never issued.
    pub(super) fn number(&self, id: &str) -> Option<usize> {
        let number = id.rsplit_once(':')?.1.parse::<usize>().ok()?;
        (&*self.plan.issued.get(number)?.event.id == id).then_some(number)
    }

    /// What has become of a record at a sink; none where it did not come to it in this incarnation.
    pub(super) fn fate(&mut self, sink: usize, event: usize) -> Option<&mut Fate> {
        self.sinks.get_mut(sink)?.fates.get_mut(event)?.as_mut()
    }
}

/// The world, as all its parts hold it.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
