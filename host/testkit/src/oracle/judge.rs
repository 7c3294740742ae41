//! The judgement: what was seen, and every rule that was broken.

use std::fmt::{self, Display};

/// Violations that a report names; the others are counted.
pub(super) const MAX_SHOWN: usize = 20;

/// A rule that was broken. Records are named by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It was issued, and has no end.
    Lost(u64),
    /// It was never issued.
    Invented(u64),
    /// It was sent or dead-lettered with other bytes: how they begin.
    Altered(u64, String),
    /// Bytes that are no record of this sink: how they begin.
    Foreign(String),
    /// It was sent again by the incarnation in which it had ended.
    SentAfterItsEnd(u64),
    /// One call has it twice.
    TwiceInACall(u64),
    /// It was dead-lettered though the endpoint never refused it: the cause that the letter names.
    NotRefused(u64, String),
    /// It was dead-lettered twice by one incarnation.
    TwoLetters(u64),
    /// It was delivered and dead-lettered by one incarnation.
    DeliveredAndLettered(u64),
    /// It was sent behind a later one of its lane.
    Order(u64, u64),
    /// Nothing more happened, although the faults were over.
    Stuck(String),
    /// The host ended in a way in which it never should.
    Ended(String),
    /// The run proves nothing, as too little of this was seen.
    TooLittle(&'static str, u64, u64),
}

impl Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(number) => write!(out, "LOST: record {number} has no end"),
            Self::Invented(number) => write!(out, "INVENTED: record {number} was never issued"),
            Self::Altered(number, bytes) => write!(out, "ALTERED: record {number} reads {bytes}"),
            Self::Foreign(bytes) => write!(out, "INVENTED: no record of the sink: {bytes}"),
            Self::SentAfterItsEnd(number) => {
                write!(out, "TWO ENDS: record {number} was sent after its end")
            }
            Self::TwiceInACall(number) => {
                write!(out, "TWO ENDS: record {number} stands twice in a call")
            }
            Self::NotRefused(number, cause) => {
                write!(
                    out,
                    "GIVEN UP: record {number} was dead-lettered as `{cause}`, and was never refused"
                )
            }
            Self::TwoLetters(number) => {
                write!(out, "TWO ENDS: record {number} has two dead letters")
            }
            Self::DeliveredAndLettered(number) => {
                write!(
                    out,
                    "TWO ENDS: record {number} was delivered and dead-lettered"
                )
            }
            Self::Order(late, before) => {
                write!(out, "ORDER: record {late} was sent behind record {before}")
            }
            Self::Stuck(what) => write!(out, "STUCK: {what}"),
            Self::Ended(how) => write!(out, "ENDED: {how}"),
            Self::TooLittle(what, seen, wanted) => {
                write!(
                    out,
                    "TOO LITTLE: {seen} {what} were seen, and {wanted} are wanted"
                )
            }
        }
    }
}

/// What an oracle has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that arrived whole.
    pub calls: u64,
    /// Records that were sent at all.
    pub sent_once: u64,
    /// Records with a success, and successes beyond the first.
    pub delivered: u64,
    /// Successes of records that had one.
    pub duplicates: u64,
    /// Times that a record was sent again by the same incarnation.
    pub sent_again: u64,
    /// Times that a record was sent again after a restart.
    pub after_a_restart: u64,
    /// Dead letters.
    pub letters: u64,
    /// Results.
    pub results: u64,
    /// Results of an answer that was not the oracle's own; among `results`.
    pub other_results: u64,
    /// Lines that a failed write has torn.
    pub torn: u64,
    /// Records that have an end.
    pub ended: u64,
}

/// What must have been seen for a run to prove anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Enough {
    /// Records sent again by the incarnation that had sent them.
    pub sent_again: u64,
    /// Records sent again after a restart.
    pub after_a_restart: u64,
    /// Dead letters.
    pub letters: u64,
}

impl Enough {
    /// What too little was seen of, in all sinks together.
    pub fn missing(&self, reports: &[Report]) -> Vec<Violation> {
        let sum = |of: fn(&Counts) -> u64| reports.iter().map(|report| of(&report.counts)).sum();
        [
            (
                "records sent again",
                sum(|counts| counts.sent_again),
                self.sent_again,
            ),
            (
                "records sent again after a restart",
                sum(|counts| counts.after_a_restart),
                self.after_a_restart,
            ),
            ("dead letters", sum(|counts| counts.letters), self.letters),
        ]
        .into_iter()
        .filter(|(_, seen, wanted)| seen < wanted)
        .map(|(what, seen, wanted)| Violation::TooLittle(what, seen, wanted))
        .collect()
    }
}

/// What an oracle says in the end.
#[derive(Debug, Clone)]
pub struct Report {
    /// The sink.
    pub sink: String,
    /// The seed of the records.
    pub seed: u64,
    /// Records.
    pub issued: u64,
    /// Records without an end.
    pub lost: u64,
    /// Starts of the host.
    pub incarnations: u16,
    /// What was counted.
    pub counts: Counts,
    /// The first broken rules.
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub more_violations: u64,
}

impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            calls,
            sent_once: _,
            delivered,
            duplicates,
            sent_again,
            after_a_restart,
            letters,
            results,
            other_results: _,
            torn: _,
            ended: _,
        } = &self.counts;
        write!(
            out,
            "{}: {} issued, {delivered} delivered, {letters} dead letters, {results} results, {} lost; {calls} calls, {sent_again} records \
             sent again, {after_a_restart} after a restart, {duplicates} delivered twice; {} incarnations, seed {}",
            self.sink, self.issued, self.lost, self.incarnations, self.seed
        )?;
        for violation in &self.violations {
            write!(out, "\n  {violation}")?;
        }
        if self.more_violations > 0 {
            write!(out, "\n  and {} more", self.more_violations)?;
        }
        Ok(())
    }
}
