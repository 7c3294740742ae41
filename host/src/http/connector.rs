//! Connections to one URL: straight, over a Unix socket, or through a proxy; then TLS.

use std::{future::Future, io, path::PathBuf, pin::Pin, sync::Arc, task, time::Duration};

use http::Uri;
use hyper_rustls::{
    DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, MaybeHttpsStream,
    ResolveServerName,
};
use hyper_util::{client::legacy::connect::Connection as _, rt::TokioIo};
use rustls::ClientConfig;
use tokio::net::UnixStream;
use tower_service::Service;

use super::{
    dial::Tcp,
    proxy::Proxy,
    settings::{EndpointSettings, HttpVersion, TlsSettings},
    stream::{Io, Stream},
    tls, tunnel,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Where connections go.
#[derive(Debug)]
enum Route {
    Direct,
    Unix {
        path: PathBuf,
        label: String,
    },
    /// `tunnel` if the proxy only hands bytes on.
    Proxy {
        proxy: Proxy,
        tunnel: bool,
    },
}

/// Opens connections below TLS.
#[derive(Debug, Clone)]
struct Dialer {
    route: Arc<Route>,
    tcp: Tcp,
    /// To an HTTP proxy.
    hop: HttpsConnector<Tcp>,
}

impl Dialer {
    async fn dial(mut self, to: Uri) -> Result<Stream, BoxError> {
        let mut is_proxied = false;
        if let Route::Proxy { .. } = &*self.route {
            // The proxy dials it; what a name means is the proxy's to say.
            self.tcp.check(&to)?;
        }
        let io: Box<dyn Io> = match &*self.route {
            Route::Direct => Box::new(self.tcp.call(to).await?),
            Route::Unix { path, label } => match UnixStream::connect(path).await {
                Ok(stream) => Box::new(TokioIo::new(stream)),
                Err(error) => {
                    let text = format!("{error} (`endpoint.unix-socket` is `{label}`)");
                    return Err(io::Error::new(error.kind(), text).into());
                }
            },
            Route::Proxy { proxy, .. } if proxy.is_socks() => {
                tunnel::socks(proxy, self.tcp, &to).await?
            }
            Route::Proxy { proxy, tunnel } => {
                let io = tunnel::reach(proxy, self.hop).await?;
                is_proxied = !tunnel;
                match tunnel {
                    true => tunnel::connect(proxy, io, &to).await?,
                    false => io,
                }
            }
        };
        Ok(Stream::new(io, is_proxied))
    }
}

impl Service<Uri> for Dialer {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), BoxError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().dial(to))
    }
}

/// Opens connections to one URL, all of it within one limit. The client clones it for every request, with a connection or
/// without: it is a pointer.
#[derive(Debug, Clone)]
pub(super) struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: HttpsConnector<Dialer>,
    limit: Duration,
    /// Whether TLS without HTTP/2 is of no use.
    needs_http2: bool,
    /// The proxy, in words.
    through: String,
}

impl Connector {
    /// `tls` is without ALPN, which the settings decide.
    ///
    /// # Errors
    /// When there are no roots for a proxy that is reached over TLS.
    pub(super) fn new(
        endpoint: &EndpointSettings,
        is_https: bool,
        proxy: Option<Proxy>,
        mut tls: ClientConfig,
    ) -> Result<Self, tls::TlsError> {
        let tcp = Tcp::new(&endpoint.network, endpoint.connect_timeout);
        let to_proxy = match &proxy {
            Some(proxy) if proxy.is_https() => {
                let only_roots = TlsSettings {
                    ca_file: endpoint.tls.ca_file.clone(),
                    ..TlsSettings::default()
                };
                tls::client_config(&only_roots)?.0
            }
            _ => tls::no_roots(),
        };
        let needs_http2 = endpoint.http == HttpVersion::Http2;
        let through = proxy.as_ref().map_or(String::new(), |proxy| {
            format!(" through the proxy `{}`", proxy.label())
        });
        let route = match (&endpoint.unix_socket, proxy) {
            (Some(socket), _) => Route::Unix {
                path: socket.path.clone(),
                label: socket.label.clone(),
            },
            (None, Some(proxy)) => Route::Proxy {
                proxy,
                tunnel: is_https || needs_http2,
            },
            (None, None) => Route::Direct,
        };
        let protocols: &[&[u8]] = match endpoint.http {
            HttpVersion::Auto => &[b"h2", b"http/1.1"],
            HttpVersion::Http1 => &[b"http/1.1"],
            HttpVersion::Http2 => &[b"h2"],
        };
        tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let names = || Arc::new(DefaultServerNameResolver::default());
        let own_names: Arc<dyn ResolveServerName + Send + Sync> =
            match tls::server_name(&endpoint.tls)? {
                None => names(),
                Some(name) => Arc::new(FixedServerNameResolver::new(name)),
            };
        let dialer = Dialer {
            route: Arc::new(route),
            hop: HttpsConnector::new(tcp.clone(), to_proxy, false, names()),
            tcp,
        };
        Ok(Self(Arc::new(Shared {
            inner: HttpsConnector::new(dialer, tls, false, own_names),
            limit: endpoint.connect_timeout,
            needs_http2,
            through,
        })))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Stream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), BoxError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Shared {
                limit,
                needs_http2,
                through,
                ..
            } = &*shared;
            let failed = |kind, text: String| Err(io::Error::new(kind, text).into());
            let connecting = shared.inner.clone().call(uri);
            let stream = match tokio::time::timeout(*limit, connecting).await {
                Ok(connected) => connected?,
                Err(_) => {
                    let text = format!(
                        "no connection{through} within {limit:?} (`endpoint.connect-timeout`)"
                    );
                    return failed(io::ErrorKind::TimedOut, text);
                }
            };
            let is_tls = matches!(stream, MaybeHttpsStream::Https(_));
            if *needs_http2 && is_tls && !stream.connected().is_negotiated_h2() {
                let text = "the endpoint did not choose HTTP/2 (`endpoint.http` is `http2`)";
                return failed(io::ErrorKind::Unsupported, text.to_owned());
            }
            Ok(stream)
        })
    }
}
