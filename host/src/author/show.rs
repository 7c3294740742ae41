//! What was expected or found, as a case file writes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    tree::{Tree, write_map},
    view::{
        Body, EachView, Given, RequestView, ResponseView, ResultView, Texts, VerdictView, View,
        Words,
    },
};
use crate::outcome::Failure;

/// Keys and values, in order.
pub(super) type Entries = Vec<(String, Tree)>;

/// The lines below `expect:`, from this column on.
pub(super) fn expect(view: &View, indent: usize) -> String {
    let mut out = String::new();
    write_map(&tree(view), &mut out, indent);
    out
}

/// What stands below `expect:`.
pub(super) fn tree(view: &View) -> Entries {
    let mut entries = Entries::new();
    if let Some(error) = &view.error {
        entry(&mut entries, "error", words(error));
    }
    if !view.requests.is_empty() {
        let requests = view.requests.iter().map(request).collect();
        entry(&mut entries, "requests", Tree::List(requests));
    }
    if !view.drop.is_empty() {
        entry(&mut entries, "drop", Tree::Numbers(view.drop.clone()));
    }
    if !view.reject.is_empty() {
        let reject = view.reject.iter().map(|(event, reason)| {
            let mut entries = vec![("event".to_owned(), Tree::Plain(event.to_string()))];
            if let Some(reason) = reason {
                entry(&mut entries, "reason", words(reason));
            }
            Tree::Map(entries)
        });
        entry(&mut entries, "reject", Tree::List(reject.collect()));
    }
    entries
}

fn entry(entries: &mut Entries, key: &str, value: Tree) {
    entries.push((key.to_owned(), value));
}

fn request(view: &RequestView) -> Tree {
    let mut entries = Entries::new();
    if let Some(method) = view.method {
        entry(&mut entries, "method", Tree::text(method));
    }
    if let Some(endpoint) = &view.endpoint {
        entry(&mut entries, "endpoint", Tree::text(endpoint));
    }
    if let Some(target) = &view.target {
        entry(&mut entries, "target", Tree::text(target));
    }
    if let Some(headers) = &view.headers {
        entry(&mut entries, "headers", texts(headers));
    }
    if let Some(said) = &view.body {
        body(&mut entries, "body", said);
    }
    if let Some(events) = &view.events {
        entry(&mut entries, "events", Tree::Numbers(events.clone()));
    }
    if !view.responses.is_empty() {
        let responses = view.responses.iter().map(response).collect();
        entry(&mut entries, "responses", Tree::List(responses));
    }
    Tree::Map(entries)
}

/// What an error or a reason must say.
pub(super) fn words(words: &Words) -> Tree {
    match words {
        Words::Part(part) => Tree::text(part),
        Words::Whole(whole) => Tree::Map(vec![("exactly".to_owned(), Tree::text(whole))]),
    }
}

pub(super) fn texts(texts: &Texts) -> Tree {
    let entries = texts.iter();
    Tree::Map(
        entries
            .map(|(name, value)| (name.clone(), Tree::text(value)))
            .collect(),
    )
}

pub(super) fn body(entries: &mut Entries, name: &str, body: &Body) {
    match body {
        Body::Empty => entry(entries, "empty", Tree::Plain("true".to_owned())),
        Body::Text(text) => entry(entries, name, Tree::text(text)),
        Body::Base64(bytes) => entry(entries, "base64", Tree::text(STANDARD.encode(bytes))),
        Body::Json(value) => entry(entries, "json", Tree::json(value)),
    }
}

fn response(view: &ResponseView) -> Tree {
    let mut entries = Entries::new();
    let Given {
        attempt,
        outcome,
        body: said,
        headers,
    } = &view.given;
    match outcome {
        Ok(response) => {
            let status = Tree::Plain(response.status.to_string());
            entry(&mut entries, "status", status);
            if !headers.is_empty() {
                entry(&mut entries, "headers", texts(headers));
            }
            if let Some(said) = said {
                body(&mut entries, "body", said);
            }
            if response.truncated {
                entry(&mut entries, "truncated", Tree::Plain("true".to_owned()));
            }
        }
        Err(failed) => entry(&mut entries, "failure", failure(failed)),
    }
    if *attempt != 1 {
        entry(&mut entries, "attempt", Tree::Plain(attempt.to_string()));
    }
    if let Some(verdict) = &view.verdict {
        entry(&mut entries, "verdict", verdict_tree(verdict));
    }
    if !view.results.is_empty() {
        let results = view.results.iter().map(result).collect();
        entry(&mut entries, "results", Tree::List(results));
    }
    Tree::Map(entries)
}

fn failure(failure: &Failure) -> Tree {
    let with = |kind: &str, text: &str| Tree::Map(vec![(kind.to_owned(), Tree::text(text))]);
    match failure {
        Failure::Timeout => Tree::text("timeout"),
        Failure::Connect(text) | Failure::Auth(text) => with("connect", text),
        Failure::Tls(text) => with("tls", text),
        Failure::Protocol(text) => with("protocol", text),
    }
}

fn verdict_tree(verdict: &VerdictView) -> Tree {
    let with = |kind: &str, tree: Tree| Tree::Map(vec![(kind.to_owned(), tree)]);
    match verdict {
        VerdictView::Delivered => Tree::text("delivered"),
        VerdictView::ByStatus => Tree::text("by-status"),
        VerdictView::Retry(None) => Tree::text("retry"),
        VerdictView::Retry(Some(wait)) => with("retry", Tree::Plain(wait.to_string())),
        VerdictView::Reject(reason) => with("reject", words(reason)),
        VerdictView::Each(each) => {
            let each = each.iter().map(|one| match one {
                EachView::Delivered => Tree::text("delivered"),
                EachView::Retry => Tree::text("retry"),
                EachView::Reject(reason) => with("reject", words(reason)),
            });
            with("each", Tree::List(each.collect()))
        }
    }
}

fn result(view: &ResultView) -> Tree {
    let mut entries = Entries::new();
    if let Some(key) = &view.key {
        entry(&mut entries, "key", Tree::text(key));
    }
    if let Some(attributes) = &view.attributes {
        entry(&mut entries, "attributes", texts(attributes));
    }
    if let Some(data) = &view.data {
        body(&mut entries, "data", data);
    }
    Tree::Map(entries)
}
