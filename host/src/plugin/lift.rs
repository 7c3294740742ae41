//! What a guest returned, into the plain data of the rest of the host. Buffers are moved, not copied.

use bytes::Bytes;

use super::{
    EventVerdict, Handled, Method, PluginVerdict, Shaped, ShapedBody, ShapedRequest,
    bindings::{
        exports::nozzle::plugin::handling,
        nozzle::plugin::types::{self, Failure as FailureParam, Response as ResponseParam},
    },
    output::clean,
};
use crate::{
    event::Record,
    outcome::{Failure, Outcome},
};

pub(super) fn shaped(shaped: types::Shaped) -> Shaped {
    Shaped {
        headers: shaped.headers,
        requests: shaped.requests.into_iter().map(request).collect(),
        drop: shaped.drop,
        reject: shaped
            .reject
            .into_iter()
            .map(|rejection| (rejection.event, clean(&rejection.reason)))
            .collect(),
    }
}

fn request(request: types::Request) -> ShapedRequest {
    ShapedRequest {
        method: match request.method {
            types::Method::Get => Method::Get,
            types::Method::Head => Method::Head,
            types::Method::Post => Method::Post,
            types::Method::Put => Method::Put,
            types::Method::Patch => Method::Patch,
            types::Method::Delete => Method::Delete,
        },
        endpoint: request.endpoint,
        target: request.target,
        headers: request.headers,
        body: match request.body {
            types::Body::Empty => ShapedBody::Empty,
            types::Body::Bytes(bytes) => ShapedBody::Bytes(bytes.into()),
            types::Body::Joined(joined) => ShapedBody::Joined {
                prefix: joined.prefix.into(),
                separator: joined.separator.into(),
                suffix: joined.suffix.into(),
            },
        },
        events: request.events,
    }
}

pub(super) fn handled(handled: handling::Handled) -> Handled {
    let verdict = match handled.verdict {
        types::Verdict::ByStatus => PluginVerdict::ByStatus,
        types::Verdict::Delivered => PluginVerdict::Delivered,
        types::Verdict::Retry(wait) => PluginVerdict::Retry(wait),
        types::Verdict::Reject(reason) => PluginVerdict::Reject(clean(&reason)),
        types::Verdict::Each(each) => {
            PluginVerdict::Each(each.into_iter().map(event_verdict).collect())
        }
    };
    let results = handled.results.into_iter().map(|emission| Record {
        key: emission.key.map(String::into_boxed_str),
        attributes: emission
            .attributes
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        data: Bytes::from(emission.data),
    });
    Handled {
        verdict,
        results: results.collect(),
    }
}

fn event_verdict(verdict: types::EventVerdict) -> EventVerdict {
    match verdict {
        types::EventVerdict::Delivered => EventVerdict::Delivered,
        types::EventVerdict::Retry => EventVerdict::Retry,
        types::EventVerdict::Reject(reason) => EventVerdict::Reject(clean(&reason)),
    }
}

/// The headers that a guest sees: values that are no UTF-8 are left out.
pub(super) fn headers(outcome: &Outcome) -> Vec<(&str, &str)> {
    let Ok(response) = outcome else {
        return Vec::new();
    };
    response
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str(), std::str::from_utf8(value.as_bytes()).ok()?))
        })
        .collect()
}

/// The outcome as it is passed to a guest, borrowed.
pub(super) fn outcome<'a>(
    outcome: &'a Outcome,
    headers: &'a [(&'a str, &'a str)],
) -> Result<ResponseParam<'a>, FailureParam<'a>> {
    match outcome {
        Ok(response) => Ok(ResponseParam {
            status: response.status,
            headers,
            body: &response.body,
            truncated: response.truncated,
        }),
        Err(Failure::Timeout) => Err(FailureParam::Timeout),
        Err(Failure::Connect(text)) => Err(FailureParam::Connect(text)),
        // The contract has no word of its own for it. Nothing was sent, as without a connection.
        Err(Failure::Auth(text)) => Err(FailureParam::Connect(text)),
        Err(Failure::Tls(text)) => Err(FailureParam::Tls(text)),
        Err(Failure::Protocol(text)) => Err(FailureParam::Protocol(text)),
    }
}
