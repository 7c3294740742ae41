//! A call a record; method, target, headers and body come from the record, by templates. The response
//! becomes a result.

mod template;

use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, Method, Plugin, Request, Response, Shaped, Verdict,
    export_sink,
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use template::{Place, Template};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    method: Verb,
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
        let header = |(name, text): (String, String)| Ok((name.clone(), named(&name, &text)?));
        Ok(Self {
            method: match config.method {
                Verb::Get => Method::Get,
                Verb::Post => Method::Post,
                Verb::Put => Method::Put,
                Verb::Patch => Method::Patch,
                Verb::Delete => Method::Delete,
            },
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
        shaped.requests.reserve(batch.len() as usize);
        for event in batch {
            match self.request(&event) {
                Ok(request) => shaped.requests.push(request.events([event.index()])),
                Err(reason) => shaped.reject_event(event.index(), reason),
            }
        }
        Ok(shaped)
    }
}

impl PerRecord {
    fn request(&self, event: &nozzle_plugin::Event<'_>) -> Result<Request, String> {
        let mut request = Request::new(self.method, self.target.render(event, Place::Target)?);
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
        let data = match self.results {
            Results::Body => response.body,
            _ => {
                let body = String::from_utf8_lossy(&response.body);
                json!({ "id": event.id, "status": response.status, "body": body })
                    .to_string()
                    .into_bytes()
            }
        };
        handled.emit(event.key, data)
    }
}

export_sink!(PerRecord);
