//! What the oracle knows of each record at one sink.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    Framing, Promise, Records, Report, Violation,
    judge::{Counts, MAX_SHOWN},
    order::OrderCheck,
    records::excerpt,
};

/// The truth about one sink: every record that was issued has an end there, or is lost.
#[derive(Debug)]
pub struct Oracle {
    name: String,
    records: Records,
    framing: Framing,
    /// What is sent again so long after its success may have timed out meanwhile, in milliseconds.
    in_doubt_ms: u32,
    /// Each delivery has a result, which must be written too.
    wants_results: bool,
    /// Files are written over again behind a failure, and lines may be torn.
    rewrites: bool,
    started: Instant,
    state: Mutex<State>,
    ended: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    incarnation: u16,
    fates: Vec<Fate>,
    order: OrderCheck,
    counts: Counts,
    violations: Vec<Violation>,
    more_violations: u64,
}

/// What became of a record. Incarnations count from 1; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    /// When a success was answered last, and to which incarnation.
    accepted_ms: u32,
    accepted_in: u16,
    lettered_in: u16,
    sent_in: u16,
    letters: u8,
    results: u8,
    /// It was sent again, within the incarnation that had its success, after so long that it may have timed out.
    maybe_timed_out: bool,
}

impl Fate {
    fn has_end(&self, wants_results: bool) -> bool {
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
        state.incarnation
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

    /// Lines of the dead-letter file that were written in this incarnation.
    pub fn letters(&self, incarnation: u16, lines: &str) {
        for line in lines.lines() {
            let found = self.letter(line);
            let mut state = self.lock();
            if self.rewrites && matches!(found, Err(Violation::Foreign(_))) {
                state.counts.torn += 1;
                continue;
            }
            state.counts.letters += 1;
            match found {
                Err(violation) => state.report(violation),
                Ok(number) => {
                    let fate = &mut state.fates[number as usize];
                    let had_end = fate.has_end(self.wants_results);
                    let twice = fate.lettered_in == incarnation && !self.rewrites;
                    let both = fate.accepted_in == incarnation && !fate.maybe_timed_out;
                    fate.lettered_in = incarnation;
                    fate.letters = fate.letters.saturating_add(1);
                    state.counts.ended += u64::from(!had_end);
                    if twice {
                        state.report(Violation::TwoLetters(number));
                    }
                    if both {
                        state.report(Violation::DeliveredAndLettered(number));
                    }
                }
            }
        }
        self.announce(&self.lock());
    }

    fn letter(&self, line: &str) -> Result<u64, Violation> {
        let issued = self.lock().fates.len() as u64;
        let letter: Value =
            serde_json::from_str(line).map_err(|_| Violation::Foreign(excerpt(line.as_bytes())))?;
        let data = letter["event"]["data"].as_str().unwrap_or_default();
        let number = Records::number(data.as_bytes())
            .ok_or_else(|| Violation::Foreign(excerpt(line.as_bytes())))?;
        if self.records.checked(number, issued)? != data {
            return Err(Violation::Altered(number, excerpt(data.as_bytes())));
        }
        Ok(number)
    }

    /// Lines of the results file: envelopes whose body is the record's number.
    pub fn results(&self, lines: &str) {
        for line in lines.lines() {
            let number = result_of(line);
            let mut state = self.lock();
            state.counts.results += 1;
            let State { fates, counts, .. } = &mut *state;
            let fate = number.and_then(|number| fates.get_mut(number as usize));
            match fate {
                Some(fate) if fate.accepted_in > 0 => {
                    let had_end = fate.has_end(self.wants_results);
                    fate.results = fate.results.saturating_add(1);
                    counts.ended += u64::from(!had_end);
                }
                _ if number.is_none() && counts.other_results > 0 => counts.other_results -= 1,
                _ if number.is_none() && self.rewrites => counts.torn += 1,
                _ => state.report(Violation::Foreign(excerpt(line.as_bytes()))),
            }
        }
        self.announce(&self.lock());
    }

    /// These lines, which were read before, are gone: from the files of dead letters, and of results.
    pub fn take_back(&self, letters: &str, results: &str) {
        let letters = letters.lines().filter_map(|line| self.letter(line).ok());
        for number in letters.collect::<Vec<_>>() {
            self.change(number, |fate| fate.letters = fate.letters.saturating_sub(1));
        }
        for number in results.lines().filter_map(result_of) {
            self.change(number, |fate| fate.results = fate.results.saturating_sub(1));
        }
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Fate)) {
        let State { fates, counts, .. } = &mut *self.lock();
        if let Some(fate) = fates.get_mut(number as usize) {
            let had_end = fate.has_end(self.wants_results);
            change(fate);
            counts.ended -= u64::from(had_end && !fate.has_end(self.wants_results));
        }
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

    fn announce(&self, state: &State) {
        self.ended.send_replace(state.counts.ended);
    }

    fn now(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record that a result is of, if the oracle's own answer stands in it.
fn result_of(line: &str) -> Option<u64> {
    let envelope: Value = serde_json::from_str(line).ok()?;
    envelope["body"].as_str()?.parse().ok()
}

impl State {
    fn report(&mut self, violation: Violation) {
        if self.violations.len() < MAX_SHOWN {
            self.violations.push(violation);
        } else {
            self.more_violations += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Five records, and a sink without results that sends them one by one.
    fn oracle() -> Oracle {
        let records = Records::new(1, 2);
        let oracle = Oracle::new("sink", records, Framing::Single, Promise::None, MINUTE);
        oracle.issue(5);
        oracle.begin();
        oracle
    }

    fn send(oracle: &Oracle, incarnation: u16, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let text = oracle.records.text(number);
            let sent = oracle
                .sent(incarnation, text.as_bytes())
                .expect("a record of the sink");
            assert_eq!(sent.0, [number]);
        }
    }

    fn deliver(oracle: &Oracle, incarnation: u16, numbers: impl IntoIterator<Item = u64> + Clone) {
        send(oracle, incarnation, numbers.clone());
        oracle.accepted(incarnation, numbers);
    }

    fn letter(oracle: &Oracle, number: u64) -> String {
        format!(
            "{}\n",
            json!({ "event": { "data": oracle.records.text(number) } })
        )
    }

    #[test]
    fn a_record_without_an_end_is_lost() {
        let oracle = oracle();
        deliver(&oracle, 1, 0..3);
        oracle.letters(1, &letter(&oracle, 3));
        send(&oracle, 1, [4]);

        let report = oracle.judge();

        assert_eq!(
            (report.lost, &*report.violations),
            (1, &[Violation::Lost(4)][..])
        );
        assert_eq!(
            (
                report.counts.delivered,
                report.counts.letters,
                oracle.ended()
            ),
            (3, 1, 4)
        );
    }

    #[test]
    fn a_delivery_whose_result_is_missing_is_lost() {
        let oracle = oracle().with_results();
        deliver(&oracle, 1, 0..5);

        oracle.results(
            &(0..4)
                .map(|number| format!("{}\n", json!({ "body": number.to_string() })))
                .collect::<String>(),
        );

        assert_eq!(oracle.judge().violations, [Violation::Lost(4)]);
    }

    #[test]
    fn one_incarnation_ends_a_record_once_and_the_next_may_do_it_again() {
        type Faulty = fn(&Oracle);
        let table: [(Faulty, &[Violation]); 5] = [
            (
                |oracle| deliver(oracle, 1, [2]),
                &[Violation::SentAfterItsEnd(2)],
            ),
            (
                |oracle| oracle.letters(1, &letter(oracle, 2)),
                &[Violation::DeliveredAndLettered(2)],
            ),
            (
                |oracle| {
                    oracle.letters(2, &letter(oracle, 2).repeat(2));
                },
                &[Violation::TwoLetters(2)],
            ),
            (|oracle| deliver(oracle, 2, [2]), &[]),
            (|oracle| oracle.letters(2, &letter(oracle, 2)), &[]),
        ];
        for (faulty, expected) in table {
            let oracle = oracle();
            deliver(&oracle, 1, 0..5);

            faulty(&oracle);

            assert_eq!(oracle.judge().violations, expected);
        }
    }

    #[test]
    fn what_is_sent_again_long_after_its_success_may_have_timed_out() {
        let oracle = Oracle::new(
            "sink",
            Records::new(1, 2),
            Framing::Single,
            Promise::None,
            Duration::ZERO,
        );
        oracle.issue(1);
        oracle.begin();

        deliver(&oracle, 1, [0]);
        deliver(&oracle, 1, [0]);

        let report = oracle.judge();
        assert_eq!((report.violations, report.counts.duplicates), (vec![], 1));
    }

    #[test]
    fn letters_and_results_of_nobody_are_invented() {
        let oracle = oracle();
        deliver(&oracle, 1, 0..4);

        oracle.letters(1, "{\"event\":{\"data\":\"x\"}}\n");
        oracle.letters(1, &letter(&oracle, 4).replace("k-0", "k-1"));
        oracle.letters(1, &letter(&oracle, 5));
        oracle.results("{\"body\":\"4\"}\n");

        let violations = oracle.judge().violations;
        assert!(
            matches!(
                &*violations,
                [
                    Violation::Foreign(_),
                    Violation::Altered(4, _),
                    Violation::Invented(5),
                    Violation::Foreign(_),
                    Violation::Lost(4)
                ]
            ),
            "{violations:?}"
        );
    }

    #[test]
    fn an_end_that_a_power_cut_takes_is_none() {
        let oracle = oracle();
        deliver(&oracle, 1, 0..4);
        oracle.letters(1, &letter(&oracle, 4));

        oracle.take_back(&letter(&oracle, 4), "");

        assert_eq!(oracle.judge().violations, [Violation::Lost(4)]);
    }
}
