//! The way to one URL of an endpoint: its connections, and what each of them must be told.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri, header::PROXY_AUTHORIZATION};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use url::Url;

use super::{
    ClientError, body,
    connector::Connector,
    failure::{self, Name},
    framing,
    mask::Masks,
    pool::Pool,
    proxy::Proxy,
    settings::{EndpointSettings, HttpVersion},
    stuck::Watch,
    tls::Identity,
    tunnel,
};
use crate::{
    network::BaseUrl,
    outcome::{Failure, Response},
};

/// Idle connections are closed after this, before most servers close them.
const IDLE: Duration = Duration::from_secs(50);
/// An HTTP/2 connection that is silent for so long is asked for a sign of life, idle or not: dropping an
/// attempt closes its stream only, so that later ones would go into the same dead connection.
const PING_AFTER: Duration = Duration::from_secs(10);
/// Without an answer for so long, the connection is closed, and all requests on it are failures.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// As many as a head of 64 KiB can hold in earnest; hyper's own default is 100.
const MAX_RESPONSE_HEADERS: usize = 256;

/// One URL with the connections that are kept to it.
#[derive(Debug)]
pub(super) struct Link {
    base: BaseUrl,
    name: Name,
    pool: Pool,
    /// What it may be sent in secret.
    masks: Masks,
    /// The proxy that reads every request, and what it is told.
    reader: Option<Reader>,
    max_body: usize,
}

/// A proxy that is no tunnel.
#[derive(Debug)]
struct Reader {
    label: String,
    authorization: Option<HeaderValue>,
}

impl Link {
    /// The way to `url`, with up to `connections` idle connections. `tls` is without ALPN; the certificate in it may change.
    ///
    /// # Errors
    /// When there is no way: the URL is none for HTTP, or its proxy is none.
    pub(super) fn new(
        endpoint: &EndpointSettings,
        url: &Url,
        label: &str,
        tls: (ClientConfig, Option<Identity>),
        connections: usize,
    ) -> Result<Self, ClientError> {
        let (tls, identity) = tls;
        let proxy = match endpoint.unix_socket {
            Some(_) => None,
            None => endpoint.proxy.before(url)?,
        };
        let is_https = url.scheme() == "https";
        let only_http2 = endpoint.http == HttpVersion::Http2;
        let reads = |proxy: &&Proxy| !is_https && !only_http2 && !proxy.is_socks();
        let reader = proxy.as_ref().filter(reads).map(|proxy| Reader {
            label: proxy.label().to_owned(),
            authorization: proxy.authorization().cloned(),
        });
        let connector = Connector::new(endpoint, is_https, proxy, tls)?;
        let head = endpoint.max_response_head;
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .http1_max_buf_size(head.max(8 * 1024))
            .http1_max_headers(MAX_RESPONSE_HEADERS)
            .http2_only(only_http2)
            .http2_max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PONG_WITHIN)
            .http2_keep_alive_while_idle(true);
        Ok(Self {
            base: BaseUrl::new(url)?,
            name: Name::of(url, label),
            pool: Pool::new(builder, connector, identity),
            masks: Masks::of_url(url, label),
            reader,
            max_body: endpoint.max_response_body,
        })
    }

    /// The URL, as logs and errors may show it.
    pub(super) fn label(&self) -> &str {
        self.name.label()
    }

    /// Where `uri`, which is for `first`, is here.
    ///
    /// # Errors
    /// When it would be too long.
    pub(super) fn place(&self, first: &Self, uri: &Uri) -> Result<Uri, Failure> {
        let moved = first.base.moved(uri, &self.base);
        moved.map_err(|error| Failure::Protocol(format!("the target is refused: {error}")))
    }

    /// Sends the message as it is, but for what says where it ends and whom it is for. The response repeats nothing that was
    /// sent in secret.
    ///
    /// # Errors
    /// When no complete response came.
    pub(super) async fn send(
        &self,
        mut message: http::Request<Full<Bytes>>,
    ) -> Result<Response, Failure> {
        let authorization = self.reader.as_ref().and_then(|it| it.authorization.clone());
        if let Some(authorization) = authorization {
            message
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, authorization);
        }
        let mask = self.masks.of(message.headers());
        let watch = Watch::new(capture_connection(&mut message));
        let outcome = self.exchange(message, &watch).await;
        watch.ended();
        let mut response = outcome?;
        mask.cover(&mut response);
        Ok(response)
    }

    async fn exchange(
        &self,
        message: http::Request<Full<Bytes>>,
        watch: &Watch,
    ) -> Result<Response, Failure> {
        // hyper-util sends a request again by itself only where it was not written at all: a kept
        // connection that the endpoint had closed. That is no second attempt.
        let method = message.method().clone();
        let response = self.pool.connections().request(message).await;
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
            watch.give_up();
            return Err(Failure::Protocol(why.to_owned()));
        }
        if let (Some(reader), StatusCode::PROXY_AUTHENTICATION_REQUIRED) =
            (&self.reader, head.status)
        {
            // The proxy's answer, not the endpoint's: no event is at fault.
            let answered = tunnel::answered(head.status);
            let (proxy, label) = (&reader.label, self.name.label());
            return Err(Failure::Connect(format!(
                "the proxy `{proxy}` {answered} (`{label}`)"
            )));
        }
        let (body, truncated) = body::read(body, &head, self.max_body).await?;
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            truncated,
        })
    }
}
