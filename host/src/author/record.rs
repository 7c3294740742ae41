//! From a batch that passed through a sink to a case file: what the plugin made of it is what it must make of it again.

use http::HeaderMap;
use serde_json::Value;

use super::{
    compare::{Fill, Found, FoundRequest, as_text, masked, response},
    outcome::{BASE, endpoints, found_request},
    secrets::{Remover, Secrets},
    show,
    tree::{Tree, write_map},
    view::{Given, ResponseView, Texts, View},
};
use crate::{
    delivery::{
        DEFAULT, calls_of,
        settings::Order,
        tap::{Judged, Made, Taken},
    },
    event::{Event, Record},
    outcome::{Failure, Outcome, Response},
    plugin::{EventVerdict, Handled, PluginVerdict, settings::GrantSettings},
};

/// Where batches were recorded.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The sink's id.
    pub sink: String,
    /// When, as RFC 3339.
    pub recorded: String,
    /// The endpoints that the sink grants.
    pub endpoints: Vec<String>,
    /// The sink's `order`.
    pub order: Order,
}

/// A batch as a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedText {
    /// The file.
    pub text: String,
    /// Whether something was taken out of it: then it may not pass.
    pub is_altered: bool,
}

/// Words in the names of headers that hold what lets in.
const SECRET_HEADERS: [&str; 10] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "password",
    "-key",
    "apikey",
    "session",
    "credential",
    "signature",
];

/// The text of a case that the plugin which shaped the batch passes, without `secrets`.
///
/// # Errors
/// When nothing could be sent of the batch, in words.
pub fn case_of(taken: &Taken, origin: &Origin, secrets: &Secrets) -> Result<RecordedText, String> {
    let found = found(taken, origin)?;
    let mut clean = Clean {
        remover: Remover::new(secrets),
        headers: Vec::new(),
        odd: Vec::new(),
    };
    let mut view = masked(&View::default(), &clean.found(found), Fill::Nothing);
    for (request, attempts) in view.requests.iter_mut().zip(&taken.attempts) {
        request.responses = attempts.iter().map(|one| clean.judged(one)).collect();
    }
    let config: Value = serde_json::from_str(&taken.identity.config).unwrap_or_default();
    let mut entries = vec![(
        "config".to_owned(),
        Tree::json(&clean.remover.json(&config)),
    )];
    let mut entry = |key: &str, tree: Tree| entries.push((key.to_owned(), tree));
    let grants = grants(&taken.identity.grants, &mut clean.remover);
    if !grants.is_empty() {
        entry("grants", Tree::Map(grants));
    }
    let named = origin.endpoints.iter().filter(|name| *name != DEFAULT);
    let named: Vec<Tree> = named.map(Tree::text).collect();
    if !named.is_empty() {
        entry("endpoints", Tree::List(named));
    }
    match origin.order {
        Order::None => {}
        Order::Key => entry("order", Tree::text("key")),
        Order::Strict => entry("order", Tree::text("strict")),
    }
    let events = taken.events.iter();
    let events = events.map(|event| clean.event(event));
    entry("events", Tree::List(events.collect()));
    entry("expect", Tree::Map(show::tree(&view)));
    let is_altered = clean.is_altered();
    let about = clean.about(taken, origin);
    entries.insert(0, ("about".to_owned(), Tree::Text(about)));
    let mut text = String::new();
    write_map(&entries, &mut text, 0);
    Ok(RecordedText { text, is_altered })
}

/// What the plugin made of the batch, as a test of it would find it.
fn found(taken: &Taken, origin: &Origin) -> Result<Found, String> {
    let shaped = match &taken.made {
        Made::Nothing => return Err("the plugin has not answered".to_owned()),
        Made::Refused(reason) => {
            return Ok(Found {
                error: Some(reason.clone()),
                ..Found::default()
            });
        }
        Made::Shaped(shaped) => shaped.clone(),
    };
    let (drop, reject) = (shaped.drop.clone(), shaped.reject.clone());
    let named = origin.endpoints.iter().filter(|name| *name != DEFAULT);
    let named = named.map(|name| (name.as_str(), BASE));
    let endpoints = endpoints(BASE, named).expect("they are URLs");
    let calls = calls_of(shaped, &endpoints, origin.order, &taken.events)?;
    let requests = calls
        .into_iter()
        .map(|(shaped, sent)| found_request(&shaped, sent));
    Ok(Found {
        error: None,
        requests: requests.collect(),
        drop,
        reject,
    })
}

