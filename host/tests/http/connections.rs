//! Versions of HTTP, and connections over a Unix socket.

use std::{convert::Infallible, path::Path};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nozzle::{
    http::settings::{EndpointSettings, HttpVersion, NamedFile, UnixSocket},
    outcome::Failure,
};
use nozzle_testkit::fault_endpoint::write;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};

use super::{endpoint, replies, send, tls_acceptor, tls_server};

/// Answers with the version, the host and the path that a request has, until the client leaves.
pub(super) async fn echo<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) {
    let service = hyper::service::service_fn(async |request: http::Request<Incoming>| {
        let host = request.headers().get("host");
        let host = host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let host = host.or(request.uri().authority().map(ToString::to_string));
        let path = request.uri().path_and_query().map(ToString::to_string);
        let seen = format!(
            "{:?} {} {}",
            request.version(),
            host.unwrap_or_default(),
            path.unwrap_or_default()
        );
        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(seen))))
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    drop(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

/// A server of both versions without TLS; its address.
pub(super) async fn plain_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    address
}

#[tokio::test]
async fn without_tls_http2_is_spoken_by_prior_knowledge_alone() {
    let address = plain_server().await;
    for (http, version) in [
        (HttpVersion::Auto, "HTTP/1.1"),
        (HttpVersion::Http1, "HTTP/1.1"),
        (HttpVersion::Http2, "HTTP/2.0"),
    ] {
        let mut settings = endpoint(&format!("http://{address}/v1?k=1"));
        settings.http = http;

        let response = send(&settings).await.expect("a response");

        assert_eq!(response.body, format!("{version} {address} /v1?k=1"));
    }
}

#[tokio::test]
async fn a_server_of_http1_alone_is_a_failure_under_http2() {
    let server = replies([write(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    )])
    .await;
    let mut settings = endpoint(&server.url());
    settings.http = HttpVersion::Http2;

    let failure = send(&settings).await.expect_err("it is no HTTP/2");

    assert!(matches!(failure, Failure::Protocol(_)), "{failure:?}");
}

#[tokio::test]
async fn over_tls_the_version_is_agreed_on_or_refused() {
    let both = &["h2", "http/1.1"][..];
    let table = [
        (HttpVersion::Auto, both, Ok("HTTP/2.0")),
        (HttpVersion::Http1, both, Ok("HTTP/1.1")),
        (HttpVersion::Http1, &[], Ok("HTTP/1.1")),
        (HttpVersion::Http2, both, Ok("HTTP/2.0")),
        (HttpVersion::Http2, &["h2"], Ok("HTTP/2.0")),
        (HttpVersion::Http2, &["http/1.1"], Err("`endpoint.http`")),
        (HttpVersion::Http2, &[], Err("`endpoint.http` is `http2`")),
        (HttpVersion::Http1, &["h2"], Err("`endpoint.http`")),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (http, alpn, expected) in table {
        let (port, pem) = tls_server(folder.path(), vec!["localhost".to_owned()], alpn).await;
        let mut settings = endpoint(&format!("https://localhost:{port}/"));
        settings.tls.ca_file = Some(NamedFile::new(pem));
        settings.http = http;

        let outcome = send(&settings).await;

        match (outcome, expected) {
            (Ok(response), Ok(version)) => assert_eq!(response.body, version, "{http:?} {alpn:?}"),
            (Err(failure), Err(text)) => {
                assert!(
                    failure.to_string().contains(text),
                    "{failure} ({http:?} {alpn:?})"
                );
            }
            other => panic!("{other:?} ({http:?} {alpn:?})"),
        }
    }
}

fn socket(path: &Path) -> Option<UnixSocket> {
    Some(UnixSocket {
        path: path.to_owned(),
        label: "run/${env:NAME}.sock".to_owned(),
    })
}

#[tokio::test]
async fn a_unix_socket_carries_requests_for_the_urls_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    for (http, version) in [
        (HttpVersion::Auto, "HTTP/1.1"),
        (HttpVersion::Http2, "HTTP/2.0"),
    ] {
        // Nobody listens at the URL's own place, and no resolver knows its name.
        let mut settings = endpoint("http://app.invalid:9/v1");
        settings.unix_socket = socket(&path);
        settings.http = http;

        let response = send(&settings).await.expect("a response");

        assert_eq!(response.body, format!("{version} app.invalid:9 /v1"));
    }
}

#[tokio::test]
async fn tls_over_a_unix_socket_is_for_the_urls_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.sock");
    let (acceptor, pem) = tls_acceptor(folder.path(), vec!["app.invalid".to_owned()], &["h2"]);
    let listener = UnixListener::bind(&path).expect("a socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    echo(stream).await;
                }
            });
        }
    });
    let with = |url: &str| -> EndpointSettings {
        let mut settings = endpoint(url);
        settings.unix_socket = socket(&path);
        settings.tls.ca_file = Some(NamedFile::new(pem.clone()));
        settings
    };

    let right = send(&with("https://app.invalid/")).await;
    let wrong = send(&with("https://other.invalid/")).await;

    assert_eq!(right.expect("a response").body, "HTTP/2.0 app.invalid /");
    assert!(matches!(wrong, Err(Failure::Tls(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_named_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("canary.sock");
    let left = folder.path().join("canary-left.sock");
    drop(UnixListener::bind(&left).expect("a socket"));
    for (path, why) in [
        (missing, "No such file or directory (os error 2)"),
        (left, "Connection refused (os error 111)"),
    ] {
        let mut settings = endpoint("http://localhost/");
        settings.unix_socket = socket(&path);

        let failure = send(&settings).await.expect_err("nobody serves it");

        let named = "(`endpoint.unix-socket` is `run/${env:NAME}.sock`) (`${Api:url}`)";
        assert_eq!(failure, Failure::Connect(format!("{why} {named}")));
    }
}
