//! The response of a bulk API: from its items to verdicts.

use std::collections::BTreeMap;

use nozzle_plugin::EventVerdict;
use serde_json::{Value, value::RawValue};

use crate::cut;

/// The members of a JSON object, unread: what a verdict does not need may be what it likes.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// One verdict for each of `events` items. `{"status": …}` and Elasticsearch's `{"index": {"status": …}}` are read.
/// `delivered` are the statuses that mean that the item is there already.
///
/// # Errors
/// When the body is no bulk response of as many items, and so says of none what became of it.
pub fn verdicts(
    body: &[u8],
    events: usize,
    delivered: &[u16],
) -> Result<Vec<EventVerdict>, String> {
    let answer: Members<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let items = answer.get("items").ok_or("it has no `items`")?;
    let items: Vec<&RawValue> =
        serde_json::from_str(items.get()).map_err(|error| error.to_string())?;
    if items.len() != events {
        return Err(format!("{} items for {events} events", items.len()));
    }
    items
        .into_iter()
        .map(|item| verdict(item, delivered))
        .collect()
}

fn members(value: &RawValue) -> Option<Members<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn verdict(item: &RawValue, delivered: &[u16]) -> Result<EventVerdict, String> {
    let has_status = |item: &Members<'_>| item.contains_key("status");
    let item = members(item).ok_or("an item that is no object")?;
    let item = match has_status(&item) {
        true => Some(item),
        false => item
            .values()
            .filter_map(|value| members(value))
            .find(has_status),
    };
    let item = item.ok_or("an item without a status")?;
    let status = item.get("status").map_or("", |status| status.get());
    let status: u16 = serde_json::from_str(status).map_err(|_| "a status that is no number")?;
    let error = item.get("error").map(|error| value(error));
    Ok(match status {
        200..=299 => EventVerdict::Delivered,
        status if delivered.contains(&status) => EventVerdict::Delivered,
        408 | 425 | 429 | 500..=599 => EventVerdict::Retry,
        403 if is_blocked(error.as_ref()) => EventVerdict::Retry,
        400..=499 => EventVerdict::Reject(reason(status, error.as_ref())),
        status => return Err(format!("an item of status {status}")),
    })
}

/// What stands there, or its text where that is no value: half of a pair of surrogates, as of a field that was cut, is none.
fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// Whether an index, or the cluster, takes nothing in for a while, as with a full disk: `cluster_block_exception`,
/// `index_create_block_exception`.
fn is_blocked(error: Option<&Value>) -> bool {
    let kind = error.and_then(|error| error.get("type")?.as_str());
    kind.is_some_and(|kind| kind.ends_with("block_exception"))
}

fn reason(status: u16, error: Option<&Value>) -> String {
    let text = match error {
        None => return format!("item status {status}"),
        Some(Value::String(text)) => text.clone(),
        Some(error) => error
            .get("reason")
            .and_then(Value::as_str)
            .map_or_else(|| error.to_string(), str::to_owned),
    };
    format!("item status {status}: {}", cut(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, events: usize) -> Result<Vec<String>, String> {
        let verdicts = verdicts(body.as_bytes(), events, &[409])?;
        Ok(verdicts
            .into_iter()
            .map(|verdict| match verdict {
                EventVerdict::Delivered => "delivered".to_owned(),
                EventVerdict::Retry => "retry".to_owned(),
                EventVerdict::Reject(reason) => reason,
            })
            .collect())
    }

    #[test]
    fn each_item_has_its_own_verdict() {
        let body = r#"{"errors":true,"items":[
            {"status":200}, {"index":{"_id":"1","status":201}}, {"status":409}, {"create":{"status":429}}, {"status":503},
            {"create":{"status":403,"error":{"type":"index_create_block_exception","reason":"blocked"}}}, {"status":403,"error":"no rights"},
            {"status":400,"error":"no such field"}, {"index":{"status":404,"error":{"type":"x","reason":"no index"}}}]}"#;

        let found = read(body, 9).expect("well formed");

        let expected = [
            "delivered",
            "delivered",
            "delivered",
            "retry",
            "retry",
            "retry",
            "item status 403: no rights",
            "item status 400: no such field",
            "item status 404: no index",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_answer_that_does_not_fit_delivers_nothing() {
        for body in [
            "",
            "{}",
            "[]",
            r#"[[{"status":200}]]"#,
            r#"{"items":[[{"status":200}]]}"#,
            r#"{"items":[{"status":200.5}]}"#,
            r#"{"items":[]}"#,
            r#"{"items":[{}]}"#,
            r#"{"items":[{"status":"200"}]}"#,
            r#"{"items":[{"status":0}]}"#,
            r#"{"items":[{"status":302}]}"#,
            r#"{"items":[{"status":65736}]}"#,
            r#"{"items":[{"status":200}]"#,
        ] {
            assert!(read(body, 1).is_err(), "{body}");
        }
        assert!(read(r#"{"items":[{"status":200}]}"#, 2).is_err());
    }

    #[test]
    fn what_a_verdict_does_not_need_may_be_what_it_likes() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let body = format!(
            r#"{{"took":1e999,"items":[{{"status":201,"x":"\ud800"}},{{"index":{{"status":201,"x":{deep}}}}},{{"status":400,"error":"bad \ud800"}}]}}"#
        );

        let found = read(&body, 3).expect("well formed");

        assert_eq!(
            found,
            ["delivered", "delivered", r#"item status 400: "bad \ud800""#]
        );
    }

    #[test]
    fn a_long_error_is_cut() {
        let body = format!(
            r#"{{"items":[{{"status":400,"error":"{}"}}]}}"#,
            "\u{e9}".repeat(300)
        );

        let found = read(&body, 1).expect("well formed");

        assert_eq!(
            found,
            [format!("item status 400: {}", "\u{e9}".repeat(200))]
        );
    }
}
