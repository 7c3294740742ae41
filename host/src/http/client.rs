//! The client of one endpoint: chooses the URL, completes the request, and hands it to that URL's connections.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header::USER_AGENT};
use http_body_util::Full;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Request, TlsError, Transport,
    authenticator::Authenticator,
    failover::{Change, Failover, Sign, Ticket},
    link::Link,
    proxy::ProxyError,
    settings::{EndpointSettings, HttpVersion, TlsSettings},
    tls::{self, Identity},
    tokens::Tokens,
};
use crate::{
    auth::{AuthError, Outgoing, settings::OAuth2Settings},
    network::TargetError,
    outcome::{Failure, Outcome, Response, retry_after},
};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("nozzle/", env!("CARGO_PKG_VERSION")));

/// What is read of a token endpoint's answer, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

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
    /// Requests could not be authenticated.
    #[error("`endpoint.auth` cannot be used")]
    Auth(#[from] AuthError),
}

impl ClientError {
    /// The key of the endpoint's settings that is at fault.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Tls(error) => error.key(),
            Self::Url(_) => "url",
            Self::Proxy(_) => "proxy",
            Self::Auth(_) => "auth",
        }
    }
}

/// Sends requests to one endpoint, over connections that it keeps.
#[derive(Debug)]
pub struct HttpClient {
    /// In the order of the settings, at least one.
    links: Vec<Link>,
    failover: Mutex<Failover>,
    /// The endpoint's own headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    auth: Option<Authenticator>,
    /// The client's certificate, for an endpoint that asks for one.
    identity: Option<Identity>,
}

