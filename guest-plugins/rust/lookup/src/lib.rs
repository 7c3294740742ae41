//! Asks a service about each record, by wasi:http, and sends what it says: a batch becomes an array of its answers.
//!
//! The sink grants the service's host: `grants: { http: [HOST] }`.

mod ask;

use nozzle_plugin::{Batch, Plugin, Request, Shaped, export_shaper};
use serde::Deserialize;
use serde_json::{Value, json};

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// `http://host/path` or `https://host/path`: each record is sent there by POST.
    url: String,
}

struct Lookup(Config);

impl Plugin for Lookup {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let answers = batch.iter().map(|event| {
            let answer = ask::post(&self.0.url, event.data());
            match answer {
                Ok((status, body)) => json!({ "status": status, "answer": text(&body) }),
                Err(why) => json!({ "error": why }),
            }
        });
        let answers: Vec<Value> = answers.collect();
        let request = Request::post("").header("content-type", "application/json");
        let body = serde_json::to_vec(&answers).map_err(|error| error.to_string())?;
        Ok(Shaped::one(request.body(body).events(0..batch.len())))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

export_shaper!(Lookup);
