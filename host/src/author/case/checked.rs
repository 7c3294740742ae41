//! From what stands in a case file to a case: what its schema cannot say is checked here.

mod responses;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Wanted,
    yaml::{
        CaseYaml, EventYaml, ExpectYaml, GrantsYaml, MethodYaml, OrderYaml, RequestYaml, WholeYaml,
        WordsYaml,
    },
};
use crate::{
    author::{
        view::{Body, RequestView, Texts, View, Words},
        workshop::no_network,
    },
    config::{Document, Problem},
    delivery::{DEFAULT, settings::Order},
    event::Event,
    plugin::settings::{EnvGrant, GrantSettings, KeyvalueGrant},
};

/// A case without its file.
pub(super) struct Checked {
    pub(super) about: Option<String>,
    pub(super) config: String,
    pub(super) grants: GrantSettings,
    pub(super) endpoints: Vec<String>,
    pub(super) order: Order,
    pub(super) events: Vec<Arc<Event>>,
    pub(super) wanted: Wanted,
}

/// Checks what was read.
///
/// # Errors
/// Every problem, with its place.
pub(super) fn check(yaml: CaseYaml, document: &Document) -> Result<Checked, Vec<Problem>> {
    let mut check = Check {
        document,
        problems: Vec::new(),
    };
    let events = yaml.events.into_iter().enumerate();
    let events: Vec<_> = events
        .map(|(index, event)| Arc::new(check.event(index, event)))
        .collect();
    let mut endpoints = yaml.endpoints;
    let needs_events = yaml.configure_error.is_none();
    let wanted = match (yaml.configure_error, yaml.expect) {
        (Some(_), Some(_)) => {
            let message = "a case has `expect` or `configure-error`, not both";
            check.wrong(&["expect"], message, "leave one of them out");
            Wanted::Nothing
        }
        (Some(said), None) => Wanted::ConfigureError(words(said)),
        (None, Some(expect)) => Wanted::Answer(check.expect(expect)),
        (None, None) => Wanted::Nothing,
    };
    if events.is_empty() && needs_events {
        let hint = "write `events:` with at least one event, such as `- data: '{\"n\":1}'`";
        check.wrong(&["events"], "the case has no events", hint);
    }
    if let Wanted::Answer(view) = &wanted {
        check.indices(view, events.len());
        let named = view.requests.iter();
        endpoints.extend(named.filter_map(|request| request.endpoint.clone()));
    }
    endpoints.retain(|name| name != DEFAULT);
    endpoints.sort();
    endpoints.dedup();
    if !check.problems.is_empty() {
        return Err(check.problems);
    }
    Ok(Checked {
        about: yaml.about,
        config: yaml.config.to_string(),
        grants: grants(yaml.grants),
        endpoints,
        order: match yaml.order {
            OrderYaml::None => Order::None,
            OrderYaml::Key => Order::Key,
            OrderYaml::Strict => Order::Strict,
        },
        events,
        wanted,
    })
}

fn grants(yaml: GrantsYaml) -> GrantSettings {
    let env = yaml.env.into_iter();
    GrantSettings {
        clock: yaml.clock,
        random: yaml.random,
        http: yaml.http.then(no_network),
        keyvalue: yaml.keyvalue.then(KeyvalueGrant::default),
        env: env.map(|(name, value)| EnvGrant { name, value }).collect(),
        ..GrantSettings::default()
    }
}

