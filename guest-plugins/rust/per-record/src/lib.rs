//! A call a record; method, target, headers and body come from the record, by templates. The response
//! becomes a result.

#[cfg(test)]
#[expect(dead_code, reason = "the host's targets use the rest")]
#[path = "../../../../host/src/fuzzing/draw.rs"]
mod draw;
#[cfg(test)]
mod fuzz;

use nozzle_plugin::{
    Batch, Call, Emission, Event, Failure, Handle, Handled, Method, Plugin, Request, Response,
    Shaped, Verdict, check_header, export_sink,
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use template_text::{Place, Template};

/// The longest target that the host takes, in bytes.
const MAX_TARGET: usize = 8 * 1024;
/// The most bytes of headers of one record: the host takes 64 KiB, with those that all requests share.
const MAX_HEADERS: usize = 60_000;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    method: Verb,
    /// A template: the name of one of the endpoints that the sink grants. Without one, and where it comes to
    /// nothing, the sink's default endpoint.
    endpoint: Option<String>,
    /// A template, resolved against the endpoint's URL.
    target: String,
    /// Names and templates.
    headers: BTreeMap<String, String>,
    /// A template; without one the record is the body.
    body: Option<String>,
    results: Results,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            method: Verb::Post,
            endpoint: None,
            target: String::new(),
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: None,
            results: Results::Envelope,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Results {
    /// Nothing.
    None,
    /// Its body is a result.
    Body,
    /// `{"id": …, "status": …, "body": …}` is a result.
    Envelope,
}

struct PerRecord {
    method: Method,
    endpoint: Option<Template>,
    target: Template,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    results: Results,
}

impl Plugin for PerRecord {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let named = |name: &str, text: &str| {
            Template::parse(text).map_err(|error| format!("`{name}`: {error}"))
        };
        let header = |(name, text): (String, String)| {
            let template = named(&name, &text)?;
            check_header(&name, template.constant().unwrap_or_default())?;
            Ok((name, template))
        };
        Ok(Self {
            method: match config.method {
                Verb::Get => Method::Get,
                Verb::Post => Method::Post,
                Verb::Put => Method::Put,
                Verb::Patch => Method::Patch,
                Verb::Delete => Method::Delete,
            },
            endpoint: config
                .endpoint
                .map(|text| named("endpoint", &text))
                .transpose()?,
            target: named("target", &config.target)?,
            headers: config
                .headers
                .into_iter()
                .map(header)
                .collect::<Result<_, String>>()?,
            body: config.body.map(|text| named("body", &text)).transpose()?,
            results: config.results,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new();
        // What is the same for every record is sent across once.
        for (name, template) in &self.headers {
            if let Some(value) = template.constant() {
                shaped = shaped.header(name, value);
            }
        }
        shaped.each(batch, |event| fits(self.request(event)?));
        Ok(shaped)
    }
}

impl PerRecord {
    fn request(&self, event: &Event<'_>) -> Result<Request, String> {
        let mut request = Request::new(self.method, self.target.render(event, Place::Target)?);
        if let Some(endpoint) = &self.endpoint {
            let name = endpoint.render(event, Place::Body)?;
            if !name.is_empty() {
                request = request.endpoint(name);
            }
        }
        for (name, template) in &self.headers {
            if template.constant().is_none() {
                request = request.header(name, template.render(event, Place::Header)?);
            }
        }
        Ok(match (&self.body, self.method) {
            (Some(body), _) => request.body(body.render(event, Place::Body)?),
            (None, Method::Get | Method::Head | Method::Delete) => request,
            (None, _) => request.joined("", "", ""),
        })
    }
}

/// Refuses what the host would not take of any request: it would refuse the whole batch.
fn fits(request: Request) -> Result<Request, String> {
    let sizes = request.headers.iter();
    let headers: usize = sizes.map(|(name, value)| name.len() + value.len()).sum();
    match (request.target.len(), headers) {
        (target, _) if target > MAX_TARGET => Err(format!(
            "the record makes a target of {target} bytes, of {MAX_TARGET} at most"
        )),
        (_, headers) if headers > MAX_HEADERS => Err(format!(
            "the record makes headers of {headers} bytes, of {MAX_HEADERS} at most"
        )),
        _ => Ok(request),
    }
}

impl Handle for PerRecord {
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled {
        let handled = Handled::from(Verdict::ByStatus);
        let Ok(response) = outcome else {
            return handled;
        };
        if self.results == Results::None || !(200..300).contains(&response.status) {
            return handled;
        }
        let Some(event) = call.event(0) else {
            return handled;
        };
        handled.emit(result(self.results, event.id, event.key, response))
    }
}

fn result(kind: Results, id: String, key: Option<String>, response: Response) -> Emission {
    let data = match kind {
        Results::Body | Results::None => response.body,
        Results::Envelope => {
            let body = String::from_utf8_lossy(&response.body);
            json!({ "id": id, "status": response.status, "body": body })
                .to_string()
                .into_bytes()
        }
    };
    let result = Emission::new(data).key(key);
    match response.truncated {
        true => result.attribute("truncated", "true"),
        false => result,
    }
}

export_sink!(PerRecord);

#[cfg(test)]
mod tests {
    use nozzle_plugin::{Body, Rejection, configure, testing};

    use super::*;

    fn response(truncated: bool) -> Response {
        Response {
            status: 201,
            headers: Vec::new(),
            body: b"fine".to_vec(),
            truncated,
        }
    }

    #[test]
    fn each_record_is_a_call_of_its_own_or_a_rejection() {
        let config = r#"{"target":"items/{json:/n}","headers":{"x-n":"{json:/n}","x-a":"1"}}"#;
        let plugin: PerRecord = configure(config).expect(config);

        let shaped = plugin
            .shape(&testing::batch([&b"{\"n\":1}"[..], b"{}", b"{\"n\":3}"]))
            .expect("it shapes");

        let calls: Vec<_> = shaped
            .requests
            .iter()
            .map(|request| (request.target.as_str(), &*request.events))
            .collect();
        assert_eq!(calls, [("items/1", &[0][..]), ("items/3", &[2])]);
        assert_eq!(shaped.requests[1].headers, [("x-n".into(), "3".into())]);
        assert_eq!(shaped.headers, [("x-a".into(), "1".into())]);
        assert!(matches!(
            &*shaped.reject,
            [Rejection { event: 1, reason }] if reason == "the record has nothing at `/n`"
        ));
    }

    #[test]
    fn a_record_chooses_its_endpoint() {
        let config = r#"{"endpoint":"{attribute:region}"}"#;
        let plugin: PerRecord = configure(config).expect(config);
        let event = |attributes| testing::TestEvent {
            attributes,
            ..testing::TestEvent::default()
        };

        let shaped = plugin
            .shape(&testing::events([
                event(&[("region", "eu")]),
                event(&[("region", "")]),
                event(&[]),
            ]))
            .expect("it shapes");

        let endpoints: Vec<_> = shaped
            .requests
            .iter()
            .map(|request| request.endpoint.as_deref())
            .collect();
        assert_eq!(endpoints, [Some("eu"), None]);
        assert!(matches!(
            &*shaped.reject,
            [Rejection { event: 2, reason }] if reason == "the record has no attribute `region`"
        ));
    }

    #[test]
    fn the_body_is_the_record_where_the_method_has_one() {
        for (method, has_body) in [("post", true), ("put", true), ("get", false)] {
            let plugin: PerRecord =
                configure(&format!(r#"{{"method":"{method}"}}"#)).expect(method);

            let shaped = plugin
                .shape(&testing::batch([&b"x"[..]]))
                .expect("it shapes");

            let joined = matches!(shaped.requests[0].body, Body::Joined(_));
            assert_eq!(joined, has_body, "{method}");
        }
    }

    #[test]
    fn a_response_becomes_a_result() {
        let of = |kind, truncated| result(kind, "i".into(), Some("k".into()), response(truncated));

        let envelope = of(Results::Envelope, false);
        let body = of(Results::Body, true);

        assert_eq!(envelope.data, br#"{"body":"fine","id":"i","status":201}"#);
        assert_eq!(envelope.key.as_deref(), Some("k"));
        assert!(envelope.attributes.is_empty());
        assert_eq!(body.data, b"fine");
        assert_eq!(body.attributes, [("truncated".into(), "true".into())]);
    }

    #[test]
    fn a_header_that_the_host_would_refuse_is_refused_at_the_start() {
        for config in [
            r#"{"headers":{"a b":"x"}}"#,
            r#"{"headers":{"content-length":"{id}"}}"#,
            r#"{"headers":{"x":"caf\u00e9"}}"#,
        ] {
            assert!(configure::<PerRecord>(config).is_err(), "{config}");
        }
    }
}
