//! The way through a proxy: an HTTP tunnel (RFC 9110, section 9.3.6), or SOCKS 5 (RFC 1928).

use bytes::Bytes;
use http::{
    Request, StatusCode, Uri,
    header::{HOST, PROXY_AUTHORIZATION},
};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use tower_service::Service;

use super::{
    dial::Tcp,
    failure,
    proxy::{Proxy, with_port},
    stream::Io,
};

/// It has no name of its own.
type SocksError = <SocksV5<Tcp> as Service<Uri>>::Error;

/// Bytes of a proxy's head that are read.
const MAX_HEAD: usize = 16 * 1024;

/// Why there is no way through a proxy. The cause is part of the text: whoever reads causes shall know that it is the
/// proxy's.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyFailure {
    #[error("the proxy `{label}` cannot be reached: {why}")]
    Unreachable { label: String, why: String },
    #[error("the proxy `{label}` {}", answered(*status))]
    Refused { label: String, status: StatusCode },
    #[error("the proxy `{label}` opened no tunnel: {why}")]
    NoTunnel { label: String, why: String },
}

/// What a status of a proxy's own means.
pub(super) fn answered(status: StatusCode) -> String {
    let hint = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ": it wants a user and a password, or others (`http://user:password@host:port`)"
        }
        StatusCode::FORBIDDEN => ": it does not allow this host or port",
        _ => "",
    };
    format!("answered {}{hint}", status.as_u16())
}

/// A connection to an HTTP proxy, to be asked for a tunnel or given whole requests.
///
/// # Errors
/// When there is no connection.
pub(super) async fn reach(
    proxy: &Proxy,
    mut connector: HttpsConnector<Tcp>,
) -> Result<Box<dyn Io>, ProxyFailure> {
    match connector.call(proxy.uri()).await {
        Ok(io) => Ok(Box::new(io)),
        Err(error) => Err(ProxyFailure::Unreachable {
            label: proxy.label().to_owned(),
            why: failure::why_boxed(&*error),
        }),
    }
}

/// Asks the proxy for a tunnel to the host and port of `to`.
///
/// # Errors
/// When it refuses, or what it says is no HTTP.
pub(super) async fn connect(
    proxy: &Proxy,
    io: Box<dyn Io>,
    to: &Uri,
) -> Result<Box<dyn Io>, ProxyFailure> {
    let no_tunnel = |why: String| ProxyFailure::NoTunnel {
        label: proxy.label().to_owned(),
        why,
    };
    let authority = explicit(to).authority().map(ToString::to_string);
    let authority = authority.unwrap_or_default();
    let mut request = Request::connect(&authority).header(HOST, &authority);
    if let Some(authorization) = proxy.authorization() {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| no_tunnel(error.to_string()))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(io)
        .await
        .map_err(|error| no_tunnel(failure::why_boxed(&error)))?;
    // The sender goes with the answer: then a connection that was refused ends.
    let asking = async move {
        let answer = sender.send_request(request).await?;
        Ok::<_, hyper::Error>(answer.status())
    };
    let (answer, rest) = tokio::join!(asking, connection.without_shutdown());
    let status = answer.map_err(|error| no_tunnel(failure::why_boxed(&error)))?;
    if !status.is_success() {
        return Err(ProxyFailure::Refused {
            label: proxy.label().to_owned(),
            status,
        });
    }
    let rest = rest.map_err(|error| no_tunnel(failure::why_boxed(&error)))?;
    if !rest.read_buf.is_empty() {
        return Err(no_tunnel(
            "it sent more than its answer, before anything was asked of the endpoint".to_owned(),
        ));
    }
    Ok(rest.io)
}

/// A connection through a SOCKS proxy, which looks up the name: this machine may not know it.
///
/// # Errors
/// When there is no connection, or the proxy refuses.
pub(super) async fn socks(proxy: &Proxy, tcp: Tcp, to: &Uri) -> Result<Box<dyn Io>, ProxyFailure> {
    let mut connector = SocksV5::new(proxy.uri(), tcp);
    if let Some((user, password)) = proxy.login() {
        connector = connector.with_auth(user.to_owned(), password.to_owned());
    }
    match connector.call(explicit(to)).await {
        Ok(io) => Ok(Box::new(io)),
        Err(SocksError::Inner(error)) => Err(ProxyFailure::Unreachable {
            label: proxy.label().to_owned(),
            why: failure::why_boxed(&*error),
        }),
        Err(error) => Err(ProxyFailure::NoTunnel {
            label: proxy.label().to_owned(),
            why: failure::why_boxed(&error),
        }),
    }
}

/// With the port that its scheme has.
fn explicit(to: &Uri) -> Uri {
    let port = if to.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    with_port(to, port)
}
