//! A batch is one JSON array.

use nozzle_plugin::{Batch, Method, Plugin, Request, Shaped, export_shaper};
use serde::{Deserialize, de::IgnoredAny};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Resolved against the endpoint's URL.
    target: String,
    method: Verb,
    /// What becomes of a record that is no JSON.
    invalid: Invalid,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: String::new(),
            method: Verb::Post,
            invalid: Invalid::Reject,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Post,
    Put,
    Patch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Invalid {
    /// It is dead-lettered: one bad record must not spoil the array for its neighbours.
    Reject,
    /// It is sent as a JSON string; what is no UTF-8 is rejected all the same.
    String,
}

struct JsonBatch(Config);

impl Plugin for JsonBatch {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        let mut plain = Vec::with_capacity(batch.len() as usize);
        let mut quoted = Vec::new();
        for event in batch {
            match serde_json::from_slice::<IgnoredAny>(event.data()) {
                Ok(_) => plain.push(event.index()),
                Err(error) => match (self.0.invalid, std::str::from_utf8(event.data())) {
                    (Invalid::String, Ok(text)) => {
                        quoted.push((event.index(), serde_json::Value::from(text)))
                    }
                    _ => shaped
                        .reject_event(event.index(), format!("the record is no JSON: {error}")),
                },
            }
        }
        if !plain.is_empty() {
            // The host joins the records: they are not copied here.
            shaped
                .requests
                .push(self.request().joined("[", ",", "]").events(plain));
        }
        if !quoted.is_empty() {
            let (events, texts): (Vec<u32>, Vec<_>) = quoted.into_iter().unzip();
            let body = serde_json::Value::from(texts).to_string();
            shaped
                .requests
                .push(self.request().body(body).events(events));
        }
        Ok(shaped)
    }
}

impl JsonBatch {
    fn request(&self) -> Request {
        let method = match self.0.method {
            Verb::Post => Method::Post,
            Verb::Put => Method::Put,
            Verb::Patch => Method::Patch,
        };
        Request::new(method, self.0.target.as_str())
    }
}

export_shaper!(JsonBatch);
