//! wasi:http for plugins: to the hosts that are granted, within limits, and through the host's own client.
//!
//! # Invariants
//! - What is compared with the grant is what is sent: one URL, as its parser writes it.
//! - No redirect is followed: it is an answer like any other.
//! - An instance holds as many requests and responses as one call may make, whatever it keeps of earlier calls.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderName, Request, Response,
    header::{CONTENT_LENGTH, HOST},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use url::Url;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

use super::{super::output::GuestLog, settings::HttpGrant};
use crate::{
    metrics::{FetchResult, PluginStats},
    network::is_framing,
    plugin::bindings::nozzle::plugin::host::Level,
};

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
    /// Requests under way, and responses that the guest has not let go of.
    open: Arc<Semaphore>,
    /// Requests of the call under way.
    calls: u32,
}

impl Hooks {
    pub(super) fn new(parts: Option<(HttpGrant, Arc<dyn Fetch>)>, log: Arc<GuestLog>) -> Self {
        let max_calls = parts.as_ref().map_or(0, |(grant, _)| grant.max_calls);
        Self {
            parts,
            log,
            open: Arc::new(Semaphore::new(max_calls as usize)),
            calls: 0,
        }
    }

    pub(super) fn call_begins(&mut self) {
        self.calls = 0;
    }

    /// What may be sent where, or why nothing is.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<Admitted, String> {
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
        let open = Arc::clone(&self.open).try_acquire_owned();
        let open = open.map_err(|_| {
            format!("the plugin has not let go of {max} responses (`grants.http-limits.calls`)")
        })?;
        Ok(Admitted {
            url,
            grant,
            fetch,
            open,
        })
    }
}

/// Bytes of a body that a guest may write at a time.
const BODY_CHUNK: usize = 16 * 1024;

/// Counts a request when it has ended, also by its being dropped.
struct Counted {
    stats: Arc<PluginStats>,
    began: Instant,
    result: FetchResult,
}

impl Counted {
    fn new(log: &GuestLog) -> Self {
        Self {
            stats: Arc::clone(log.stats()),
            began: Instant::now(),
            result: FetchResult::CutOff,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.stats.fetches.count(self.result);
        self.stats.fetch_time.record(self.began.elapsed());
    }
}

/// A request that may be made.
struct Admitted {
    url: Url,
    grant: HttpGrant,
    fetch: Arc<dyn Fetch>,
    open: OwnedSemaphorePermit,
}

type Driven = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Driven), Error>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        // Guests' libraries set the length of a body themselves. It is the host's in what is sent.
        *name != CONTENT_LENGTH && (is_framing(name) || DEFAULT_FORBIDDEN_HEADERS.contains(name))
    }

    /// What a guest writes into a body stands outside its memory until it is sent: wasmtime's own are two of a mebibyte.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
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
                log.stats().fetches.count(FetchResult::Denied);
                log.log(Level::Warn, &format!("a request is denied: {why}"), &[]);
                Box::new(async { Err(Error::HttpRequestDenied) })
            }
            Ok(admitted) => Box::new(async move {
                let origin = admitted.url.origin().ascii_serialization();
                let limit = admitted.grant.time;
                let mut counted = Counted::new(&log);
                let sent = tokio::time::timeout(limit, send(request, admitted)).await;
                let response = sent.unwrap_or_else(|_| {
                    let why = format!("no answer within {limit:?} (`grants.http-limits.time`)");
                    Err((why, Error::HttpResponseTimeout))
                });
                counted.result = result_of(&response);
                drop(counted);
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

fn result_of(response: &Result<Response<WasiBody>, Failed>) -> FetchResult {
    match response {
        Ok(_) => FetchResult::Answered,
        Err((_, Error::HttpResponseTimeout)) => FetchResult::TimedOut,
        Err((_, Error::HttpRequestBodySize(_) | Error::HttpResponseBodySize(_))) => {
            FetchResult::TooLarge
        }
        Err(_) => FetchResult::Failed,
    }
}

async fn send(
    request: Request<WasiBody>,
    admitted: Admitted,
) -> Result<Response<WasiBody>, Failed> {
    let Admitted {
        url,
        grant,
        fetch,
        open,
    } = admitted;
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
    let held = |body| Held {
        body: Full::new(body),
        _open: open,
    };
    Ok(response.map(|body| {
        let body = held(body).map_err(|never| match never {});
        body.boxed_unsync()
    }))
}

/// A response's body, which counts for as long as the guest has it.
struct Held {
    body: Full<Bytes>,
    _open: OwnedSemaphorePermit,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn told(error: &FetchError) -> Error {
    match error {
        FetchError::Connect(_) => Error::DestinationUnavailable,
        FetchError::Tls(_) => Error::TlsProtocolError,
        FetchError::Protocol(_) => Error::HttpProtocolError,
        FetchError::TooLarge(_) => Error::HttpResponseBodySize(None),
    }
}

#[cfg(test)]
mod tests;