impl HttpClient {
    /// A client for `endpoint` that keeps up to `connections` idle ones to each of its URLs.
    ///
    /// # Errors
    /// When TLS cannot be set up (a file, or no roots at all for an `https` endpoint), a URL or its proxy cannot be used,
    /// or a secret cannot.
    pub fn new(endpoint: &EndpointSettings, connections: usize) -> Result<Self, ClientError> {
        let (tls, identity) = match endpoint.url.scheme() {
            "https" => tls::client_config(&endpoint.tls)?,
            _ => (tls::no_roots(), None),
        };
        let others = endpoint
            .others
            .iter()
            .map(|other| (&other.url, &other.label));
        let urls = std::iter::once((&endpoint.url, &endpoint.label)).chain(others);
        let links = urls
            .map(|(url, label)| {
                let tls = (tls.clone(), identity.clone());
                Link::new(endpoint, url, label, tls, connections)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let auth = endpoint.auth.as_ref();
        let auth = auth.map(|auth| {
            Authenticator::new(auth, |settings| {
                let client = Self::new(&token_endpoint(endpoint, settings), 1)?;
                Ok::<_, ClientError>(Tokens::new(client, settings)?)
            })
        });
        Ok(Self {
            failover: Mutex::new(Failover::new(links.len(), endpoint.prefer)),
            links,
            headers: endpoint.headers.clone(),
            auth: auth.transpose()?,
            identity,
        })
    }

    /// Sends a request for an authenticator, which a client has: the recursion is of the types alone, as a client
    /// that asks for tokens authenticates by none.
    pub(super) fn send_boxed(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + '_>> {
        Box::pin(self.send(request))
    }

    /// The request as the endpoint gets it, but for what authenticates it.
    fn complete(&self, mut request: Request) -> Request {
        let headers = &mut request.headers;
        if !headers.contains_key(USER_AGENT) {
            headers.insert(USER_AGENT, AGENT);
        }
        // The host's headers win: a plugin that names them is refused before.
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        request
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

    /// Sends a request to where it says, with what shows who sends it; once more, if that was refused and there is
    /// better.
    async fn authenticate(&self, link: &Link, request: Request) -> Result<Response, Failure> {
        let request = self.complete(request);
        let Some(auth) = &self.auth else {
            return link.send(to_hyper(request)).await;
        };
        let mut first = true;
        loop {
            let outgoing = Outgoing {
                method: &request.method,
                uri: &request.uri,
                headers: &request.headers,
                body: request.body.as_deref().unwrap_or_default(),
            };
            let (headers, used) = auth.sign(&outgoing).await?;
            let mut signed = request.clone();
            for (name, value) in headers {
                signed.headers.insert(name, value);
            }
            let response = link.send(to_hyper(signed)).await?;
            let status = StatusCode::from_u16(response.status);
            let status = status.expect("it came from one");
            // The endpoint refused the credentials, so that it did nothing: newer ones are tried at once, and once.
            if !(auth.answered(status, &used).await && std::mem::take(&mut first)) {
                return Ok(response);
            }
        }
    }

    /// As [`HttpClient::authenticate`], with the certificate that the files hold now.
    async fn identify(&self, link: &Link, request: Request) -> Result<Response, Failure> {
        let Some(identity) = &self.identity else {
            return self.authenticate(link, request).await;
        };
        // New connections show what the files hold now.
        let used = identity.get().await;
        let outcome = self.authenticate(link, request).await;
        let refused = outcome
            .as_ref()
            .map_or(true, |response| matches!(response.status, 400 | 401 | 403));
        if refused {
            // The certificate may be the reason: the next attempt has another, if there is one.
            identity.newer(&used).await;
        }
        outcome
    }
}

impl Transport for HttpClient {
    async fn send(&self, mut request: Request) -> Result<Response, Failure> {
        // The URL comes first: what is signed holds its host and path.
        let mut attempt = self.begin();
        let (first, link) = (&self.links[0], &self.links[attempt.ticket.url]);
        if attempt.ticket.url > 0 {
            request.uri = link.place(first, &request.uri)?;
        }
        let outcome = self.identify(link, request).await;
        attempt.ended(&outcome);
        outcome
    }

    fn pause(&self, status: u16, asked: Duration) -> Option<Duration> {
        // What a 503 asks for, its URL has been given; the others go on. A 429 is about who asks, whatever the URL.
        if status != 503 || self.links.len() == 1 {
            return Some(asked);
        }
        let now = Instant::now();
        let open = self.failover().closed_until(now)?;
        Some(open.saturating_duration_since(now).min(asked))
    }
}

/// The endpoint that tokens come from: reached as the endpoint is that they are for.
fn token_endpoint(endpoint: &EndpointSettings, settings: &OAuth2Settings) -> EndpointSettings {
    EndpointSettings {
        url: settings.token_url.clone(),
        label: settings.label.clone(),
        others: Vec::new(),
        unix_socket: None,
        http: HttpVersion::Auto,
        headers: Vec::new(),
        auth: None,
        compression: None,
        tls: TlsSettings {
            server_name: None,
            ..endpoint.tls.clone()
        },
        max_response_body: MAX_TOKEN,
        ..endpoint.clone()
    }
}

fn to_hyper(request: Request) -> http::Request<Full<Bytes>> {
    let mut message = http::Request::new(request.body.map_or_else(Full::default, Full::new));
    *message.method_mut() = request.method;
    *message.uri_mut() = request.uri;
    *message.headers_mut() = request.headers;
    message
}

/// An attempt on one of the URLs. Dropped before its end, by its timeout, it counts as a failure of the URL.
struct Attempt<'a> {
    client: &'a HttpClient,
    ticket: Ticket,
    sign: Sign,
}

impl Attempt<'_> {
    fn ended(&mut self, outcome: &Outcome) {
        self.sign = match outcome {
            Ok(response) if matches!(response.status, 502..=504) => {
                let asked = retry_after::from_headers(&response.headers, SystemTime::now());
                match asked.filter(|_| response.status == 503) {
                    Some(asked) => Sign::Paused(asked),
                    None => Sign::Failed,
                }
            }
            Ok(_) => Sign::Answered,
            // There was no token, or no key: the URL was not asked.
            Err(Failure::Auth(_)) => Sign::Unknown,
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
