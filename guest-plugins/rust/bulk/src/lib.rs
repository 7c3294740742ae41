//! An NDJSON bulk API, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response
//! with one item for each. Only the items that failed are sent again.

mod items;

use nozzle_plugin::{
    Batch, Call, Event, EventVerdict, Failure, Handle, Handled, Plugin, Request, Response, Shaped,
    Verdict, export_sink,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    /// The operation of the action line.
    action: String,
    /// Further keys of the action, such as `_index`.
    action_fields: serde_json::Map<String, Value>,
    /// The action's key for the event's id, so that an item that is sent twice is stored once; "" for none.
    id_field: String,
    /// Item statuses that mean that the item is there already.
    delivered: Vec<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: "_bulk".to_owned(),
            action: "index".to_owned(),
            action_fields: serde_json::Map::new(),
            id_field: "_id".to_owned(),
            delivered: Vec::new(),
        }
    }
}

struct Bulk(Config);

impl Plugin for Bulk {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.action.is_empty() {
            return Err("`action` is empty".to_owned());
        }
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/x-ndjson");
        let mut body = Vec::new();
        let mut events = Vec::with_capacity(batch.len() as usize);
        for event in batch {
            match one_line(event.data()) {
                Ok(line) => {
                    self.action(&event, &mut body);
                    body.push(b'\n');
                    body.extend_from_slice(&line);
                    body.push(b'\n');
                    events.push(event.index());
                }
                Err(reason) => shaped.reject_event(event.index(), reason),
            }
        }
        if !events.is_empty() {
            shaped.requests.push(
                Request::post(self.0.target.as_str())
                    .body(body)
                    .events(events),
            );
        }
        Ok(shaped)
    }
}

impl Bulk {
    fn action(&self, event: &Event<'_>, body: &mut Vec<u8>) {
        let mut fields = self.0.action_fields.clone();
        if !self.0.id_field.is_empty() {
            fields.insert(self.0.id_field.clone(), event.id().into());
        }
        let action = serde_json::Map::from_iter([(self.0.action.clone(), Value::from(fields))]);
        body.extend_from_slice(Value::from(action).to_string().as_bytes());
    }
}

/// A record as one line: JSON that spans lines is written anew.
fn one_line(data: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, String> {
    let broken = |error| format!("the record is no JSON: {error}");
    if data.contains(&b'\n') {
        let value: Value = serde_json::from_slice(data).map_err(broken)?;
        return Ok(value.to_string().into_bytes().into());
    }
    serde_json::from_slice::<IgnoredAny>(data).map_err(broken)?;
    Ok(data.into())
}

impl Handle for Bulk {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        if !(200..300).contains(&response.status) {
            return Verdict::ByStatus.into();
        }
        match items::verdicts(
            &response.body,
            call.event_count() as usize,
            &self.0.delivered,
        ) {
            // A bulk API that does not say what became of each item has not said that they are stored.
            Err(_) => Verdict::Retry(None).into(),
            Ok(verdicts)
                if verdicts
                    .iter()
                    .all(|verdict| matches!(verdict, EventVerdict::Delivered)) =>
            {
                Verdict::Delivered.into()
            }
            Ok(verdicts) => Verdict::Each(verdicts).into(),
        }
    }
}

export_sink!(Bulk);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json() {
        assert_eq!(one_line(b"{\"a\": 1}").as_deref(), Ok(&b"{\"a\": 1}"[..]));
        assert_eq!(one_line(b"{\n\"a\": 1}").as_deref(), Ok(&b"{\"a\":1}"[..]));
        assert!(one_line(b"{\"a\"").is_err());
        assert!(one_line(b"a\nb").is_err());
    }
}
