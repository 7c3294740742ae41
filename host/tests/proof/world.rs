//! What the endpoints of a proof do: they tell the oracle what came, then answer as their mood is.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU16, Ordering},
};

use nozzle_testkit::{
    Framing, Oracle,
    fault_endpoint::{At, Fault, Greeting, Meaning, Script, Step, Wire, WireRequest, answer, ok},
};
use serde_json::json;

use crate::module::PluginCase;

/// How an endpoint answers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mood {
    /// Every call succeeds.
    #[default]
    Calm,
    /// Most calls succeed, after a while; some fail in one way or another, and some records are refused for good.
    Noisy,
    /// Each call fails in a way of its own the first time, in turn.
    Faults(Arc<[Fault]>),
    /// Nothing is answered: every connection is reset.
    Down,
}

/// One endpoint: the sink of one plugin calls it.
#[derive(Debug)]
pub(crate) struct World {
    case: &'static PluginCase,
    oracle: Arc<Oracle>,
    /// The incarnation that calls, where a request does not say it.
    incarnation: AtomicU16,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    random: fastrand::Rng,
    /// The faults that come next, by place in the table.
    next: usize,
    /// How often each fault happened.
    happened: Vec<u64>,
}

impl World {
    pub(crate) fn new(case: &'static PluginCase, oracle: Arc<Oracle>, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self {
            case,
            oracle,
            incarnation: AtomicU16::new(0),
            state: Mutex::new(State {
                mood: Mood::Calm,
                random,
                next: 0,
                happened: Vec::new(),
            }),
        }
    }

    pub(crate) fn begin(&self, incarnation: u16) {
        self.incarnation.store(incarnation, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, mood: Mood) {
        let mut state = self.lock();
        if let Mood::Faults(faults) = &mood {
            state.happened.resize(faults.len(), 0);
            // What is answered before a body was read refuses records that nobody knows.
            self.oracle.is_not_told_of_refusals();
        }
        state.mood = mood;
    }

    /// How often each fault of the table happened.
    pub(crate) fn happened(&self) -> Vec<u64> {
        self.lock().happened.clone()
    }

    /// `/3/…`: the module of each incarnation has URLs of its own, so that a call that arrives late is not taken for
    /// one of the next incarnation.
    fn incarnation_of(&self, request: &WireRequest) -> u16 {
        let said = request
            .target
            .split('/')
            .nth(1)
            .and_then(|part| part.parse().ok());
        said.unwrap_or_else(|| self.incarnation.load(Ordering::SeqCst))
    }

    /// Every record of the call is delivered.
    fn success(&self, incarnation: u16, numbers: &[u64]) -> Vec<Step> {
        self.oracle.accepted(incarnation, numbers.iter().copied());
        match self.case.framing {
            Framing::Array => ok(b"{}"),
            Framing::Single => ok(numbers
                .first()
                .map(u64::to_string)
                .unwrap_or_default()
                .as_bytes()),
            Framing::Bulk => ok(&items(numbers.iter().map(|_| 200))),
        }
    }

    /// A share of the records of a bulk call fails.
    fn partly(&self, incarnation: u16, numbers: &[u64], random: &mut fastrand::Rng) -> Vec<Step> {
        let statuses: Vec<u16> = numbers
            .iter()
            .map(|_| match random.u8(..100) {
                0..6 => 429,
                6..8 => 400,
                _ => 201,
            })
            .collect();
        let delivered = numbers
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status == 201);
        self.oracle
            .accepted(incarnation, delivered.map(|(number, _)| *number));
        let refused = numbers
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status == 400);
        self.oracle
            .refused(incarnation, refused.map(|(number, _)| *number));
        ok(&items(statuses.into_iter()))
    }

    fn noisy(&self, incarnation: u16, numbers: &[u64], state: &mut State) -> Vec<Step> {
        let random = &mut state.random;
        let roll = random.u16(..1_000);
        let steps = match roll {
            0..30 => answer(503, &[]),
            30..40 => answer(429, &[("retry-after", "0")]),
            40..60 => answer(500, &[]),
            60..80 => vec![Step::Reset],
            80..95 => vec![Step::Close],
            95..105 => vec![
                Step::Write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"it".into()),
                Step::Reset,
            ],
            105..112 => {
                self.oracle.refused(incarnation, numbers.iter().copied());
                answer(400, &[])
            }
            112..116 => {
                // More than one are sent again, in halves.
                if let [only] = numbers {
                    self.oracle.refused(incarnation, [*only]);
                }
                answer(413, &[])
            }
            _ if self.case.framing == Framing::Bulk && roll < 250 => {
                self.partly(incarnation, numbers, random)
            }
            _ => self.success(incarnation, numbers),
        };
        let latency = std::time::Duration::from_micros(random.u64(..3_000));
        [vec![Step::Wait(latency)], steps].concat()
    }

    fn fault(
        &self,
        incarnation: u16,
        numbers: &[u64],
        faults: &[Fault],
        state: &mut State,
        request: &WireRequest,
    ) -> Vec<Step> {
        // A connection that speaks HTTP/1.1 after all has none of HTTP/2's faults.
        let has_frames = request.target.is_empty();
        let at_calls = |fault: &Fault| match fault.at {
            _ if has_frames != (fault.wire == Wire::Http2) => false,
            At::Call(_) => true,
            At::KeptCall(_) => request.place > 0,
            _ => false,
        };
        match state.due(faults, at_calls) {
            // Whose items these are is for the oracle to say.
            Some(fault) if fault.row == "H12" && self.case.framing == Framing::Bulk => {
                self.partly(incarnation, numbers, &mut state.random)
            }
            Some(Fault {
                at: At::Call(steps) | At::KeptCall(steps),
                meaning,
                ..
            }) => {
                self.meant(incarnation, numbers, meaning);
                steps()
            }
            // Connections come to an end, so that there are new ones.
            _ if state.random.u8(..4) == 0 => {
                [self.success(incarnation, numbers), vec![Step::Close]].concat()
            }
            _ => self.success(incarnation, numbers),
        }
    }

    /// What the sender must take a fault for.
    fn meant(&self, incarnation: u16, numbers: &[u64], meaning: Meaning) {
        // A bulk answer without items is none; a shaper's sink goes by the status alone.
        let delivers =
            matches!(meaning, Meaning::Status(200..=299)) && self.case.framing != Framing::Bulk;
        if delivers {
            self.oracle
                .accepted_otherwise(incarnation, numbers.iter().copied());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next fault in turn that can happen here, and has not yet.
    fn due(&mut self, faults: &[Fault], can: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut places = (self.next..faults.len()).chain(0..self.next);
        let is_due = |place: &usize| self.happened[*place] == 0 && can(&faults[*place]);
        let place = places.find(is_due)?;
        self.next = (place + 1) % faults.len();
        self.happened[place] += 1;
        Some(faults[place])
    }
}

/// The endpoint's hold on its world.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) Arc<World>);

impl Script for Shared {
    fn keeps_requests(&self) -> bool {
        false
    }

    fn greet(&self, _: u64) -> Greeting {
        let mut state = self.0.lock();
        match state.mood.clone() {
            Mood::Down => Greeting::Reset,
            // Not every connection, so that calls come through.
            Mood::Faults(faults) if state.random.bool() => {
                match state.due(&faults, |fault| matches!(fault.at, At::Connection(_))) {
                    Some(Fault {
                        at: At::Connection(greeting),
                        ..
                    }) => greeting(),
                    _ => Greeting::Serve,
                }
            }
            _ => Greeting::Serve,
        }
    }

    fn early(&self, _: &WireRequest) -> Option<Vec<Step>> {
        let mut state = self.0.lock();
        let Mood::Faults(faults) = state.mood.clone() else {
            return None;
        };
        if state.random.u8(..4) > 0 {
            return None;
        }
        match state
            .due(&faults, |fault| matches!(fault.at, At::Early(_)))?
            .at
        {
            At::Early(steps) => Some(steps()),
            _ => None,
        }
    }

    fn reply(&self, request: &WireRequest) -> Vec<Step> {
        let incarnation = self.0.incarnation_of(request);
        let Some((numbers, is_new)) = self.0.oracle.sent(incarnation, &request.body) else {
            return vec![Step::Close];
        };
        let mut state = self.0.lock();
        match state.mood.clone() {
            Mood::Noisy => self.0.noisy(incarnation, &numbers, &mut state),
            Mood::Faults(faults) if is_new => {
                self.0
                    .fault(incarnation, &numbers, &faults, &mut state, request)
            }
            Mood::Calm | Mood::Faults(_) => self.0.success(incarnation, &numbers),
            Mood::Down => vec![Step::Reset],
        }
    }
}

fn items(statuses: impl Iterator<Item = u16>) -> Vec<u8> {
    let items: Vec<_> = statuses
        .map(|status| json!({ "index": { "status": status } }))
        .collect();
    json!({ "items": items }).to_string().into_bytes()
}
