//! The hyper client: keep-alive HTTP/1.1, HTTP/2 by ALPN, caps on what a response may be.

use std::{future::Future, pin::Pin, task, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header::USER_AGENT, response,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    Request, TlsError, Transport,
    authenticator::Authenticator,
    failure::{self, Name},
    framing,
    settings::{EndpointSettings, TlsSettings},
    tls::{self, Identity},
    tokens::Tokens,
};
use crate::{
    auth::{AuthError, Outgoing, settings::OAuth2Settings},
    outcome::{Failure, Response},
};

/// Idle connections are closed after this, before most servers close them.
const IDLE: Duration = Duration::from_secs(50);
/// An HTTP/2 connection that is silent for so long is asked for a sign of life, idle or not: dropping an
/// attempt closes its stream only, so that later ones would go into the same dead connection.
const PING_AFTER: Duration = Duration::from_secs(10);
/// Without an answer for so long, the connection is closed, and all requests on it are failures.
const PONG_WITHIN: Duration = Duration::from_secs(10);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("nozzle/", env!("CARGO_PKG_VERSION")));
/// As many as a head of 64 KiB can hold in earnest; hyper's own default is 100.
const MAX_RESPONSE_HEADERS: usize = 256;

/// What is read of a token endpoint's answer, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Requests could not be authenticated.
    #[error("`endpoint.auth` cannot be used")]
    Auth(#[from] AuthError),
}

/// Sends requests to one endpoint, over connections that it keeps.
#[derive(Debug)]
pub struct HttpClient {
    client: Client<Timed<HttpsConnector<HttpConnector>>, Full<Bytes>>,
    /// The endpoint's own headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    auth: Option<Authenticator>,
    /// The client's certificate, for an endpoint that asks for one.
    identity: Option<Identity>,
    max_body: usize,
    name: Name,
}

impl HttpClient {
    /// A client for `endpoint` that keeps up to `connections` idle ones.
    ///
    /// # Errors
    /// When TLS cannot be set up (a file, or no roots at all for an `https` endpoint), or a secret cannot be used.
    pub fn new(endpoint: &EndpointSettings, connections: usize) -> Result<Self, ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(endpoint.connect_timeout));
        let (config, identity) = match endpoint.url.scheme() {
            "https" => tls::client_config(&endpoint.tls)?,
            _ => (tls::no_roots(), None),
        };
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let builder = match tls::server_name(&endpoint.tls)? {
            None => builder,
            Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
        };
        let connector = builder.enable_all_versions().wrap_connector(tcp);
        let head = endpoint.max_response_head;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .http1_max_buf_size(head.max(8 * 1024))
            .http1_max_headers(MAX_RESPONSE_HEADERS)
            .http2_max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PONG_WITHIN)
            .http2_keep_alive_while_idle(true)
            .build(Timed {
                inner: connector,
                limit: endpoint.connect_timeout,
            });
        let auth = endpoint.auth.as_ref();
        let auth = auth.map(|auth| {
            Authenticator::new(auth, |settings| {
                let client = Self::new(&token_endpoint(endpoint, settings), 1)?;
                Ok::<_, ClientError>(Tokens::new(client, settings)?)
            })
        });
        Ok(Self {
            client,
            headers: endpoint.headers.clone(),
            auth: auth.transpose()?,
            identity,
            max_body: endpoint.max_response_body,
            name: Name::of(endpoint),
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

    async fn exchange(&self, request: Request) -> Result<Response, Failure> {
        // hyper-util sends a request again by itself only where it was not written at all: a kept
        // connection that the endpoint had closed. That is no second attempt.
        let method = request.method.clone();
        let mut message = to_hyper(request);
        let connection = capture_connection(&mut message);
        let response = self.client.request(message).await;
        let response = response.map_err(|error| failure::classify(&error, &self.name))?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // hyper passes over the other informational ones. No final response will come.
            return Err(Failure::Protocol(
                "the endpoint switched to another protocol, which no request asks for".to_owned(),
            ));
        }
        if let Some(why) = framing::doubt(&method, head.status, &head.headers) {
            // Before the body is dropped: if little is left of it, hyper reads it and keeps the connection.
            give_up(&connection);
            return Err(Failure::Protocol(why.to_owned()));
        }
        let (body, truncated) = read(body, &head, self.max_body).await?;
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            truncated,
        })
    }
}

