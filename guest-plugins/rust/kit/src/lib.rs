//! What several plugins for real services share: where a value comes from, times, what a call is known by again, and verdicts for
//! parts of a call.

#![warn(missing_docs)]

pub mod bulk;
mod fingerprint;
mod source;
mod target;
pub mod testing;
mod time;

pub use fingerprint::Fingerprint;
pub use source::Source;
pub use target::Target;
pub use time::{Time, Unit};

use std::collections::{BTreeMap, BTreeSet};

use nozzle_plugin::{EventVerdict, Handled, Response, Verdict, log};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// How much of a service's own words a reason holds, in characters.
const LONGEST: usize = 200;

/// The verdict of a call from one for each of its events.
pub fn verdict(each: Vec<EventVerdict>) -> Verdict {
    let is_delivered = |verdict: &EventVerdict| matches!(verdict, EventVerdict::Delivered);
    if each.iter().all(is_delivered) {
        Verdict::Delivered
    } else {
        Verdict::Each(each)
    }
}

/// What is made of a success that is a web page, as of a proxy that asks for a log-in, or of another server: none of the services
/// answers with one, and nobody has said that the events are stored. None for any other response.
pub fn of_a_page(response: &Response) -> Option<Handled> {
    let is_page = is_page(response);
    is_page.then(|| {
        let words = "a success is a web page: it is not the service that answers";
        log::warn(words, &[("status", &response.status)]);
        Verdict::Retry(None).into()
    })
}

fn is_page(response: &Response) -> bool {
    (200..300).contains(&response.status) && response.body.trim_ascii_start().starts_with(b"<")
}

/// The beginning of what a service said, for a reason.
pub fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The record as the text of one JSON object, without what stands around it.
///
/// # Errors
/// When it is none, in words that fit a rejection.
pub fn object<'a>(event: &nozzle_plugin::Event<'a>) -> Result<&'a str, String> {
    let text = event.json()?.trim_ascii();
    if text.starts_with('{') {
        Ok(text)
    } else {
        Err("the record is no JSON object".to_owned())
    }
}

/// The record as a value. What is JSON may still be none that can be held, as `1e400` or a hundred lists in one another.
///
/// # Errors
/// When it is none, in words that fit a rejection.
pub fn parsed(record: &str) -> Result<Value, String> {
    serde_json::from_str(record).map_err(|error| format!("the record cannot be read: {error}"))
}

/// The record as a value; none where it is no JSON, and so has nothing at any place.
///
/// # Errors
/// See [`parsed`].
pub fn parsed_if_json(event: &nozzle_plugin::Event<'_>) -> Result<Value, String> {
    event.json().map_or(Ok(Value::Null), parsed)
}

/// The keys at the top of a JSON object.
pub fn keys(object: &str) -> BTreeSet<String> {
    // A key that stands twice does not matter here.
    let object: Result<BTreeMap<String, IgnoredAny>, _> = serde_json::from_str(object);
    object.unwrap_or_default().into_keys().collect()
}

/// The members of an object as JSON, without the braces around them.
pub fn members(of: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> String {
    let given = of
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let object = Value::from(given.collect::<Map<String, Value>>()).to_string();
    let inside = object
        .strip_prefix('{')
        .and_then(|object| object.strip_suffix('}'));
    inside.unwrap_or_default().to_owned()
}

/// An object with further members at its beginning: its own stay as they are, to the digit. `members` is JSON without
/// the braces around it.
pub fn with_members(object: &str, members: &str) -> String {
    let rest = object.strip_prefix('{').unwrap_or(object);
    let comma = if members.is_empty() || rest.trim_ascii_start().starts_with('}') {
        ""
    } else {
        ","
    };
    format!("{{{members}{comma}{rest}")
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::batch;

    use super::*;

    #[test]
    fn a_call_of_which_all_is_delivered_is_delivered() {
        use EventVerdict::{Delivered, Retry};

        assert!(matches!(verdict(vec![Delivered]), Verdict::Delivered));
        assert!(matches!(verdict(vec![Delivered, Retry]), Verdict::Each(each) if each.len() == 2));
    }

    #[test]
    fn a_page_is_told_from_an_answer() {
        let table: [(u16, &[u8], bool); 5] = [
            (200, b"\n<!doctype html>", true),
            (204, b"", false),
            (200, b"{}", false),
            (200, b"ok", false),
            (503, b"<html>", false),
        ];
        for (status, body, expected) in table {
            let response = Response {
                status,
                headers: Vec::new(),
                body: body.to_vec(),
                truncated: false,
            };
            assert_eq!(is_page(&response), expected, "{status} {body:?}");
        }
    }

    #[test]
    fn only_an_object_is_one() {
        let records: [&[u8]; 4] = [b" {\"a\":1}\n", b"[1]", b"{", b"\xff"];

        let batch = batch(records);
        let found: Vec<_> = batch.iter().map(|event| object(&event).ok()).collect();

        assert_eq!(found, [Some("{\"a\":1}"), None, None, None]);
    }

    #[test]
    fn members_are_added_and_the_others_stay_as_they_are() {
        let table = [
            ("{}", "", "{}"),
            ("{ }", "\"a\":1", "{\"a\":1 }"),
            ("{\"n\":1.00}", "", "{\"n\":1.00}"),
            ("{\"n\":1.00}", "\"a\":1", "{\"a\":1,\"n\":1.00}"),
        ];

        for (object, members, expected) in table {
            assert_eq!(with_members(object, members), expected);
        }
        assert_eq!(
            members([("b", Some("}".into())), ("a", None)]),
            r#""b":"}""#
        );
        assert!(keys("{\"a\":{\"b\":1}}").iter().eq(["a"]));
    }
}
