//! A plugin to start from: each batch is one request, and the response says of each record what became of it.
//!
//! The request is a JSON array; the response `{"items":[{"status":201},{"status":400,"error":"…"}]}` has an item for each
//! record, in order. Records that the endpoint had no time for are sent again, without the others.

use nozzle_plugin::{
    Batch, Call, EventVerdict, Failure, Handle, Handled, NoConfig, Plugin, Request, Response,
    Shaped, Verdict, export_sink,
};
use serde::Deserialize;
use serde_json::Value;

struct Bulk;

impl Plugin for Bulk {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        let events = shaped.gather(batch, |event| event.json().map(drop));
        if !events.is_empty() {
            let request = Request::post("bulk").joined("[", ",", "]");
            shaped.requests.push(request.events(events));
        }
        Ok(shaped)
    }
}

/// A response.
#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

/// What became of a record.
#[derive(Deserialize)]
struct Item {
    status: u16,
    /// A text, or whatever the service says.
    #[serde(default)]
    error: Value,
}

impl Handle for Bulk {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let response = match outcome {
            Ok(response) if (200..300).contains(&response.status) => response,
            // The sink's status policy knows what to do, for all records of the call.
            _ => return Verdict::ByStatus.into(),
        };
        verdict(&response.body, call.event_count()).into()
    }
}

fn verdict(body: &[u8], events: u32) -> Verdict {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    let items = answer.map(|answer| answer.items).unwrap_or_default();
    let each: Option<Vec<_>> = items.into_iter().map(of_item).collect();
    match each {
        Some(each) if each.len() == events as usize => Verdict::Each(each),
        // Nobody has said that the records are stored.
        _ => Verdict::Retry(None),
    }
}

/// None for an item that does not say what became of its record.
fn of_item(item: Item) -> Option<EventVerdict> {
    let error = match item.error {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match item.status {
        200..=299 => Some(EventVerdict::Delivered),
        408 | 425 | 429 | 500..=599 => Some(EventVerdict::Retry),
        status @ 400..=499 => Some(EventVerdict::Reject(format!(
            "item status {status}: {error}"
        ))),
        _ => None,
    }
}

export_sink!(Bulk);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_fit_says_nothing_of_the_records() {
        let whole = br#"{"items":[{"status":201},{"status":400,"error":"no"}]}"#;

        let fits = verdict(whole, 2);
        let too_few = verdict(whole, 3);
        let none = verdict(b"<html>", 2);

        assert!(matches!(fits, Verdict::Each(each) if each.len() == 2));
        assert!(matches!(too_few, Verdict::Retry(None)));
        assert!(matches!(none, Verdict::Retry(None)));
    }
}
