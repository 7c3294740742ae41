//! Standard Webhooks 1.0.0: a call a record, with `{"type": …, "timestamp": …, "data": …}`. The endpoint's `auth` signs it.
//!
//! The rules: the [specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
//! "Payload structure" and "Delivery success and failure". A 2xx is a success, and everything else a failure, to be
//! tried again: 4xx too, as a receiver that is being repaired says 404 as well. 410 says that the receiver wants no more;
//! 3xx that the URL is to be changed; 429, 502 and 504 that calls are to slow down, which the host does.

use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink, log,
};
use serde::Deserialize;
use serde_json::Value;
use template_text::{Place, Template, Tree};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    #[serde(default)]
    target: String,
    /// A template: names between full stops, such as `user.created`.
    #[serde(rename = "type")]
    kind: String,
    /// A template.
    #[serde(default = "time")]
    timestamp: String,
    /// JSON with templates in its strings; without it, `data` is the record.
    data: Option<Value>,
    #[serde(default)]
    client_errors: ClientErrors,
}

fn time() -> String {
    "{time}".to_owned()
}

/// What becomes of an event after a 4xx but 408, 410, 413, 425 and 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClientErrors {
    /// It is tried again, as the specification says.
    #[default]
    Retry,
    /// The sink's status policy decides.
    ByStatus,
}

struct StandardWebhooks {
    target: String,
    kind: Template,
    timestamp: Template,
    data: Option<Tree>,
    client_errors: ClientErrors,
}

impl Plugin for StandardWebhooks {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let named =
            |name, text: &str| Template::parse(text).map_err(|error| format!("`{name}`: {error}"));
        let data = config.data.map(|data| Tree::parse(&data)).transpose();
        Ok(Self {
            target: config.target,
            kind: named("type", &config.kind)?,
            timestamp: named("timestamp", &config.timestamp)?,
            data: data.map_err(|error| format!("`data`: {error}"))?,
            client_errors: config.client_errors,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        shaped.each(batch, |event| {
            Ok(Request::post(self.target.as_str()).body(self.payload(event)?))
        });
        Ok(shaped)
    }
}

impl StandardWebhooks {
    fn payload(&self, event: &Event<'_>) -> Result<String, String> {
        let kind = self.kind.render(event, Place::Body)?;
        if kind.is_empty() {
            return Err("the type is empty".to_owned());
        }
        let timestamp = self.timestamp.render(event, Place::Body)?;
        // A record's own text is kept: no number of it is changed.
        let data = match &self.data {
            Some(tree) => tree.render(event)?.to_string(),
            None => event.json()?.to_owned(),
        };
        let (kind, timestamp) = (Value::from(kind), Value::from(timestamp));
        Ok(format!(
            r#"{{"type":{kind},"timestamp":{timestamp},"data":{data}}}"#
        ))
    }

    fn judge(&self, response: &Response) -> Verdict {
        match response.status {
            408 | 410 | 413 | 425 | 429 => Verdict::ByStatus,
            400..=499 if self.client_errors == ClientErrors::Retry => Verdict::Retry(None),
            _ => Verdict::ByStatus,
        }
    }
}

impl Handle for StandardWebhooks {
    fn handle(&self, _: &Call, outcome: Result<Response, Failure>) -> Handled {
        let Ok(response) = outcome else {
            return Verdict::ByStatus.into();
        };
        match response.status {
            410 => log::error(
                "the receiver wants no more webhooks: take the sink away, or set `status: { 410: halt }`",
                &[],
            ),
            300..=399 => log::error(
                "the receiver has moved, and redirects are not followed: change the endpoint's URL",
                &[],
            ),
            _ => {}
        }
        self.judge(&response).into()
    }
}

export_sink!(StandardWebhooks);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{
        Body, configure,
        testing::{self, TestEvent},
    };
    use serde_json::json;

    use super::*;

    fn shape(config: Value, data: &[&[u8]]) -> Shaped {
        let plugin: StandardWebhooks = configure(&config.to_string()).expect("a good one");
        let events = data.iter().map(|data| TestEvent {
            id: "s:1",
            timestamp_ms: 1_667_507_170_344,
            attributes: &[("kind", "contact.created")],
            data,
            ..TestEvent::default()
        });
        plugin.shape(&testing::events(events)).expect("it shapes")
    }

    fn body(request: &Request) -> String {
        match &request.body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_payload_is_as_specified_and_the_record_as_it_was() {
        let config = json!({ "type": "{attribute:kind}" });

        let shaped = shape(config, &[b"{\"n\": 1e400}", b"no JSON"]);

        let expected = r#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344Z","data":{"n": 1e400}}"#;
        assert_eq!(body(&shaped.requests[0]), expected);
        assert_eq!(shaped.requests[0].events, [0]);
        assert_eq!(shaped.reject[0].event, 1);
        assert!(shaped.reject[0].reason.contains("no JSON"));
    }

    #[test]
    fn a_thin_payload_holds_what_the_template_says() {
        let config =
            json!({ "type": "a.b", "timestamp": "{json:/at}", "data": { "id": "{json:/id}" } });

        let shaped = shape(
            config,
            &[br#"{"id":"\"1","at":"2020-01-01T00:00:00Z","secret":1}"#],
        );

        let expected = r#"{"type":"a.b","timestamp":"2020-01-01T00:00:00Z","data":{"id":"\"1"}}"#;
        assert_eq!(body(&shaped.requests[0]), expected);
    }

    #[test]
    fn what_is_no_success_is_tried_again_but_where_the_receiver_says_no() {
        let judge = |config: &str, status| {
            let plugin: StandardWebhooks = configure(config).expect(config);
            plugin.judge(&testing::response(status, ""))
        };
        let strict = r#"{"type":"t"}"#;
        let policy = r#"{"type":"t","client-errors":"by-status"}"#;

        for status in [400, 401, 404, 409, 422, 499] {
            assert!(
                matches!(judge(strict, status), Verdict::Retry(None)),
                "{status}"
            );
            assert!(
                matches!(judge(policy, status), Verdict::ByStatus),
                "{status}"
            );
        }
        for status in [200, 204, 301, 408, 410, 413, 429, 500, 502, 503, 504] {
            assert!(
                matches!(judge(strict, status), Verdict::ByStatus),
                "{status}"
            );
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused() {
        for (config, expected) in [
            ("{}", "missing field `type`"),
            (r#"{"type":"{x}"}"#, "`type`: `{x}`"),
            (r#"{"type":"t","data":{"a":"{x}"}}"#, "`data`: `{x}`"),
        ] {
            let refused = configure::<StandardWebhooks>(config)
                .err()
                .unwrap_or_default();
            assert!(refused.contains(expected), "{refused}");
        }
        let empty = shape(json!({ "type": "{json:/t}" }), &[br#"{"t":""}"#]);
        assert_eq!(empty.reject[0].reason, "the type is empty");
    }
}
