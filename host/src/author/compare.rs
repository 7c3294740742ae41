//! What was found, in the words of what was expected: what a case leaves out is left out, and a text that contains what it
//! should is what it should be. A case passes exactly if nothing differs then.

use bytes::Bytes;
use serde_json::Value;

use super::view::{
    Body, EachView, RequestView, ResponseView, ResultView, Texts, VerdictView, View, Words,
};
use crate::{
    event::Record,
    plugin::{EventVerdict, Handled, PluginVerdict},
};

/// What a plugin made of a batch.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) error: Option<String>,
    pub(super) requests: Vec<FoundRequest>,
    pub(super) drop: Vec<u32>,
    pub(super) reject: Vec<(u32, String)>,
}

/// A request as it would be sent.
#[derive(Debug)]
pub(super) struct FoundRequest {
    pub(super) method: &'static str,
    pub(super) endpoint: Option<String>,
    pub(super) target: String,
    pub(super) headers: Texts,
    pub(super) body: Option<Bytes>,
    pub(super) events: Vec<u32>,
    /// What `handle` said to each response of the expected request in its place; none where the plugin judges nothing.
    pub(super) handled: Vec<Option<Handled>>,
}

/// Whether a verdict that a file leaves out stays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// It does.
    Nothing,
    /// It is filled in, for the file.
    Verdicts,
}

/// What was found, in the words of `wanted`.
pub(super) fn masked(wanted: &View, found: &Found, fill: Fill) -> View {
    let requests = found.requests.iter().enumerate();
    let mut drop = found.drop.clone();
    drop.sort_unstable();
    let mut rejected = found.reject.clone();
    rejected.sort();
    let reject = rejected.iter().map(|(event, reason)| {
        let wanted = wanted.reject.iter().find(|(other, _)| other == event);
        let reason = match wanted {
            Some((_, None)) => None,
            Some((_, Some(wanted))) => Some(wanted.or_found(reason)),
            None => Some(Words::Part(reason.clone())),
        };
        (*event, reason)
    });
    View {
        error: found.error.as_ref().map(|error| match &wanted.error {
            Some(wanted) => wanted.or_found(error),
            None => Words::Part(error.clone()),
        }),
        requests: requests
            .map(|(number, found)| match wanted.requests.get(number) {
                Some(wanted) => request(wanted, found, fill),
                None => whole(found),
            })
            .collect(),
        drop,
        reject: reject.collect(),
    }
}

fn whole(found: &FoundRequest) -> RequestView {
    let json = found
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    RequestView {
        method: Some(found.method),
        endpoint: found.endpoint.clone(),
        target: Some(found.target.clone()),
        headers: Some(found.headers.clone()),
        body: Some(match &found.body {
            None => Body::Empty,
            Some(bytes) if json => as_json(bytes)
                .filter(|_| is_exact(bytes))
                .map_or_else(|| as_text(bytes), Body::Json),
            Some(bytes) => as_text(bytes),
        }),
        events: Some(found.events.clone()),
        responses: Vec::new(),
    }
}

fn request(wanted: &RequestView, found: &FoundRequest, fill: Fill) -> RequestView {
    let responses = wanted.responses.iter().zip(&found.handled);
    RequestView {
        method: wanted.method.map(|_| found.method),
        endpoint: found.endpoint.clone(),
        target: wanted.target.as_ref().map(|_| found.target.clone()),
        headers: wanted.headers.as_ref().map(|_| found.headers.clone()),
        body: wanted.body.as_ref().map(|wanted| match &found.body {
            None => Body::Empty,
            Some(bytes) => body(wanted, bytes),
        }),
        events: wanted.events.as_ref().map(|_| found.events.clone()),
        responses: responses
            .map(|(wanted, found)| response(wanted, found.as_ref(), fill))
            .collect(),
    }
}

fn body(wanted: &Body, found: &Bytes) -> Body {
    match wanted {
        Body::Json(wanted) => as_json(found)
            .filter(|value| value == wanted || is_exact(found))
            .map_or_else(|| as_text(found), Body::Json),
        Body::Base64(_) => Body::Base64(found.clone()),
        Body::Empty | Body::Text(_) => as_text(found),
    }
}

fn as_json(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// Whether JSON has no number that a file could not say: a digit too many, and it would be another one.
fn is_exact(bytes: &[u8]) -> bool {
    let mut numbers = bytes.split(|byte| !byte.is_ascii_digit());
    numbers.all(|digits| digits.len() <= 15)
}

pub(super) fn as_text(bytes: &Bytes) -> Body {
    match std::str::from_utf8(bytes) {
        Ok(text) => Body::Text(text.to_owned()),
        Err(_) => Body::Base64(bytes.clone()),
    }
}

/// What came of a call, with what the plugin has said to it.
pub(super) fn response(wanted: &ResponseView, found: Option<&Handled>, fill: Fill) -> ResponseView {
    let verdict = found.map_or(VerdictView::ByStatus, |found| {
        verdict(wanted.verdict.as_ref(), &found.verdict)
    });
    let is_shown = wanted.verdict.is_some() || fill == Fill::Verdicts;
    let results = found.map_or(&[][..], |found| &found.results);
    let results = results.iter().enumerate();
    ResponseView {
        given: wanted.given.clone(),
        verdict: is_shown.then_some(verdict),
        results: results
            .map(|(place, found)| result(wanted.results.get(place), found))
            .collect(),
    }
}

fn verdict(wanted: Option<&VerdictView>, found: &PluginVerdict) -> VerdictView {
    match found {
        PluginVerdict::ByStatus => VerdictView::ByStatus,
        PluginVerdict::Delivered => VerdictView::Delivered,
        PluginVerdict::Retry(wait) => VerdictView::Retry(*wait),
        PluginVerdict::Reject(reason) => VerdictView::Reject(match wanted {
            Some(VerdictView::Reject(wanted)) => wanted.or_found(reason),
            _ => Words::Part(reason.clone()),
        }),
        PluginVerdict::Each(each) => {
            let wanted = match wanted {
                Some(VerdictView::Each(wanted)) => wanted.as_slice(),
                _ => &[],
            };
            let each = each.iter().enumerate();
            let each = each.map(|(place, found)| match (wanted.get(place), found) {
                (_, EventVerdict::Delivered) => EachView::Delivered,
                (_, EventVerdict::Retry) => EachView::Retry,
                (Some(EachView::Reject(wanted)), EventVerdict::Reject(reason)) => {
                    EachView::Reject(wanted.or_found(reason))
                }
                (_, EventVerdict::Reject(reason)) => EachView::Reject(Words::Part(reason.clone())),
            });
            VerdictView::Each(each.collect())
        }
    }
}

fn result(wanted: Option<&ResultView>, found: &Record) -> ResultView {
    let key = found.key.as_ref().map(|key| key.to_string());
    let attributes = found.attributes.iter();
    let attributes: Texts = attributes
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    match wanted {
        Some(wanted) => ResultView {
            key: wanted.key.as_ref().and(key),
            attributes: wanted.attributes.as_ref().map(|_| attributes),
            data: wanted.data.as_ref().map(|wanted| body(wanted, &found.data)),
        },
        None => ResultView {
            key,
            attributes: Some(attributes).filter(|attributes| !attributes.is_empty()),
            data: Some(as_text(&found.data)),
        },
    }
}
