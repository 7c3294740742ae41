//! What the egresses are given: every dead letter and result, held against what may be written.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use super::{
    truth::{Letter, State, Why},
    world::World,
};
use crate::{
    delivery::settings::{OnGivenUp, ResultsOrder},
    event::Record,
};

/// A result that a plugin gave.
#[derive(Debug)]
pub(super) struct ResultTruth {
    sink: usize,
    /// Where the first event of its call stands in the order of arrival.
    first: usize,
    data: Bytes,
    /// It must not be written.
    void: bool,
    sent: bool,
}

impl ResultTruth {
    pub(super) fn new(sink: usize, first: usize, data: Bytes, void: bool) -> Self {
        Self {
            sink,
            first,
            data,
            void,
            sent: false,
        }
    }
}

/// An egress, as the world sees it.
#[derive(Debug, Default)]
pub(super) struct EgressTruth {
    /// Writes that will still fail.
    pub(super) failures: u32,
    /// What was not written, and must come again.
    pub(super) again: Option<Vec<Record>>,
}

impl World {
    /// Records come to an egress.
    pub(super) fn write_begins(&mut self, egress: usize, records: &[Record]) {
        self.note(format_args!("egress {egress}: {} records", records.len()));
        if let Some(again) = self.egresses[egress].again.take() {
            self.seen.count("egress: write again");
            if again != records {
                let what = format!(
                    "egress {egress} failed on {} records, and is given others",
                    again.len()
                );
                self.fail("LOST", what);
            }
            return;
        }
        for record in records {
            match self.result_of(&record.data) {
                Some(number) => {
                    self.may_be_written(number, record);
                    self.result_leaves(number);
                }
                None => self.letter_begins(record),
            }
        }
    }

    /// These are durable.
    pub(super) fn durable(&mut self, records: &[Record]) {
        for record in records {
            if let Some(number) = self.result_of(&record.data) {
                self.result_durable(number);
                continue;
            }
            let Some(letter) = self.open_letter(record) else {
                continue;
            };
            match letter.event.as_str().rsplit_once("/result-") {
                Some(_) => {
                    if let Some(number) = self.result_of(&letter.data) {
                        self.result_durable(number);
                    }
                }
                None => {
                    let number = self.number(&letter.event);
                    if let Some(fate) = number.and_then(|number| self.fate(letter.sink, number)) {
                        fate.letter = Letter::Durable;
                    }
                }
            }
        }
    }

    fn result_of(&self, data: &[u8]) -> Option<usize> {
        let text = std::str::from_utf8(data).ok()?;
        let number = text
            .strip_prefix('r')?
            .split_once('|')?
            .0
            .parse::<usize>()
            .ok()?;
        (number < self.results.len()).then_some(number)
    }

    fn result_durable(&mut self, number: usize) {
        let sink = self.results[number].sink;
        self.seen.count("result: durable");
        for fate in self.sinks[sink].fates.iter_mut().flatten() {
            fate.owed.remove(&number);
        }
    }

    /// A result leaves: once, and as it was given.
    fn may_be_written(&mut self, number: usize, record: &Record) {
        let result = &mut self.results[number];
        let (sent, void) = (std::mem::replace(&mut result.sent, true), result.void);
        if result.data != record.data {
            self.fail("ALTERED", format!("result {number} is {record:?}"));
        } else if void {
            self.fail(
                "INVENTED",
                format!("result {number} is written, but nothing that its plugin said is used"),
            );
        } else if sent {
            self.fail("TWO ENDS", format!("result {number} is written twice"));
        }
    }

    /// Results that go to their egress keep the order of the ingress, where that is promised.
    fn result_leaves(&mut self, number: usize) {
        let (sink, first) = (self.results[number].sink, self.results[number].first);
        let order = self.plan.sinks[sink].settings.results_order;
        if order == ResultsOrder::Ingress {
            let arrived = self.sinks[sink].arrived.clone();
            let earlier = arrived
                .iter()
                .take(first)
                .find(|event| !self.is_over(sink, **event));
            let last = std::mem::replace(&mut self.sinks[sink].last_result, first);
            if let Some(event) = earlier {
                self.fail(
                    "ORDER",
                    format!("result {number} leaves, and event {event} has no end"),
                );
            } else if last > first {
                self.fail(
                    "ORDER",
                    format!("result {number} leaves behind that of a later event"),
                );
            }
        }
    }

