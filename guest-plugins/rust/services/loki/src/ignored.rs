//! Which entries of a call an answer names:
//!
//! ```text
//! entry with timestamp 2024-05-06 15:58:50 +0000 UTC ignored, reason: 'entry too far behind, …',
//! user 'fake', total ignored: 1 out of 2 for stream: {app="web", host="here"}
//! ```

use nozzle_plugin::{EventVerdict, Verdict};
use plugin_kit::{cut, verdict};
use template_text::time::rfc3339;

use crate::Labels;

/// How Loki names an entry.
const NAMED: &str = "entry with timestamp ";

/// What an entry of a call is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub labels: Labels,
    pub nanoseconds: u64,
}

/// The verdict of a 400, if it says what became of the entries of a stream.
pub fn judge(text: &str, entries: &[Entry]) -> Option<Verdict> {
    let (named, rest) = text.split_once("total ignored: ")?;
    let (counts, stream) = rest.split_once(" for stream: ")?;
    let (ignored, of) = counts.split_once(" out of ")?;
    let (ignored, of): (usize, usize) = (ignored.parse().ok()?, of.parse().ok()?);
    let in_stream = |entry: &&Entry| {
        // Loki adds labels of its own.
        let is_in =
            |(name, value): (&String, &String)| stream.contains(&format!("{name}={value:?}"));
        entry.labels.iter().all(is_in)
    };
    let labels = &entries.iter().find(in_stream)?.labels;
    // A set of labels that is part of another one cannot be told from it.
    let mut streams = entries.iter().filter(in_stream);
    let is_known = streams.all(|entry| entry.labels == *labels);
    let count = entries
        .iter()
        .filter(|entry| entry.labels == *labels)
        .count();
    if !is_known || count != of {
        return None;
    }
    let reasons: Vec<Option<&str>> = entries
        .iter()
        .map(|entry| match entry.labels == *labels {
            true => reason(named, entry.nanoseconds),
            false => None,
        })
        .collect();
    let found = reasons.iter().flatten().count();
    // Entries of one time are told by one name: the one that it stands for, and another one that is stored.
    let is_named = named.matches(NAMED).count() == ignored && found == ignored;
    if found == 0 {
        return None;
    }
    let each = entries
        .iter()
        .zip(reasons)
        .map(|(entry, reason)| match reason {
            Some(reason) => EventVerdict::Reject(format!("Loki: {}", cut(reason))),
            // The others of the stream are stored, if none is ignored without a name.
            None if entry.labels == *labels && is_named => EventVerdict::Delivered,
            None => EventVerdict::Retry,
        });
    Some(verdict(each.collect()))
}

/// Why the entry of this time was ignored, if it was.
fn reason(text: &str, nanoseconds: u64) -> Option<&str> {
    let start = format!("{NAMED}{} ignored, reason: '", go_time(nanoseconds));
    let (_, rest) = text.split_once(&start)?;
    rest.split_once("',").map(|(reason, _)| reason)
}

/// As Go prints a time: `2024-05-06 15:58:50.25 +0000 UTC`.
fn go_time(nanoseconds: u64) -> String {
    // So many nanoseconds end in the year 2554.
    let time = rfc3339(nanoseconds / 1_000_000).unwrap_or_default();
    let (seconds, _) = time.split_once('.').unwrap_or((&time, ""));
    let mut text = seconds.replace('T', " ");
    let fraction = nanoseconds % 1_000_000_000;
    if fraction > 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text.push_str(" +0000 UTC");
    text
}

#[cfg(test)]
mod tests {
    use plugin_kit::testing::letters;

    use super::*;

    fn entry(level: &str, nanoseconds: u64) -> Entry {
        let labels = [("app", "we\"b"), ("level", level)];
        Entry {
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            nanoseconds,
        }
    }

    fn found(text: &str, entries: &[Entry]) -> String {
        letters(judge(text, entries))
    }

    const BEHIND: &str = "entry with timestamp 2024-05-06 15:58:50.25 +0000 UTC ignored, reason: 'entry too far behind, oldest acceptable timestamp is: 2024-05-07T10:25:30Z',\n";
    const TIME: u64 = 1_715_011_130_250_000_000;

    #[test]
    fn an_entry_that_is_named_is_rejected_and_the_rest_of_its_stream_is_stored() {
        let entries = [
            entry("warn", TIME),
            entry("info", TIME),
            entry("warn", TIME + 1),
        ];
        let stream = r#"{app="we\"b", level="warn", service_name="web"}"#;
        let answer = |counts: &str| {
            format!("{BEHIND}user 'fake', total ignored: {counts} for stream: {stream}")
        };

        assert_eq!(found(&answer("1 out of 2"), &entries), "xrd");
        // One that is ignored without a name: which, is not known.
        assert_eq!(found(&answer("2 out of 2"), &entries), "xrr");
    }

    #[test]
    fn an_entry_that_is_ignored_without_a_name_is_not_delivered_where_another_shares_a_time() {
        let entries = [TIME, TIME, TIME + 1, TIME + 2].map(|time| entry("warn", time));
        let stream = r#"{app="we\"b", level="warn"}"#;

        let answer = format!("{BEHIND}user 'fake', total ignored: 2 out of 4 for stream: {stream}");

        assert_eq!(found(&answer, &entries), "xxrr");
    }

    #[test]
    fn an_answer_that_does_not_fit_the_call_tells_nothing() {
        let entries = [entry("warn", TIME), entry("warn", TIME + 1)];
        let stream = r#"{app="we\"b", level="warn"}"#;
        let table = [
            format!("{BEHIND}user 'fake', total ignored: 1 out of 3 for stream: {stream}"),
            format!("{BEHIND}user 'fake', total ignored: 1 out of 2 for stream: {{app=\"x\"}}"),
            format!("user 'fake', total ignored: 1 out of 2 for stream: {stream}"),
            BEHIND.to_owned(),
            "error at least one label pair is required per stream".to_owned(),
        ];

        for text in table {
            assert_eq!(found(&text, &entries), "", "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_go_does() {
        // Expected: GNU date.
        let table = [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (
                951_868_799_123_456_789,
                "2000-02-29 23:59:59.123456789 +0000 UTC",
            ),
            (951_868_800_000_000_000, "2000-03-01 00:00:00 +0000 UTC"),
            (
                1_735_689_599_000_000_001,
                "2024-12-31 23:59:59.000000001 +0000 UTC",
            ),
            (4_107_542_400_000_000_000, "2100-03-01 00:00:00 +0000 UTC"),
        ];

        for (nanoseconds, expected) in table {
            assert_eq!(go_time(nanoseconds), expected);
        }
    }
}
