//! From what a plugin shaped to requests that are sent byte for byte: targets, headers and bodies, checked.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_ENCODING};
use sha2::{Digest, Sha256};

use crate::{
    event::Event,
    http::{Request, compress, settings::Compression},
    network::{BaseUrl, HeaderError, HeaderRules, TargetError},
    plugin::{Method, ShapedBody, ShapedRequest},
};

/// Bytes that the separators of one answer may come to, each as often as it is written: a plugin returns one, and the
/// host writes it between every two events.
const MAX_SEPARATORS: usize = 16 * 1024 * 1024;

/// Where the requests of a sink go, and what a plugin may not touch.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Targets resolve against it.
    pub base: BaseUrl,
    /// Which headers a plugin may set.
    pub headers: HeaderRules,
    /// How bodies are compressed.
    pub compression: Option<Compression>,
    /// The headers that carry a call's id: the same over all attempts.
    pub call_ids: Vec<HeaderName>,
    /// The header that carries an attempt's number.
    pub attempt_header: Option<HeaderName>,
}

/// A request that is ready to send.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) shaped: Arc<ShapedRequest>,
    pub(super) request: Request,
    /// What it holds beside its events, in bytes.
    pub(super) memory: usize,
}

/// A request that the host does not send.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("requests[{number}] has a target that is refused: {source}")]
    Target { number: usize, source: TargetError },
    #[error("requests[{number}] has a header that is refused: {source}")]
    Header { number: usize, source: HeaderError },
    #[error("`shaped.headers` has a header that is refused: {0}")]
    SharedHeader(HeaderError),
    #[error(
        "requests[{number}] has a separator that makes the bodies of this answer larger by more than {MAX_SEPARATORS} bytes"
    )]
    Separators { number: usize },
    #[error("the request body could not be compressed: {0}")]
    Compress(std::io::Error),
}

/// Prepares every request of an answer that keeps the contract (`contract::check`).
///
/// # Errors
/// The first request that is refused; then none of the answer is used.
pub(super) fn prepare(
    endpoint: &Endpoint,
    shared: Vec<(String, String)>,
    requests: Vec<ShapedRequest>,
    events: &[Arc<Event>],
) -> Result<Vec<Prepared>, Refused> {
    let shared = endpoint
        .headers
        .check(&shared)
        .map_err(Refused::SharedHeader)?;
    let mut written = 0_usize;
    let one = |(number, shaped): (usize, ShapedRequest)| {
        written = written.saturating_add(separators(&shaped));
        if written > MAX_SEPARATORS {
            return Err(Refused::Separators { number });
        }
        let uri = endpoint
            .base
            .resolve(&shaped.target)
            .map_err(|source| Refused::Target { number, source })?;
        let mut headers = shared.clone();
        if !shaped.headers.is_empty() {
            let own = endpoint
                .headers
                .check(&shaped.headers)
                .map_err(|source| Refused::Header { number, source })?;
            merge(&mut headers, own);
        }
        let mut body = body(&shaped, events);
        if let (Some(bytes), Some(compression)) = (&body, endpoint.compression) {
            body = Some(compress::compress(bytes, compression).map_err(Refused::Compress)?);
            headers.insert(CONTENT_ENCODING, compress::content_encoding(compression));
        }
        if !endpoint.call_ids.is_empty() {
            let id = call_id(&shaped, events);
            for name in &endpoint.call_ids {
                headers.insert(name, id.clone());
            }
        }
        let held = body.as_ref().map_or(0, Bytes::len) + headers.len() * 64 + shaped.target.len();
        let memory = held + shaped_memory(&shaped);
        let request = Request {
            method: method(shaped.method),
            uri,
            headers,
            body,
        };
        Ok(Prepared {
            shaped: Arc::new(shaped),
            request,
            memory,
        })
    };
    requests.into_iter().enumerate().map(one).collect()
}

