//! What the oracle knows of each record at one sink.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    Framing, Promise, Records, Report, Violation,
    judge::{Counts, MAX_SHOWN},
    order::OrderCheck,
};

/// The truth about one sink: every record that was issued has an end there, or is lost.
#[derive(Debug)]
pub struct Oracle {
    name: String,
    pub(super) records: Records,
    framing: Framing,
    /// What is sent again so long after its success may have timed out meanwhile, in milliseconds.
    in_doubt_ms: u32,
    /// Each delivery has a result, which must be written too.
    pub(super) wants_results: bool,
    /// Files are written over again behind a failure, and lines may be torn.
    pub(super) rewrites: bool,
    started: Instant,
    state: Mutex<State>,
    ended: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) incarnation: u16,
    /// The next line of dead letters, or of results, is the first that is read in this incarnation.
    pub(super) first_letter: bool,
    pub(super) first_result: bool,
    /// Whether every refusal is told: then letters that name one are held against them.
    pub(super) knows_refusals: bool,
    pub(super) fates: Vec<Fate>,
    order: OrderCheck,
    pub(super) counts: Counts,
    violations: Vec<Violation>,
    more_violations: u64,
}

/// What became of a record. Incarnations count from 1; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    /// When a success was answered last, and to which incarnation.
    accepted_ms: u32,
    pub(super) accepted_in: u16,
    pub(super) lettered_in: u16,
    /// The last incarnation that was told that it will never be taken.
    pub(super) refused_in: u16,
    sent_in: u16,
    pub(super) letters: u8,
    pub(super) results: u8,
    /// It was sent again, within the incarnation that had its success, after so long that it may have timed out.
    pub(super) maybe_timed_out: bool,
}

impl Fate {
    pub(super) fn has_end(&self, wants_results: bool) -> bool {
        self.letters > 0 || (self.accepted_in > 0 && (self.results > 0 || !wants_results))
    }
}

impl Oracle {
    /// An oracle for the sink `name`, whose plugin makes bodies in `framing`, and whose attempts take up to `timeout`:
    /// nothing is sent again within an eighth of it after its success, however slow the machine. With 0, nothing is
    /// said of what is sent again.
    pub fn new(
        name: &str,
        records: Records,
        framing: Framing,
        order: Promise,
        timeout: Duration,
    ) -> Self {
        Self {
            name: name.to_owned(),
            records,
            framing,
            in_doubt_ms: u32::try_from(timeout.as_millis() / 8).unwrap_or(u32::MAX),
            wants_results: false,
            rewrites: false,
            started: Instant::now(),
            state: Mutex::new(State {
                incarnation: 0,
                first_letter: true,
                first_result: true,
                knows_refusals: true,
                fates: Vec::new(),
                order: OrderCheck::new(order),
                counts: Counts::default(),
                violations: Vec::new(),
                more_violations: 0,
            }),
            ended: watch::Sender::new(0),
        }
    }

    /// Each delivery has a result that must come too.
    #[must_use]
    pub fn with_results(self) -> Self {
        Self {
            wants_results: true,
            ..self
        }
    }

    /// Writes fail in the middle: letters and results may come twice, and lines may be torn.
    #[must_use]
    pub fn with_rewrites(self) -> Self {
        Self {
            rewrites: true,
            ..self
        }
    }

    /// The sink.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The records up to `count` exist from now on.
    pub fn issue(&self, count: u64) {
        let count = usize::try_from(count).expect("records fit into memory");
        self.lock().fates.resize_with(count, Fate::default);
    }

    /// A new incarnation of the host begins; gives its number.
    pub fn begin(&self) -> u16 {
        let mut state = self.lock();
        state.incarnation += 1;
        (state.first_letter, state.first_result) = (true, true);
        let incarnation = state.incarnation;
        state.order.begin(incarnation);
        incarnation
    }

    /// The module changes under the host that runs: sinks may hand over what they hold.
    pub fn reloads(&self) {
        self.lock().order.handed_over();
    }

