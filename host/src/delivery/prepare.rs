//! From what a plugin shaped to requests that are sent byte for byte: targets, headers and bodies, checked.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_ENCODING};
use sha2::{Digest, Sha256};

use super::ways::Endpoints;
use crate::{
    event::Event,
    http::{Request, compress, settings::Compression},
    network::{BaseUrl, HeaderError, HeaderRules, TargetError},
    plugin::{Method, ShapedBody, ShapedRequest},
};

/// Bytes that the separators of one answer may come to, each as often as it is written: a plugin returns one, and the
/// host writes it between every two events.
const MAX_SEPARATORS: usize = 16 * 1024 * 1024;

/// Where requests go, and what a plugin may not touch.
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
    /// The place of its endpoint.
    pub(super) way: usize,
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
    endpoints: &Endpoints,
    shared: Vec<(String, String)>,
    requests: Vec<ShapedRequest>,
    events: &[Arc<Event>],
) -> Result<Vec<Prepared>, Refused> {
    let mut shared = Shared::new(endpoints, shared);
    if requests.is_empty() {
        shared.at(0)?;
    }
    let mut written = 0_usize;
    let one = |(number, shaped): (usize, ShapedRequest)| {
        written = written.saturating_add(separators(&shaped));
        if written > MAX_SEPARATORS {
            return Err(Refused::Separators { number });
        }
        let way = endpoints.names().place(shaped.endpoint.as_deref());
        let way = way.expect("`contract::check` has found it");
        let endpoint = endpoints.get(way);
        let uri = endpoint
            .base
            .resolve(&shaped.target)
            .map_err(|source| Refused::Target { number, source })?;
        let mut headers = shared.at(way)?.clone();
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
            way,
            memory,
        })
    };
    requests.into_iter().enumerate().map(one).collect()
}

/// The headers of all requests, checked once for each endpoint that has one.
struct Shared<'a> {
    endpoints: &'a Endpoints,
    headers: Vec<(String, String)>,
    checked: Vec<Option<HeaderMap>>,
}

impl<'a> Shared<'a> {
    fn new(endpoints: &'a Endpoints, headers: Vec<(String, String)>) -> Self {
        Self {
            endpoints,
            headers,
            checked: vec![None; endpoints.len()],
        }
    }

    fn at(&mut self, way: usize) -> Result<&HeaderMap, Refused> {
        let slot = &mut self.checked[way];
        if let Some(checked) = slot {
            return Ok(checked);
        }
        let rules = &self.endpoints.get(way).headers;
        let checked = rules.check(&self.headers).map_err(Refused::SharedHeader)?;
        Ok(slot.insert(checked))
    }
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
            endpoint: None,
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

    fn endpoint(url: &str, headers: HeaderRules) -> Endpoint {
        Endpoint {
            base: BaseUrl::new(&url.parse().expect("a URL")).expect("a base"),
            headers,
            compression: None,
            call_ids: Vec::new(),
            attempt_header: None,
        }
    }

    fn events() -> [Arc<Event>; 3] {
        let event = Event {
            id: "t/in:1".into(),
            key: None,
            timestamp_ms: 0,
            attributes: Vec::new(),
            data: Bytes::from_static(b"x"),
        };
        [(); 3].map(|()| Arc::new(event.clone()))
    }

    #[test]
    fn separators_are_written_as_long_as_they_fit() {
        let endpoints = Endpoints::only(endpoint("https://api.test", HeaderRules::default()));
        let half = MAX_SEPARATORS / 2;
        let prepare = |requests| prepare(&endpoints, Vec::new(), requests, &events());

        let fits = prepare(vec![joined(3, half)]);
        let too_large = prepare(vec![joined(3, half), joined(1, 9), joined(2, 1)]);

        let body = fits.expect("it fits").remove(0).request.body;
        assert_eq!(body.map(|body| body.len()), Some(MAX_SEPARATORS + 3));
        assert!(matches!(too_large, Err(Refused::Separators { number: 2 })));
    }

    #[test]
    fn a_request_goes_to_the_endpoint_that_it_names_under_the_rules_of_that_one() {
        let strict = HeaderRules::new(vec![HeaderName::from_static("x-key")]);
        let endpoints = Endpoints::new([
            (
                "default".into(),
                endpoint("https://us.test/v1", HeaderRules::default()),
            ),
            ("eu".into(), endpoint("https://eu.test/v2/", strict)),
        ]);
        let to = |name: Option<&str>| ShapedRequest {
            endpoint: name.map(str::to_owned),
            target: "items".to_owned(),
            ..joined(1, 0)
        };
        let prepare = |header: &str, names: &[Option<&str>]| {
            let shared = vec![(header.to_owned(), "1".to_owned())];
            let requests = names.iter().map(|name| to(*name)).collect();
            prepare(&endpoints, shared, requests, &events())
        };

        let both = prepare("x-a", &[Some("eu"), None, Some("default")]).expect("they are sent");
        let reserved_elsewhere = prepare("x-key", &[None]);
        let reserved = prepare("x-key", &[None, Some("eu")]);

        let sent: Vec<_> = both
            .iter()
            .map(|prepared| (prepared.way, prepared.request.uri.to_string()))
            .collect();
        let default = (0, "https://us.test/v1/items".to_owned());
        let eu = (1, "https://eu.test/v2/items".to_owned());
        assert_eq!(sent, [eu, default.clone(), default]);
        assert!(reserved_elsewhere.is_ok());
        assert!(matches!(reserved, Err(Refused::SharedHeader(_))));
    }
}