    fn letter_begins(&mut self, record: &Record) {
        let Some(letter) = self.open_letter(record) else {
            return self.fail("INVENTED", format!("a letter that is none: {record:?}"));
        };
        self.seen.count_letter(&letter.cause);
        if letter.cause == "result-too-large" {
            return match self.result_of(&letter.data) {
                Some(number) => {
                    let large = record.clone();
                    self.may_be_written(
                        number,
                        &Record {
                            data: letter.data.into(),
                            ..large
                        },
                    );
                }
                None => self.fail("INVENTED", format!("a result that none gave: {letter:?}")),
            };
        }
        let Some(number) = self.number(&letter.event) else {
            return self.fail("INVENTED", format!("a letter of no event: {letter:?}"));
        };
        let issued = &self.plan.issued[number];
        let same = issued.event.data == letter.data
            && issued.event.key == letter.key
            && letter.ingress == format!("sim/in{}", issued.ingress);
        if !same {
            self.fail(
                "ALTERED",
                format!("the letter of event {number} is not it: {letter:?}"),
            );
        }
        self.may_be_dead(&letter, number);
    }

    fn may_be_dead(&mut self, letter: &Opened, number: usize) {
        let settings = self.plan.sinks[letter.sink].settings.clone();
        let too_large = self.plan.data(number).len() > settings.batch.max_bytes;
        let Some(fate) = self.fate(letter.sink, number) else {
            return self.fail(
                "INVENTED",
                format!("a letter of event {number}, which never came"),
            );
        };
        let (state, sent, busy) = (fate.state, fate.letter, fate.busy);
        let allowed = match (&*letter.cause, state) {
            (cause, State::Doomed(due)) => cause == due,
            ("too-large", State::Open(Why::New)) => too_large,
            ("attempts-exhausted", State::Open(Why::CallAgain | Why::ShapeAgain)) => {
                fate.may_be_spent(&settings)
            }
            ("timed-out", State::Open(Why::CallAgain | Why::ShapeAgain)) => {
                fate.may_be_late(&settings)
            }
            (cause, State::Open(Why::ShapeFailed(due))) => {
                settings.on_plugin_error == OnGivenUp::DeadLetter && cause == due
            }
            ("plugin-failed", State::Open(Why::HandlerFailed)) => {
                settings.on_plugin_error == OnGivenUp::DeadLetter && fate.may_give_up(&settings)
            }
            _ => false,
        };
        let counted = (letter.attempts, fate.attempts, fate.counted);
        fate.letter = Letter::Sent;
        if fate.is_open() {
            fate.state = State::Doomed("given-up");
        }
        let cause = &letter.cause;
        if sent != Letter::None || busy || matches!(state, State::Delivered | State::Dropped) {
            let what = format!(
                "a letter of event {number} ({cause}), but it is {state:?}, letter {sent:?}"
            );
            self.fail("TWO ENDS", what);
        } else if !allowed {
            let word = match &**cause {
                "attempts-exhausted" | "timed-out" => "RETRY",
                _ => "INVENTED",
            };
            self.fail(
                word,
                format!("event {number} is given up on ({cause}): {state:?}, {counted:?}"),
            );
        } else if counted.0 != counted.1 {
            self.fail(
                "ALTERED",
                format!("the letter of event {number} miscounts its attempts: {counted:?}"),
            );
        }
    }

    fn open_letter(&self, record: &Record) -> Option<Opened> {
        let letter: Value = serde_json::from_slice(&record.data).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let event = &letter["event"];
        let data = match (text(&event["data"]), text(&event["data-base64"])) {
            (Some(data), None) => data.into_bytes(),
            (None, Some(coded)) => BASE64_STANDARD.decode(coded).ok()?,
            _ => return None,
        };
        let sink = text(&letter["sink"])?
            .strip_prefix("sim/sink")?
            .parse()
            .ok()?;
        Some(Opened {
            sink,
            event: text(&event["id"])?,
            key: text(&event["key"]).map(Into::into),
            data,
            ingress: text(&letter["ingress"])?,
            cause: text(&letter["cause"])?,
            attempts: u32::try_from(letter["attempts"].as_u64()?).ok()?,
        })
    }
}

/// What a dead letter says.
#[derive(Debug)]
struct Opened {
    sink: usize,
    event: String,
    key: Option<Box<str>>,
    data: Vec<u8>,
    ingress: String,
    cause: String,
    attempts: u32,
}