    /// A call has arrived whole: its records, and whether any of them is new to this incarnation. None where the body
    /// is not what it should be.
    pub fn sent(&self, incarnation: u16, body: &[u8]) -> Option<(Vec<u64>, bool)> {
        let issued = self.lock().fates.len() as u64;
        let read = self.records.read(self.framing, body, issued);
        let now = self.now();
        let mut state = self.lock();
        state.counts.calls += 1;
        let numbers = match read {
            Ok(numbers) => numbers,
            Err(violation) => {
                state.report(violation);
                return None;
            }
        };
        if let Some((late, before)) = state
            .order
            .sent(incarnation, &numbers, |number| self.records.key(number))
        {
            state.report(Violation::Order(late, before));
        }
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            state.report(Violation::TwiceInACall(twice[0]));
        }
        let mut is_new = false;
        for number in &numbers {
            let fate = &mut state.fates[*number as usize];
            let (sent_in, lettered_in) = (fate.sent_in, fate.lettered_in);
            let ended = fate.accepted_in == incarnation;
            let in_doubt = now.saturating_sub(fate.accepted_ms) >= self.in_doubt_ms;
            fate.maybe_timed_out |= ended && in_doubt;
            fate.sent_in = incarnation;
            is_new |= sent_in != incarnation;
            if sent_in == incarnation {
                state.counts.sent_again += 1;
            } else if sent_in > 0 {
                state.counts.after_a_restart += 1;
            } else {
                state.counts.sent_once += 1;
            }
            if (ended && !in_doubt) || lettered_in == incarnation {
                state.report(Violation::SentAfterItsEnd(*number));
            }
        }
        Some((numbers, is_new))
    }

    /// A whole success goes out for these records.
    pub fn accepted(&self, incarnation: u16, numbers: impl IntoIterator<Item = u64>) {
        let now = self.now();
        let mut state = self.lock();
        for number in numbers {
            let fate = &mut state.fates[number as usize];
            let had_end = fate.has_end(self.wants_results);
            let was_accepted = fate.accepted_in > 0;
            fate.accepted_in = incarnation;
            fate.accepted_ms = now;
            let has_end = fate.has_end(self.wants_results);
            state.counts.delivered += u64::from(!was_accepted);
            state.counts.duplicates += u64::from(was_accepted);
            state.counts.ended += u64::from(has_end && !had_end);
        }
        self.announce(&state);
    }

    /// The same, with a body that is no result of ours.
    pub fn accepted_otherwise(
        &self,
        incarnation: u16,
        numbers: impl IntoIterator<Item = u64> + Clone,
    ) {
        let mut state = self.lock();
        for number in numbers.clone() {
            let fate = &mut state.fates[number as usize];
            let had_end = fate.has_end(self.wants_results);
            fate.results = fate.results.saturating_add(1);
            let has_end = fate.has_end(self.wants_results);
            state.counts.ended += u64::from(has_end && !had_end);
            state.counts.other_results += u64::from(self.wants_results);
        }
        drop(state);
        self.accepted(incarnation, numbers);
    }

    /// A whole answer goes out that refuses these records for good.
    pub fn refused(&self, incarnation: u16, numbers: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        for number in numbers {
            let fate = &mut state.fates[number as usize];
            fate.refused_in = fate.refused_in.max(incarnation);
        }
    }

    /// From now on records are refused of which the oracle is not told.
    pub fn is_not_told_of_refusals(&self) {
        self.lock().knows_refusals = false;
    }

    /// A violation that another part has seen.
    pub fn violated(&self, violation: Violation) {
        self.lock().report(violation);
    }

    /// Calls that arrived whole.
    pub fn calls(&self) -> u64 {
        self.lock().counts.calls
    }

    /// Records that were sent, however often.
    pub fn sent_once(&self) -> u64 {
        self.lock().counts.sent_once
    }

    /// Times that a record was sent again after a restart.
    pub fn after_a_restart(&self) -> u64 {
        self.lock().counts.after_a_restart
    }

    /// Records with an end.
    pub fn ended(&self) -> u64 {
        self.lock().counts.ended
    }

    /// Waits until a record has got an end, for `limit` at most.
    pub async fn changed(&self, limit: Duration) {
        let mut ended = self.ended.subscribe();
        // The caller looks for itself what has changed, if anything.
        drop(tokio::time::timeout(limit, ended.changed()).await);
    }

    /// Says what was seen, and what is wrong with it: at the end, when everything was read in.
    pub fn judge(&self) -> Report {
        let state = self.lock();
        let lost: Vec<u64> = (0..)
            .zip(&state.fates)
            .filter(|(_, fate)| !fate.has_end(self.wants_results))
            .map(|(number, _)| number)
            .collect();
        let mut violations = state.violations.clone();
        violations.extend(
            lost.iter()
                .take(MAX_SHOWN)
                .map(|number| Violation::Lost(*number)),
        );
        Report {
            sink: self.name.clone(),
            seed: self.records.seed(),
            issued: state.fates.len() as u64,
            lost: lost.len() as u64,
            incarnations: state.incarnation,
            counts: state.counts.clone(),
            violations,
            more_violations: state.more_violations,
        }
    }

    pub(super) fn announce(&self, state: &State) {
        self.ended.send_replace(state.counts.ended);
    }

    fn now(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn report(&mut self, violation: Violation) {
        if self.violations.len() < MAX_SHOWN {
            self.violations.push(violation);
        } else {
            self.more_violations += 1;
        }
    }
}

#[cfg(test)]
mod tests;
