//! The client of one endpoint: chooses the URL, completes the request, and hands it to that URL's connections.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header::USER_AGENT};
use http_body_util::Full;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Request, TlsError, Transport,
    failover::{Change, Failover, Sign, Ticket},
    link::Link,
    proxy::ProxyError,
    settings::EndpointSettings,
    tls,
};
use crate::{
    network::TargetError,
    outcome::{Failure, Outcome, Response},
};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("nozzle/", env!("CARGO_PKG_VERSION")));

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A URL is none that requests can be made of.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Sends requests to one endpoint, over connections that it keeps.
#[derive(Debug)]
pub struct HttpClient {
    /// In the order of the settings, at least one.
    links: Vec<Link>,
    failover: Mutex<Failover>,
    /// The endpoint's own headers, the secret ones among them.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HttpClient {
    /// A client for `endpoint` that keeps up to `connections` idle ones to each of its URLs.
    ///
    /// # Errors
    /// When TLS cannot be set up (the CA file, or no roots at all for an `https` endpoint), or a URL or its proxy
    /// cannot be used.
    pub fn new(endpoint: &EndpointSettings, connections: usize) -> Result<Self, ClientError> {
        let tls = match endpoint.url.scheme() {
            "https" => tls::client_config(endpoint.ca_file.as_deref())?,
            _ => tls::no_roots(),
        };
        let others = endpoint
            .others
            .iter()
            .map(|other| (&other.url, &other.label));
        let links = std::iter::once((&endpoint.url, &endpoint.label))
            .chain(others)
            .map(|(url, label)| Link::new(endpoint, url, label, tls.clone(), connections))
            .collect::<Result<Vec<_>, _>>()?;
        let mut headers = endpoint.headers.clone();
        headers.extend(endpoint.auth.clone());
        Ok(Self {
            failover: Mutex::new(Failover::new(links.len(), endpoint.prefer)),
            links,
            headers,
        })
    }

    fn to_hyper(&self, request: Request) -> http::Request<Full<Bytes>> {
        let mut message = http::Request::new(request.body.map_or_else(Full::default, Full::new));
        *message.method_mut() = request.method;
        *message.uri_mut() = request.uri;
        *message.headers_mut() = request.headers;
        let headers = message.headers_mut();
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, AGENT);
        }
        // The host's headers win: a plugin that names them is refused before.
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        message
    }

    /// Begins an attempt: chooses its URL.
    fn begin(&self) -> Attempt<'_> {
        let ticket = self.failover().choose(Instant::now());
        Attempt {
            client: self,
            ticket,
            sign: Sign::Failed,
        }
    }

    fn failover(&self) -> MutexGuard<'_, Failover> {
        // Nothing panics halfway through a change of it.
        self.failover.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for HttpClient {
    async fn send(&self, mut request: Request) -> Result<Response, Failure> {
        let mut attempt = self.begin();
        let (first, link) = (&self.links[0], &self.links[attempt.ticket.url]);
        if attempt.ticket.url > 0 {
            request.uri = link.place(first, &request.uri)?;
        }
        let message = self.to_hyper(request);
        // Method, URI, headers and body are now what is sent: here is the place to sign them.
        let outcome = link.send(message).await;
        attempt.ended(&outcome);
        outcome
    }
}

/// An attempt on one of the URLs. Dropped before its end, by its timeout, it counts as a failure of the URL.
struct Attempt<'a> {
    client: &'a HttpClient,
    ticket: Ticket,
    sign: Sign,
}

impl Attempt<'_> {
    fn ended(&mut self, outcome: &Outcome) {
        let unavailable = [
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        self.sign = match outcome {
            Ok(response) if unavailable.iter().any(|status| *status == response.status) => {
                Sign::Failed
            }
            Ok(_) => Sign::Answered,
            Err(_) => Sign::Failed,
        };
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let change = (self.client.failover()).settle(&self.ticket, self.sign, Instant::now());
        let url = self.client.links[self.ticket.url].label();
        match change {
            // With nowhere else to go, the engine says what is to be said.
            _ if self.client.links.len() == 1 => {}
            Some(Change::Unhealthy) => {
                warn!(%url, "a url of the endpoint fails, its calls go to the others");
            }
            Some(Change::Healthy) => info!(%url, "a url of the endpoint answers again"),
            None => {}
        }
    }
}
