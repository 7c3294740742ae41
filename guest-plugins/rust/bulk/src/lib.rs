//! An NDJSON bulk API, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response
//! with one item for each. Only the items that failed are sent again.

use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict, export_sink,
    log,
};
use plugin_kit::{
    bulk::{Action, one_line, verdicts},
    verdict,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    /// The operation of the action line.
    action: String,
    /// Further keys of the action, such as `_index`.
    action_fields: Map<String, Value>,
    /// The action's key for the event's id, so that an item that is sent twice is stored once; "" for none.
    id_field: String,
    /// The action's key for the event's key, such as `routing`; "" for none.
    key_field: String,
    /// Item statuses that mean that the item is there already.
    delivered: Vec<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: "_bulk".to_owned(),
            action: "index".to_owned(),
            action_fields: Map::new(),
            id_field: "_id".to_owned(),
            key_field: String::new(),
            delivered: Vec::new(),
        }
    }
}

struct Bulk {
    target: String,
    action: Action,
    delivered: Vec<u16>,
}

impl Plugin for Bulk {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let (fields, id, key) = (&config.action_fields, &config.id_field, &config.key_field);
        Ok(Self {
            action: Action::new(&config.action, fields, id, key)?,
            target: config.target,
            delivered: config.delivered,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/x-ndjson");
        let mut body = Vec::new();
        let events = shaped.gather(batch, |event| {
            let json = event.json()?;
            self.action.write(event, &mut body);
            body.extend_from_slice(&one_line(json));
            body.push(b'\n');
            Ok(())
        });
        if !events.is_empty() {
            let request = Request::post(self.target.as_str());
            shaped.requests.push(request.body(body).events(events));
        }
        Ok(shaped)
    }
}

impl Handle for Bulk {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        match outcome {
            Ok(response) if (200..300).contains(&response.status) => {
                if response.truncated {
                    log::warn(
                        "the response is longer than the sink takes: raise `endpoint.max-response-body`, or make batches smaller",
                        &[],
                    );
                }
                self.judge(&response.body, call.event_count()).into()
            }
            _ => Verdict::ByStatus.into(),
        }
    }
}

impl Bulk {
    fn judge(&self, body: &[u8], events: u32) -> Verdict {
        match verdicts(body, events as usize, &self.delivered) {
            // A bulk API that does not say what became of each item has not said that they are stored.
            Err(error) => {
                log::warn("the response is no bulk response", &[("error", &error)]);
                Verdict::Retry(None)
            }
            Ok(verdicts) => verdict(verdicts),
        }
    }
}

export_sink!(Bulk);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, EventVerdict, configure, testing};

    use super::*;

    #[test]
    fn a_batch_is_a_pair_of_lines_for_each_record_that_is_json() {
        let plugin: Bulk = configure(r#"{"action-fields":{"_index":"a"}}"#).expect("it is good");
        let records: [&[u8]; 4] = [b"{\"n\": 1}", b"a\nb", b"{\n\"n\":3\n}", b"\"\xff\""];

        let shaped = plugin.shape(&testing::batch(records)).expect("it shapes");

        let Body::Bytes(body) = &shaped.requests[0].body else {
            panic!("{:?}", shaped.requests[0].body);
        };
        let expected = "{\"index\":{\"_index\":\"a\",\"_id\":\"0\"}}\n{\"n\": 1}\n{\"index\":{\"_index\":\"a\",\"_id\":\"2\"}}\n{\"n\":3}\n";
        assert_eq!(String::from_utf8_lossy(body), expected);
        assert_eq!(shaped.requests[0].events, [0, 2]);
        let rejected: Vec<u32> = shaped.reject.iter().map(|one| one.event).collect();
        assert_eq!(rejected, [1, 3]);
    }

    #[test]
    fn a_response_says_what_became_of_each_item() {
        let plugin: Bulk = configure(r#"{"delivered":[409]}"#).expect("it is good");

        let all = plugin.judge(br#"{"items":[{"status":201},{"status":409}]}"#, 2);
        let some = plugin.judge(br#"{"items":[{"status":201},{"status":429}]}"#, 2);

        assert!(matches!(all, Verdict::Delivered), "{all:?}");
        assert!(
            matches!(&some, Verdict::Each(each) if matches!(**each, [EventVerdict::Delivered, EventVerdict::Retry])),
            "{some:?}"
        );
    }
}
