//! What a case says of a batch, without the secrets of the host; and what it says about that.

use http::HeaderMap;

use super::Origin;
use crate::{
    author::{
        compare::{Fill, Found, FoundRequest, as_text, response},
        secrets::{Remover, Secrets},
        show,
        tree::Tree,
        view::{Given, ResponseView, Texts},
    },
    delivery::tap::{Judged, Taken},
    event::{Event, Record},
    outcome::{Failure, Outcome, Response},
    plugin::{EventVerdict, Handled, PluginVerdict},
};

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

/// Takes secrets out, and keeps account of it.
pub(super) struct Clean<'a> {
    pub(super) remover: Remover<'a>,
    /// Names of response headers that were removed.
    headers: Vec<String>,
    /// Names of those that a case cannot say.
    odd: Vec<String>,
}

impl<'a> Clean<'a> {
    pub(super) fn new(secrets: &'a Secrets) -> Self {
        Self {
            remover: Remover::new(secrets),
            headers: Vec::new(),
            odd: Vec::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Tree {
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

    pub(super) fn found(&mut self, found: Found) -> Found {
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

    pub(super) fn judged(&mut self, judged: &Judged) -> ResponseView {
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

    pub(super) fn is_altered(&self) -> bool {
        self.remover.removed > 0 || !self.headers.is_empty() || !self.odd.is_empty()
    }

    /// What the case is of, and what is not in it.
    pub(super) fn about(&mut self, taken: &Taken, origin: &Origin) -> String {
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
mod tests {
    use super::*;

    #[test]
    fn headers_that_let_in_are_known_by_their_names() {
        let names = [
            ("authorization", true),
            ("set-cookie", true),
            ("x-api-key", true),
            ("x-auth-token", true),
            ("x-amz-security-token", true),
            ("www-authenticate", false),
            ("retry-after", false),
            ("etag", false),
            ("content-type", false),
        ];

        for (name, expected) in names {
            assert_eq!(is_secret(name), expected, "{name}");
        }
    }
}