fn grants(grants: &GrantSettings, remover: &mut Remover<'_>) -> Vec<(String, Tree)> {
    let given = [
        ("clock", grants.clock),
        ("random", grants.random),
        ("http", grants.http.is_some()),
        ("keyvalue", grants.keyvalue.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    let mut entries: Vec<_> = given
        .map(|(name, _)| (name.to_owned(), Tree::Plain("true".to_owned())))
        .collect();
    let env = grants.env.iter();
    let env: Vec<_> = env
        .map(|one| (one.name.clone(), Tree::Text(remover.text(&one.value))))
        .collect();
    if !env.is_empty() {
        entries.push(("env".to_owned(), Tree::Map(env)));
    }
    entries
}

/// Takes secrets out, and keeps account of it.
struct Clean<'a> {
    remover: Remover<'a>,
    /// Names of response headers that were removed.
    headers: Vec<String>,
    /// Names of those that a case cannot say.
    odd: Vec<String>,
}

impl Clean<'_> {
    fn event(&mut self, event: &Event) -> Tree {
        let mut entries = Vec::new();
        let mut entry = |key: &str, tree: Tree| entries.push((key.to_owned(), tree));
        let data = self.remover.bytes(&event.data);
        if !data.is_empty() {
            let mut data_entry = Vec::new();
            show::body(&mut data_entry, "data", &as_text(&data));
            data_entry
                .into_iter()
                .for_each(|(key, tree)| entry(&key, tree));
        }
        entry("id", Tree::Text(self.remover.text(&event.id)));
        if let Some(key) = &event.key {
            entry("key", Tree::Text(self.remover.text(key)));
        }
        if event.timestamp_ms != 0 {
            entry("timestamp-ms", Tree::Plain(event.timestamp_ms.to_string()));
        }
        let attributes = self.texts(&event.attributes);
        if !attributes.is_empty() {
            entry("attributes", show::texts(&attributes));
        }
        Tree::Map(entries)
    }

    fn texts(&mut self, pairs: &[(Box<str>, Box<str>)]) -> Texts {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (self.remover.text(name), self.remover.text(value)))
            .collect()
    }

    fn found(&mut self, found: Found) -> Found {
        let requests = found.requests.into_iter();
        let requests = requests.map(|request| FoundRequest {
            target: self.remover.text(&request.target),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), self.remover.text(value)))
                .collect(),
            body: request.body.map(|body| self.remover.bytes(&body)),
            ..request
        });
        let requests = requests.collect();
        let reject = found.reject.iter();
        Found {
            error: found.error.map(|error| self.remover.text(&error)),
            requests,
            drop: found.drop,
            reject: reject
                .map(|(event, reason)| (*event, self.remover.text(reason)))
                .collect(),
        }
    }

    fn judged(&mut self, judged: &Judged) -> ResponseView {
        let (outcome, headers) = self.outcome(&judged.outcome);
        let body = outcome.as_ref().ok().map(|response| &response.body);
        let body = body.filter(|body| !body.is_empty()).map(as_text);
        let wanted = ResponseView {
            given: Given {
                attempt: judged.attempt,
                body,
                headers,
                outcome,
            },
            verdict: None,
            results: Vec::new(),
        };
        let handled = judged.handled.as_ref().map(|handled| self.handled(handled));
        response(&wanted, handled.as_ref(), Fill::Verdicts)
    }

    fn outcome(&mut self, outcome: &Outcome) -> (Outcome, Texts) {
        let response = match outcome {
            Ok(response) => response,
            Err(failure) => return (Err(self.failure(failure)), Texts::new()),
        };
        let headers = self.response_headers(&response.headers);
        let outcome = Ok(Response {
            status: response.status,
            headers: HeaderMap::new(),
            body: self.remover.bytes(&response.body),
            truncated: response.truncated,
        });
        (outcome, headers)
    }

    fn failure(&mut self, failure: &Failure) -> Failure {
        let text = match failure {
            Failure::Timeout => return Failure::Timeout,
            Failure::Connect(text)
            | Failure::Tls(text)
            | Failure::Auth(text)
            | Failure::Protocol(text) => self.remover.text(text),
        };
        match failure {
            Failure::Tls(_) => Failure::Tls(text),
            Failure::Protocol(_) => Failure::Protocol(text),
            Failure::Timeout | Failure::Connect(_) | Failure::Auth(_) => Failure::Connect(text),
        }
    }

    fn response_headers(&mut self, headers: &HeaderMap) -> Texts {
        let mut texts = Texts::new();
        for name in headers.keys() {
            let values = headers.get_all(name).iter();
            let values: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
            let name = name.as_str();
            let note = match values {
                _ if is_secret(name) => &mut self.headers,
                Some(values) => {
                    let text = self.remover.text(&values.join(", "));
                    texts.insert(name.to_owned(), text);
                    continue;
                }
                None => &mut self.odd,
            };
            if !note.iter().any(|known| known == name) {
                note.push(name.to_owned());
            }
        }
        texts
    }

    fn handled(&mut self, handled: &Handled) -> Handled {
        let verdict = match &handled.verdict {
            PluginVerdict::Reject(reason) => PluginVerdict::Reject(self.remover.text(reason)),
            PluginVerdict::Each(each) => {
                let each = each.iter().map(|one| match one {
                    EventVerdict::Reject(reason) => EventVerdict::Reject(self.remover.text(reason)),
                    other => other.clone(),
                });
                PluginVerdict::Each(each.collect())
            }
            other => other.clone(),
        };
        let results = handled.results.iter().map(|record| Record {
            key: record.key.as_ref().map(|key| self.remover.text(key).into()),
            attributes: record
                .attributes
                .iter()
                .map(|(name, value)| {
                    let text = |text: &str, remover: &mut Remover<'_>| remover.text(text).into();
                    (
                        text(name, &mut self.remover),
                        text(value, &mut self.remover),
                    )
                })
                .collect(),
            data: self.remover.bytes(&record.data),
        });
        let results = results.collect();
        Handled { verdict, results }
    }

    fn is_altered(&self) -> bool {
        self.remover.removed > 0 || !self.headers.is_empty() || !self.odd.is_empty()
    }

    /// What the case is of, and what is not in it.
    fn about(&mut self, taken: &Taken, origin: &Origin) -> String {
        let Origin { sink, recorded, .. } = origin;
        let (generation, digest) = (taken.generation, &taken.identity.digest);
        let mut notes = vec![format!(
            "recorded from {sink} at {recorded}, plugin generation {generation}, sha256 {digest}"
        )];
        let mut removed = Vec::new();
        match self.remover.removed {
            0 => {}
            1 => removed.push("a secret of the host".to_owned()),
            places => removed.push(format!("secrets of the host in {places} places")),
        }
        let headers = [&self.headers, &self.odd];
        let headers: Vec<&str> = headers.into_iter().flatten().map(String::as_str).collect();
        if !headers.is_empty() {
            removed.push(format!("the response headers {}", headers.join(", ")));
        }
        if !removed.is_empty() {
            let removed = removed.join(", and ");
            notes.push(format!("removed: {removed}, so it may not pass as it is"));
        }
        for (count, why) in [
            (taken.unjudged, "the plugin failed on it"),
            (taken.too_large, "there was no room for it"),
        ] {
            match count {
                0 => {}
                1 => notes.push(format!("a response is left out, as {why}")),
                count => notes.push(format!("{count} responses are left out, each as {why}")),
            }
        }
        if !taken.is_over {
            notes.push("the recording has ended before its calls".to_owned());
        }
        let grants = &taken.identity.grants;
        let others = [
            (grants.clock, "the clock"),
            (grants.random, "random numbers"),
            (grants.http.is_some(), "what it asks by http"),
            (grants.keyvalue.is_some(), "its store"),
            (!grants.files.is_empty(), "files"),
        ];
        let others = others.into_iter().filter(|(is_given, _)| *is_given);
        let others: Vec<&str> = others.map(|(_, name)| name).collect();
        if !others.is_empty() {
            notes.push(format!("what it makes may depend on {}", others.join(", ")));
        }
        notes.join("; ")
    }
}

fn is_secret(header: &str) -> bool {
    // A challenge says how to authenticate, and lets nobody in.
    let is_challenge = matches!(header, "www-authenticate" | "proxy-authenticate");
    let mut words = SECRET_HEADERS.iter();
    !is_challenge && words.any(|word| header.contains(word))
}

#[cfg(test)]
mod tests;