impl Transport for HttpClient {
    async fn send(&self, request: Request) -> Result<Response, Failure> {
        let Some(identity) = &self.identity else {
            return self.authenticate(request).await;
        };
        // New connections show what the files hold now.
        let used = identity.get().await;
        let outcome = self.authenticate(request).await;
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

impl HttpClient {
    /// Sends a request with what shows who sends it; once more, if that was refused and there is better.
    async fn authenticate(&self, request: Request) -> Result<Response, Failure> {
        let request = self.complete(request);
        let Some(auth) = &self.auth else {
            return self.exchange(request).await;
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
            let response = self.exchange(signed).await?;
            let status = StatusCode::from_u16(response.status);
            let status = status.expect("it came from one");
            // The endpoint refused the credentials, so that it did nothing: newer ones are tried at once, and once.
            if !(auth.answered(status, &used).await && std::mem::take(&mut first)) {
                return Ok(response);
            }
        }
    }
}

/// The endpoint that tokens come from: reached as the endpoint is that they are for.
fn token_endpoint(endpoint: &EndpointSettings, settings: &OAuth2Settings) -> EndpointSettings {
    EndpointSettings {
        url: settings.token_url.clone(),
        label: settings.label.clone(),
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

/// Sends no further request on it.
fn give_up(connection: &CaptureConnection) {
    if let Some(connection) = &*connection.connection_metadata() {
        connection.poison();
    }
}

/// Reads a body up to `max` bytes. What is beyond is not read: dropping the body closes the connection
/// (HTTP/2: the stream).
async fn read(
    mut body: Incoming,
    head: &response::Parts,
    max: usize,
) -> Result<(Bytes, bool), Failure> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure::broke_off(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let have = first.as_ref().map_or(0, Bytes::len) + rest.len();
        let room = max - have;
        let cut = data.len() > room;
        let data = if cut { data.slice(..room) } else { data };
        match &first {
            None => first = Some(data),
            Some(_) => {
                if rest.is_empty() {
                    rest.reserve(
                        announced(&head.headers)
                            .unwrap_or(0)
                            .min(max)
                            .saturating_sub(have),
                    );
                }
                rest.extend_from_slice(&data);
            }
        }
        if cut {
            return Ok((joined(first, rest), true));
        }
    }
    // hyper takes a stream that is closed without an error for one that came to its end.
    if head.version == Version::HTTP_2 && !body.is_end_stream() {
        return Err(Failure::Protocol(
            "the response broke off: the endpoint closed the HTTP/2 stream before its end"
                .to_owned(),
        ));
    }
    Ok((joined(first, rest), false))
}

fn joined(first: Option<Bytes>, rest: BytesMut) -> Bytes {
    match first {
        None => Bytes::new(),
        // Copied: hyper's frame may be a view of a much larger read buffer.
        Some(first) if rest.is_empty() => Bytes::copy_from_slice(&first),
        Some(first) => {
            let mut whole = BytesMut::with_capacity(first.len() + rest.len());
            whole.extend_from_slice(&first);
            whole.extend_from_slice(&rest);
            whole.freeze()
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// A connector with one limit over TCP and TLS together.
#[derive(Debug, Clone)]
struct Timed<C> {
    inner: C,
    limit: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri, Response = Stream, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(uri), self.limit);
        Box::pin(async move {
            tokio::time::timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| {
                    let text =
                        format!("no connection within {limit:?} (`endpoint.connect-timeout`)");
                    Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text).into())
                })
        })
    }
}