/// A name for the call that delivers these events: theirs, so that it is the same when they are sent again after a
/// crash in a call of the same events.
fn call_id(shaped: &ShapedRequest, events: &[Arc<Event>]) -> HeaderValue {
    let mut digest = Sha256::new();
    for index in &shaped.events {
        let id = &events[*index as usize].id;
        digest.update((id.len() as u64).to_le_bytes());
        digest.update(id.as_bytes());
    }
    let digits = digest.finalize().into_iter().take(16);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("msg_{digits}")).expect("digits are visible ASCII")
}

/// A request's own headers win over the shared ones of the same name.
fn merge(headers: &mut HeaderMap, own: HeaderMap) {
    for name in own.keys() {
        headers.remove(name);
    }
    headers.extend(own);
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    }
}

fn shaped_memory(shaped: &ShapedRequest) -> usize {
    let headers: usize = shaped
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 48)
        .sum();
    let events = shaped.events.len() * 4;
    size_of::<Prepared>() + size_of::<ShapedRequest>() + headers + events
}

/// Bytes of the separators in the request's body.
fn separators(shaped: &ShapedRequest) -> usize {
    match &shaped.body {
        ShapedBody::Joined { separator, .. } => {
            (separator.len()).saturating_mul(shaped.events.len().saturating_sub(1))
        }
        ShapedBody::Empty | ShapedBody::Bytes(_) => 0,
    }
}

fn body(shaped: &ShapedRequest, events: &[Arc<Event>]) -> Option<Bytes> {
    let data = |index: &u32| &events[*index as usize].data;
    match &shaped.body {
        ShapedBody::Empty => None,
        ShapedBody::Bytes(bytes) => Some(bytes.clone()),
        ShapedBody::Joined {
            prefix,
            separator,
            suffix,
        } => {
            // One event as it is: its bytes are shared, not copied.
            if let ([only], true, true) = (&*shaped.events, prefix.is_empty(), suffix.is_empty()) {
                return Some(data(only).clone());
            }
            let data_len: usize = shaped.events.iter().map(|index| data(index).len()).sum();
            let mut joined = BytesMut::with_capacity(
                prefix.len() + data_len + separators(shaped) + suffix.len(),
            );
            joined.extend_from_slice(prefix);
            for (place, index) in shaped.events.iter().enumerate() {
                if place > 0 {
                    joined.extend_from_slice(separator);
                }
                joined.extend_from_slice(data(index));
            }
            joined.extend_from_slice(suffix);
            Some(joined.freeze())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(events: u32, separator: usize) -> ShapedRequest {
        ShapedRequest {
            method: Method::Post,
            target: String::new(),
            headers: Vec::new(),
            body: ShapedBody::Joined {
                prefix: Bytes::new(),
                separator: vec![b','; separator].into(),
                suffix: Bytes::new(),
            },
            events: (0..events).collect(),
        }
    }

    #[test]
    fn separators_are_written_as_long_as_they_fit() {
        let url = "https://api.test".parse().expect("a URL");
        let endpoint = Endpoint {
            base: BaseUrl::new(&url).expect("a base"),
            headers: HeaderRules::default(),
            compression: None,
            call_ids: Vec::new(),
            attempt_header: None,
        };
        let event = Event {
            id: "t/in:1".into(),
            key: None,
            timestamp_ms: 0,
            attributes: Vec::new(),
            data: Bytes::from_static(b"x"),
        };
        let events = [(); 3].map(|()| Arc::new(event.clone()));
        let half = MAX_SEPARATORS / 2;
        let prepare = |requests| prepare(&endpoint, Vec::new(), requests, &events);

        let fits = prepare(vec![joined(3, half)]);
        let too_large = prepare(vec![joined(3, half), joined(1, 9), joined(2, 1)]);

        let body = fits.expect("it fits").remove(0).request.body;
        assert_eq!(body.map(|body| body.len()), Some(MAX_SEPARATORS + 3));
        assert!(matches!(too_large, Err(Refused::Separators { number: 2 })));
    }
}
