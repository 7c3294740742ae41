//! What a plugin is, what it needs, and whether it does its work on records as they come.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    mistake::Mistake,
    outcome::{BASE, endpoints, handle},
    preview::{Preview, preview_of},
    workshop::Workshop,
};
use crate::{
    event::Event,
    outcome::{Failure, Outcome, Response},
    plugin::{LoadError, LoadedPlugin, Names, Plugin, VERSION},
};

/// What was found out about a plugin.
#[derive(Debug)]
pub struct Checked {
    /// The world that it was built for.
    pub world: &'static str,
    /// The version of the contract that it speaks.
    pub contract: &'static str,
    /// Its digest, in hexadecimal.
    pub sha256: String,
    /// Its size, in bytes.
    pub size: usize,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The lines of the module file that grant what it imports.
    pub grants: Vec<&'static str>,
    /// Linear memory of an instance that is configured, in bytes.
    pub memory: usize,
    /// What it did.
    pub trials: Vec<Trial>,
}

/// What a plugin did with records that have nothing to do with its work.
#[derive(Debug)]
pub struct Trial {
    /// What it was given.
    pub given: &'static str,
    /// What it made of it, in words.
    pub end: Result<String, Mistake>,
    /// Whether a mistake on it is one on any record.
    pub is_grave: bool,
}

impl Workshop {
    /// Loads the plugin with all that it imports granted, and tries it; with the author's own records too, if there are any.
    ///
    /// # Errors
    /// When the file is no plugin, or refuses its configuration.
    pub async fn check(&self, config: &str, own: &[Arc<Event>]) -> Result<Checked, Box<LoadError>> {
        let names = Names::read(&self.binary.bytes).unwrap_or_default();
        let (grants, given) = self.needed();
        let plugin = self.load("plugin/check", config, given).await?;
        Ok(Checked {
            world: if plugin.handles() { "sink" } else { "shaper" },
            contract: VERSION,
            sha256: self.binary.hex_digest(),
            size: self.binary.bytes.len(),
            imports: names.imports,
            grants,
            memory: plugin.memory(),
            trials: trials(&plugin, own).await,
        })
    }
}

/// Records of every plugin's life.
const SAMPLES: [(&str, &[&[u8]], bool); 4] = [
    (
        "two JSON records",
        &[
            b"{\"id\":1}",
            "{\"id\":2,\"name\":\"Zoë 東京 😀\"}".as_bytes(),
        ],
        true,
    ),
    ("a record that is no JSON", &[b"no \"JSON\""], false),
    ("a record that is no UTF-8", &[b"\xff\xfe\"\xc3"], false),
    ("an empty record", &[b""], false),
];

async fn trials(plugin: &LoadedPlugin, own: &[Arc<Event>]) -> Vec<Trial> {
    let endpoints = endpoints(BASE, std::iter::empty()).expect("it is a URL");
    let (mut trials, mut after) = (Vec::new(), Vec::new());
    let samples = SAMPLES.map(|(given, records, is_grave)| (given, events(records), is_grave));
    let own = (!own.is_empty()).then(|| ("your records", own.to_vec(), true));
    for (given, events, is_grave) in samples.into_iter().chain(own) {
        let end = match preview_of(plugin, &endpoints, &events).await {
            Ok(preview) => {
                if after.is_empty() {
                    responses(plugin, &preview, &events, &mut after).await;
                }
                match preview.mistakes().find(|_| is_grave) {
                    Some(mistake) => Err(mistake),
                    None => Ok(said(&preview)),
                }
            }
            Err(mistake) if Preview::is_refusal(&mistake) => Ok(mistake.to_string()),
            Err(mistake) => Err(mistake),
        };
        trials.push(Trial {
            given,
            end,
            is_grave,
        });
    }
    trials.append(&mut after);
    trials
}

/// What may come of the first call: what every endpoint does one day.
async fn responses(
    plugin: &LoadedPlugin,
    preview: &Preview,
    events: &[Arc<Event>],
    trials: &mut Vec<Trial>,
) {
    let answer = |status: u16, body: &'static [u8]| -> Outcome {
        Ok(Response {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body),
            truncated: false,
        })
    };
    let outcomes = [
        ("a 200 without a body", answer(200, b"")),
        ("a 200 with a page", answer(200, b"<html>\xff</html>")),
        ("a 503", answer(503, b"busy")),
        ("a timeout", Err(Failure::Timeout)),
    ];
    let Some(call) = preview.calls.first().filter(|_| plugin.handles()) else {
        return;
    };
    for (given, outcome) in outcomes {
        let handled = handle(plugin, &call.shaped, events, 1, &outcome, "requests[0]").await;
        let end = handled.map(|handled| match handled {
            Some(handled) => format!("{:?}", handled.verdict),
            None => String::new(),
        });
        trials.push(Trial {
            given,
            end: end.map(|verdict| format!("verdict {}", words(&verdict))),
            is_grave: true,
        });
    }
}

/// `ByStatus` as the case files have it.
fn words(verdict: &str) -> String {
    let mut out = String::new();
    let name = verdict.split(['(', ' ']).next().unwrap_or_default();
    for (place, character) in name.chars().enumerate() {
        if character.is_uppercase() && place > 0 {
            out.push('-');
        }
        out.extend(character.to_lowercase());
    }
    out
}

fn events(records: &[&'static [u8]]) -> Vec<Arc<Event>> {
    let records = records.iter().enumerate();
    let event = |(place, data): (usize, &&'static [u8])| Event {
        id: format!("check/sample:{}", place + 1).into(),
        key: Some("sample".into()),
        timestamp_ms: 1_700_000_000_000,
        attributes: Vec::new(),
        data: Bytes::from_static(data),
    };
    records.map(|record| Arc::new(event(record))).collect()
}

fn said(preview: &Preview) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let mut parts = Vec::new();
    if !preview.calls.is_empty() {
        parts.push(counted(preview.calls.len(), "request"));
    }
    if !preview.drop.is_empty() {
        parts.push(format!("{} dropped", preview.drop.len()));
    }
    parts.extend(
        preview
            .reject
            .iter()
            .map(|(_, reason)| format!("rejected: {reason}")),
    );
    parts.join(", ")
}