struct Check<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, at: &[&str], message: impl Into<String>, hint: &str) {
        self.problems.push(Problem {
            mark: self.document.mark(at),
            message: message.into(),
            hint: Some(hint.to_owned()),
        });
    }

    /// At most one of these forms.
    fn body(
        &mut self,
        at: &[&str],
        (name, text): (&str, Option<String>),
        base64: Option<String>,
        json: Option<Value>,
    ) -> Option<Body> {
        let forms = [text.is_some(), base64.is_some(), json.is_some()];
        if forms.iter().filter(|form| **form).count() > 1 {
            let message = format!("`{name}`, `base64` and `json` are three ways to say the same");
            self.wrong(at, message, "write one of them");
        }
        if let Some(text) = text {
            return Some(Body::Text(text));
        }
        if let Some(json) = json {
            return Some(Body::Json(json));
        }
        // Lines are allowed, as `base64` writes them.
        let digits: String = base64?.split_whitespace().collect();
        match STANDARD.decode(digits) {
            Ok(bytes) => Some(Body::Base64(bytes.into())),
            Err(error) => {
                let at = [at, &["base64"]].concat();
                self.wrong(
                    &at,
                    format!("this is no base64: {error}"),
                    "write it with `base64 -w0`",
                );
                None
            }
        }
    }

    fn event(&mut self, index: usize, yaml: EventYaml) -> Event {
        let index = index.to_string();
        let at = ["events", &index];
        let data = self.body(&at, ("data", yaml.data), yaml.base64, yaml.json);
        let attributes = yaml.attributes.into_iter();
        Event {
            id: yaml.id.unwrap_or(index.clone()).into(),
            key: yaml.key.map(Into::into),
            timestamp_ms: yaml.timestamp_ms,
            attributes: attributes
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            data: data.map(|data| data.bytes()).unwrap_or_default(),
        }
    }

    fn expect(&mut self, yaml: ExpectYaml) -> View {
        let ExpectYaml {
            error,
            headers,
            requests,
            drop,
            reject,
        } = yaml;
        let is_more = !requests.is_empty() || !drop.is_empty() || !reject.is_empty();
        if error.is_some() && is_more {
            let message = "`error` stands in place of everything else";
            self.wrong(
                &["expect", "error"],
                message,
                "leave out the rest, or `error`",
            );
        }
        let shared = headers.map(lower_case);
        let requests = requests.into_iter().enumerate();
        let mut view = View {
            error: error.map(words),
            requests: requests
                .map(|(number, request)| self.request(number, request, shared.as_ref()))
                .collect(),
            drop,
            reject: reject
                .into_iter()
                .map(|one| (one.event, one.reason.map(words)))
                .collect(),
        };
        view.drop.sort_unstable();
        view.reject.sort();
        view
    }

    /// An index that the batch does not have can never be found.
    fn indices(&mut self, view: &View, events: usize) {
        let mut all = Vec::new();
        for (number, request) in view.requests.iter().enumerate() {
            let at = ["expect", "requests", &number.to_string(), "events"].map(str::to_owned);
            let indices = request.events.iter().flatten();
            all.extend(indices.map(|index| (at.to_vec(), *index)));
        }
        let at = |key: &str| vec!["expect".to_owned(), key.to_owned()];
        all.extend(view.drop.iter().map(|index| (at("drop"), *index)));
        all.extend(view.reject.iter().map(|(index, _)| (at("reject"), *index)));
        for (at, index) in all {
            if index as usize >= events {
                let at: Vec<&str> = at.iter().map(String::as_str).collect();
                let message = format!("the batch has no event {index}: it has {events}");
                self.wrong(&at, message, "the first event is 0");
            }
        }
    }

    fn request(&mut self, number: usize, yaml: RequestYaml, shared: Option<&Texts>) -> RequestView {
        let number = number.to_string();
        let at = ["expect", "requests", &number];
        let is_empty = yaml.empty;
        let said = self.body(&at, ("body", yaml.body), yaml.base64, yaml.json);
        if is_empty && said.is_some() {
            self.wrong(
                &at,
                "a request that is `empty` has no body",
                "leave one of them out",
            );
        }
        let own = yaml.headers.map(lower_case);
        let headers = match (shared, own) {
            (None, own) => own,
            (Some(shared), own) => {
                let mut headers = shared.clone();
                headers.extend(own.unwrap_or_default());
                Some(headers)
            }
        };
        let responses = yaml.responses.into_iter().enumerate();
        RequestView {
            method: yaml.method.map(|method| match method {
                MethodYaml::Get => "get",
                MethodYaml::Head => "head",
                MethodYaml::Post => "post",
                MethodYaml::Put => "put",
                MethodYaml::Patch => "patch",
                MethodYaml::Delete => "delete",
            }),
            endpoint: yaml.endpoint.filter(|name| name != DEFAULT),
            target: yaml.target,
            headers,
            body: if is_empty { Some(Body::Empty) } else { said },
            events: yaml.events,
            responses: responses
                .map(|(place, response)| {
                    let place = place.to_string();
                    let at = [&at[..], &["responses", &place]].concat();
                    self.response(&at, response)
                })
                .collect(),
        }
    }
}

fn words(yaml: WordsYaml) -> Words {
    match yaml {
        WordsYaml::Part(part) => Words::Part(part),
        WordsYaml::Whole(WholeYaml { exactly }) => Words::Whole(exactly),
    }
}

fn lower_case(texts: Texts) -> Texts {
    let texts = texts.into_iter();
    texts
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}
