//! wasi:http for plugins: to the hosts that are granted, within limits, and through the host's own client.
//!
//! # Invariants
//! - What is compared with the grant is what is sent: one URL, as its parser writes it.
//! - No redirect is followed: it is an answer like any other.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderName, Request, Response,
    header::{CONTENT_LENGTH, HOST},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use url::Url;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::{super::output::GuestLog, settings::HttpGrant};
use crate::{network::is_framing, plugin::bindings::nozzle::plugin::host::Level};

/// Makes the requests of plugins.
///
/// The transport of endpoints stands behind it; this module knows nothing of it.
pub trait Fetch: std::fmt::Debug + Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and returns the complete response with a body of at most `max_response` bytes.
    fn fetch(
        &self,
        request: Request<Bytes>,
        max_response: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>>;
}

/// Why a plugin's request has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There was no connection.
    #[error("{0}")]
    Connect(String),
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// What came was no response, or it broke off.
    #[error("{0}")]
    Protocol(String),
    /// The response's body is larger than it may be.
    #[error("the response has more than {0} bytes (`grants.http-limits.response`)")]
    TooLarge(usize),
}

/// What stands behind wasi:http for one instance.
pub(in crate::plugin) struct Hooks {
    /// None: nothing is granted, and nothing of this is linked.
    parts: Option<(HttpGrant, Arc<dyn Fetch>)>,
    log: Arc<GuestLog>,
    /// Requests of the call under way.
    calls: u32,
}

impl Hooks {
    pub(super) fn new(parts: Option<(HttpGrant, Arc<dyn Fetch>)>, log: Arc<GuestLog>) -> Self {
        let calls = 0;
        Self { parts, log, calls }
    }

    pub(super) fn call_begins(&mut self) {
        self.calls = 0;
    }

    /// What may be sent where, or why nothing is.
    fn admit(
        &mut self,
        request: &Request<WasiBody>,
    ) -> Result<(Url, HttpGrant, Arc<dyn Fetch>), String> {
        let (grant, fetch) = self.parts.clone().ok_or("nothing is granted")?;
        let url: Url = request
            .uri()
            .to_string()
            .parse()
            .map_err(|_| "it is no URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its URL holds a user".to_owned());
        }
        if !grant.hosts.iter().any(|pattern| pattern.matches(&url)) {
            let origin = url.origin().ascii_serialization();
            return Err(format!("`grants.http` does not list `{origin}`"));
        }
        self.calls += 1;
        let max = grant.max_calls;
        if self.calls > max {
            return Err(format!(
                "it is the plugin's {}th in one call, of {max} (`grants.http-limits.calls`)",
                self.calls
            ));
        }
        Ok((url, grant, fetch))
    }
}

type Driven = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Driven), Error>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        // Guests' libraries set the length of a body themselves. It is the host's in what is sent.
        *name != CONTENT_LENGTH && (is_framing(name) || DEFAULT_FORBIDDEN_HEADERS.contains(name))
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Driven,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let log = Arc::clone(&self.log);
        match self.admit(&request) {
            Err(why) => {
                log.log(Level::Warn, &format!("a request is denied: {why}"), &[]);
                Box::new(async { Err(Error::HttpRequestDenied) })
            }
            Ok((url, grant, fetch)) => Box::new(async move {
                let origin = url.origin().ascii_serialization();
                let sent = tokio::time::timeout(grant.time, send(request, url, &grant, &*fetch));
                let response = match sent.await {
                    Ok(sent) => sent,
                    Err(_) => Err((
                        format!(
                            "no answer within {:?} (`grants.http-limits.time`)",
                            grant.time
                        ),
                        Error::HttpResponseTimeout,
                    )),
                };
                let response = response.map_err(|(why, error)| {
                    let message = format!("a request to `{origin}` failed: {why}");
                    log.log(Level::Warn, &message, &[]);
                    error
                })?;
                let done: Driven = Box::new(async { Ok(()) });
                Ok((response, done))
            }),
        }
    }
}

/// What is said of a failure, and what the guest is told.
type Failed = (String, Error);

async fn send(
    request: Request<WasiBody>,
    url: Url,
    grant: &HttpGrant,
    fetch: &dyn Fetch,
) -> Result<Response<WasiBody>, Failed> {
    let max = grant.max_request;
    let (mut parts, body) = request.into_parts();
    let body = Limited::new(body, max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let why = format!("its body has more than {max} bytes (`grants.http-limits.request`)");
            return (why, Error::HttpRequestBodySize(None));
        }
        ("its body broke off".to_owned(), Error::HttpProtocolError)
    })?;
    let no_uri = |_| ("it has no URI".to_owned(), Error::HttpRequestUriInvalid);
    parts.uri = url.as_str().parse().map_err(no_uri)?;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(HOST);
    let request = Request::from_parts(parts, body.to_bytes());
    let response = fetch.fetch(request, grant.max_response).await;
    let response = response.map_err(|error| (error.to_string(), told(&error)))?;
    Ok(response.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    }))
}

fn told(error: &FetchError) -> Error {
    match error {
        FetchError::Connect(_) => Error::DestinationUnavailable,
        FetchError::Tls(_) => Error::TlsProtocolError,
        FetchError::Protocol(_) => Error::HttpProtocolError,
        FetchError::TooLarge(_) => Error::HttpResponseBodySize(None),
    }
}
