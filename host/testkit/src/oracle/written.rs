//! What a sink lets out into files: dead letters and results, line by line.

use serde_json::Value;

use super::{
    Oracle, Records, Violation,
    ledger::{Fate, State},
    records::excerpt,
};

/// Causes that need no refusal: the host has tried for long enough.
const GIVEN_UP: [&str; 2] = ["attempts-exhausted", "timed-out"];

impl Oracle {
    /// Lines of the dead-letter file that were written in this incarnation. The first may be what a kill has left of
    /// the last line of the one before: it was closed, and stays.
    pub fn letters(&self, incarnation: u16, lines: &str) {
        for line in lines.lines() {
            let found = self.letter(line);
            let mut state = self.lock();
            let is_first = std::mem::take(&mut state.first_letter);
            let may_be_torn = self.rewrites || (is_first && is_torn(incarnation, line));
            if may_be_torn && matches!(found, Err(Violation::Foreign(_))) {
                state.counts.torn += 1;
                continue;
            }
            state.counts.letters += 1;
            match found {
                Err(violation) => state.report(violation),
                Ok((number, cause)) => {
                    let knows_refusals = state.knows_refusals;
                    let fate = &mut state.fates[number as usize];
                    let is_refused = fate.refused_in == incarnation || !knows_refusals;
                    let had_end = fate.has_end(self.wants_results);
                    let twice = fate.lettered_in == incarnation && !self.rewrites;
                    let both = fate.accepted_in == incarnation && !fate.maybe_timed_out;
                    fate.lettered_in = incarnation;
                    fate.letters = fate.letters.saturating_add(1);
                    state.counts.ended += u64::from(!had_end);
                    if twice {
                        state.report(Violation::TwoLetters(number));
                    }
                    if !is_refused && !GIVEN_UP.contains(&&*cause) {
                        state.report(Violation::NotRefused(number, cause));
                    }
                    if both {
                        state.report(Violation::DeliveredAndLettered(number));
                    }
                }
            }
        }
        self.announce(&self.lock());
    }

    /// The record of a letter, and its cause.
    fn letter(&self, line: &str) -> Result<(u64, String), Violation> {
        let issued = self.lock().fates.len() as u64;
        let letter: Value =
            serde_json::from_str(line).map_err(|_| Violation::Foreign(excerpt(line.as_bytes())))?;
        let data = letter["event"]["data"].as_str().unwrap_or_default();
        let number = Records::number(data.as_bytes())
            .ok_or_else(|| Violation::Foreign(excerpt(line.as_bytes())))?;
        if self.records.checked(number, issued)? != data {
            return Err(Violation::Altered(number, excerpt(data.as_bytes())));
        }
        let cause = letter["cause"].as_str().unwrap_or_default();
        Ok((number, cause.to_owned()))
    }

    /// Lines of the results file: envelopes whose body is the record's number. The first may be torn, as above.
    pub fn results(&self, lines: &str) {
        for line in lines.lines() {
            let number = result_of(line);
            let mut state = self.lock();
            let is_first = std::mem::take(&mut state.first_result);
            let may_be_torn = self.rewrites || (is_first && is_torn(state.incarnation, line));
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
                _ if number.is_none() && may_be_torn => counts.torn += 1,
                _ => state.report(Violation::Foreign(excerpt(line.as_bytes()))),
            }
        }
        self.announce(&self.lock());
    }

    /// These lines, which were read before, are gone: from the files of dead letters, and of results.
    pub fn take_back(&self, letters: &str, results: &str) {
        let letters = letters.lines().filter_map(|line| self.letter(line).ok());
        for (number, _) in letters.collect::<Vec<_>>() {
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
}

/// Whether a line is the start of one that a kill has cut off.
fn is_torn(incarnation: u16, line: &str) -> bool {
    incarnation > 1 && serde_json::from_str::<Value>(line).is_err()
}

/// The record that a result is of, if the oracle's own answer stands in it.
fn result_of(line: &str) -> Option<u64> {
    let envelope: Value = serde_json::from_str(line).ok()?;
    envelope["body"].as_str()?.parse().ok()
}
