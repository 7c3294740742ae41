//! One request and its answer: within its limits, and without a word that is not for the reader.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header::ACCEPT};
use serde::Deserialize;
use url::Url;

use super::{
    MAX_COMPONENT, OciError,
    manifest::{self, MAX_MANIFEST, shown},
    settings::RegistrySettings,
};
use crate::{
    http::{
        HttpClient, Request,
        settings::{EndpointSettings, Environment, ProxyRule},
    },
    outcome::{Failure, Response},
};

/// What is not as large as a component.
const SHORT: Duration = Duration::from_secs(30);
/// A component, up or down.
const LONG: Duration = Duration::from_secs(300);

/// What may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// A manifest, an error, a token.
    Small,
    /// A component.
    Large,
}

impl Size {
    fn limit(self) -> (Duration, usize) {
        match self {
            Self::Small => (SHORT, MAX_MANIFEST),
            Self::Large => (LONG, MAX_COMPONENT),
        }
    }
}

/// A request with the types of manifests that are understood.
pub(super) fn request(method: Method, url: &Url, body: Option<Bytes>) -> Request {
    let uri: Uri = url.as_str().parse().expect("a URL of HTTP is a URI");
    let accept = (ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
    Request {
        method,
        uri,
        headers: HeaderMap::from_iter([accept]),
        body,
    }
}

/// A client of one origin; no text of it shows more of the URL, which may be signed.
pub(super) fn client(
    url: &Url,
    settings: &RegistrySettings,
    size: Size,
) -> Result<HttpClient, OciError> {
    let mut base = url.clone();
    base.set_path("/");
    base.set_query(None);
    let label = origin(url);
    let mut endpoint = EndpointSettings::new(base, label.clone());
    let environment = Environment::read(|name| std::env::var(name).ok());
    endpoint.proxy = ProxyRule::Environment(environment);
    endpoint.network = Arc::clone(&settings.network);
    endpoint.tls.ca_file.clone_from(&settings.ca_file);
    endpoint.max_response_body = size.limit().1;
    HttpClient::new(&endpoint, 1).map_err(|source| OciError::Client {
        registry: label,
        source,
    })
}

pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// One attempt, within its limit.
pub(super) async fn within(
    registry: &str,
    what: &'static str,
    sent: impl Future<Output = Result<Response, Failure>>,
    size: Size,
) -> Result<Response, OciError> {
    let (limit, _) = size.limit();
    let registry = registry.to_owned();
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(failure)) => Err(OciError::Failed {
            registry,
            what,
            source: reworded(failure),
        }),
        Err(_) => Err(OciError::TimedOut {
            registry,
            what,
            seconds: limit.as_secs(),
        }),
    }
}

/// Without the keys of an endpoint, which are not those of a registry.
fn reworded(failure: Failure) -> Failure {
    let keys = [
        " (`endpoint.connect-timeout`)",
        ": name the root's PEM file as `endpoint.tls.ca-file`",
    ];
    let plain = |text: String| keys.iter().fold(text, |text, key| text.replace(key, ""));
    match failure {
        Failure::Connect(text) => Failure::Connect(plain(text)),
        Failure::Tls(text) => Failure::Tls(plain(text)),
        other => other,
    }
}

/// An answer that came whole.
pub(super) fn checked(
    what: &'static str,
    response: Response,
    size: Size,
) -> Result<Response, OciError> {
    match response.truncated {
        true => Err(OciError::TooLarge {
            what,
            limit: size.limit().1,
        }),
        false => Ok(response),
    }
}

/// What the registry says itself about an error, as an addition to a sentence.
pub(super) fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let errors: Option<Errors> = serde_json::from_slice(body).ok();
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    let words = first.and_then(|one| one.message.filter(|text| !text.is_empty()).or(one.code));
    words.map_or(String::new(), |words| format!(": «{}»", shown(&words)))
}
