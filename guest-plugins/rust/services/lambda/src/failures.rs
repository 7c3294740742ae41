//! `batchItemFailures`: what a function failed on, by the rules of event source mappings.

use std::collections::BTreeSet;

use nozzle_plugin::{EventVerdict, Response};
use serde::Deserialize;
use serde_json::Value;

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The items that are named, as for a queue of SQS.
    #[default]
    Items,
    /// The first item that is named, and all after it, as for a stream of Kinesis or DynamoDB.
    Checkpoint,
}

/// What a function's answer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It names no failures.
    Success,
    /// It failed on these.
    Some(Vec<String>),
    /// What it says of failures is not right: the whole batch has failed.
    Failure(String),
}

/// Reads a 2xx. No list, an empty one, an answer that is null or no object: all is well. An object that is no JSON is not.
pub fn read(response: &Response) -> Outcome {
    if response.truncated {
        return Outcome::Failure("the function's answer was cut off".to_owned());
    }
    let mut answer = match serde_json::from_slice(&response.body) {
        Ok(Value::Object(answer)) => answer,
        // It would have named failures, if that.
        Err(error) if response.body.trim_ascii_start().starts_with(b"{") => {
            return Outcome::Failure(format!("the function's answer is no JSON: {error}"));
        }
        Ok(_) | Err(_) => return Outcome::Success,
    };
    let items = match answer.remove("batchItemFailures") {
        None | Some(Value::Null) => return Outcome::Success,
        Some(Value::Array(items)) if items.is_empty() => return Outcome::Success,
        Some(Value::Array(items)) => items,
        Some(_) => return Outcome::Failure("`batchItemFailures` is no list".to_owned()),
    };
    let identifier = |item: &Value| {
        let text = item.get("itemIdentifier")?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    match items.iter().map(identifier).collect() {
        Some(failed) => Outcome::Some(failed),
        None => Outcome::Failure("an item without an `itemIdentifier`".to_owned()),
    }
}

impl Report {
    /// One verdict for each of `identifiers`.
    pub fn verdicts(
        self,
        failed: &[String],
        identifiers: &[String],
    ) -> Result<Vec<EventVerdict>, String> {
        let known: BTreeSet<&String> = identifiers.iter().collect();
        let failed: BTreeSet<&String> = failed.iter().collect();
        let stranger = failed.difference(&known).next();
        if let Some(stranger) = stranger {
            let stranger: String = stranger.chars().take(100).collect();
            return Err(format!("the item `{stranger}` is not in the batch"));
        }
        let mut past = false;
        let verdict = |identifier: &String| {
            let is_named = failed.contains(identifier);
            past |= is_named && self == Self::Checkpoint;
            match is_named || past {
                true => EventVerdict::Retry,
                false => EventVerdict::Delivered,
            }
        };
        Ok(identifiers.iter().map(verdict).collect())
    }
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::response;

    use super::*;

    #[test]
    fn an_answer_is_a_success_unless_it_names_failures() {
        for body in [
            "",
            "null",
            "{}",
            "done",
            "\"done\"",
            r#"{"batchItemFailures":[]}"#,
            r#"{"batchItemFailures":null}"#,
            "[]",
        ] {
            assert_eq!(read(&response(200, body)), Outcome::Success, "{body}");
        }
    }

    #[test]
    fn what_is_not_right_is_a_failure_of_the_batch() {
        for body in [
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},"b"]}"#,
            r#"{"batchItemFailures":{"a":1}}"#,
            r#" {"batchItemFailures":[{"itemIdentifier":"a"}"#,
            "{'batchItemFailures': []}",
        ] {
            let found = read(&response(200, body));
            assert!(matches!(found, Outcome::Failure(_)), "{body}: {found:?}");
        }
        let mut cut = response(200, "{}");
        cut.truncated = true;
        assert!(matches!(read(&cut), Outcome::Failure(_)));
    }

    #[test]
    fn named_items_are_sent_again() {
        let body = r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"b"}]}"#;
        let identifiers = ["a", "b", "c", "d"].map(str::to_owned);

        let Outcome::Some(failed) = read(&response(200, body)) else {
            panic!("it names two");
        };

        let retried = |report: Report| -> Vec<bool> {
            let verdicts = report
                .verdicts(&failed, &identifiers)
                .expect("they are known");
            let verdicts = verdicts.iter();
            verdicts
                .map(|verdict| matches!(verdict, EventVerdict::Retry))
                .collect()
        };
        assert_eq!(retried(Report::Items), [false, true, true, false]);
        assert_eq!(retried(Report::Checkpoint), [false, true, true, true]);
        assert!(Report::Items.verdicts(&failed, &identifiers[..2]).is_err());
    }
}
