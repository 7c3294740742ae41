//! The client against servers that misbehave, on real sockets. Promise 4: the host owns what is dangerous.

#[path = "http/addresses.rs"]
mod addresses;
#[path = "http/connections.rs"]
mod connections;
#[path = "http/failover.rs"]
mod failover;
#[path = "http/faults.rs"]
mod faults;
#[path = "http/framing.rs"]
mod framing;
#[path = "http/http2.rs"]
mod http2;
#[path = "http/malformed.rs"]
mod malformed;
#[path = "http/proxies.rs"]
mod proxies;
#[path = "http/secrets.rs"]
mod secrets;
#[path = "http/stuck.rs"]
mod stuck;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nozzle::{
    auth::{AuthSettings, Secret},
    http::{
        HttpClient, Request, Transport,
        settings::{EndpointSettings, NamedFile},
    },
    outcome::{Failure, Response},
};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, Replies, Step, Wire, write};
use tokio::net::TcpListener;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn endpoint(url: &str) -> EndpointSettings {
    EndpointSettings::new(url.parse().expect("a URL"), "${Api:url}".to_owned())
}

/// A file whose path is a secret.
fn named(path: std::path::PathBuf) -> NamedFile {
    NamedFile {
        path,
        label: "${file:ca}".to_owned(),
    }
}

fn request(url: &str) -> Request {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
    let uri = url.parse().expect("a URI");
    Request {
        method: Method::POST,
        uri,
        headers,
        body: Some(Bytes::from_static(b"hello")),
    }
}

async fn send(settings: &EndpointSettings) -> Result<Response, Failure> {
    let client = HttpClient::new(settings, 4).expect("a client");
    let sent = client.send(request(settings.url.as_str()));
    tokio::time::timeout(nozzle_testkit::DEADLINE, sent)
        .await
        .expect("it must not hang")
}

/// The n-th request gets the n-th reply, later ones the last.
async fn replies(replies: impl IntoIterator<Item = Vec<Step>>) -> FaultEndpoint {
    FaultEndpoint::start(Wire::Http, Replies::new(replies)).await
}

async fn answer(reply: Vec<Step>) -> Result<Response, Failure> {
    let server = replies([reply]).await;
    send(&endpoint(&server.url())).await
}

/// The first request as it stood on the wire.
fn text(server: &FaultEndpoint) -> String {
    String::from_utf8_lossy(&server.requests()[0].raw).into_owned()
}

#[tokio::test]
async fn promise_4_the_message_on_the_wire_is_the_hosts() {
    let server = replies([write(OK)]).await;
    let mut settings = endpoint(&server.url());
    settings.headers = vec![(
        "x-tenant".parse().expect("a name"),
        HeaderValue::from_static("shop"),
    )];
    settings.auth = Some(AuthSettings::Header {
        name: "x-api-key".parse().expect("a name"),
        value: Secret::fixed("secret"),
    });

    let response = send(&settings).await.expect("a response");

    assert_eq!(
        (response.status, &*response.body, response.truncated),
        (200, &b"ok"[..], false)
    );
    let host = server.url().replace("http://", "").replace('/', "");
    let mut lines: Vec<String> = text(&server).split("\r\n").map(str::to_owned).collect();
    lines[1..6].sort();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        "POST / HTTP/1.1".to_owned(),
        "content-length: 5".to_owned(),
        "content-type: text/plain".to_owned(),
        format!("host: {host}"),
        format!("user-agent: nozzle/{version}"),
        "x-api-key: secret".to_owned(),
    ];
    assert!(
        expected.iter().all(|line| lines.contains(line)),
        "{lines:?}"
    );
    assert!(lines.contains(&"x-tenant: shop".to_owned()));
    assert_eq!(lines.len(), 9, "nothing else is sent: {lines:?}");
    assert!(!format!("{settings:?}").contains("secret"));
}

#[tokio::test]
async fn connections_are_kept() {
    let server = replies([write(OK)]).await;
    let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

    for _ in 0..5 {
        client
            .send(request(&server.url()))
            .await
            .expect("a response");
    }

    assert_eq!((server.requests().len(), server.connections()), (5, 1));
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let elsewhere = replies([write(OK)]).await;
    let head = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url()
    );

    let response = answer(write(&head)).await.expect("a response");

    assert_eq!(response.status, 307);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_and_its_connection_closed() {
    let head = write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunks = Step::Flood {
        bytes: format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into(),
        times: u64::MAX,
    };
    let server = replies([[head, vec![chunks]].concat(), write(OK)]).await;
    let settings = endpoint(&server.url());
    let client = HttpClient::new(&settings, 4).expect("a client");

    let endless = client
        .send(request(&server.url()))
        .await
        .expect("a response");
    let next = client
        .send(request(&server.url()))
        .await
        .expect("a response");

    assert_eq!((endless.body.len(), endless.truncated), (1024 * 1024, true));
    assert_eq!((next.body.len(), next.truncated), (2, false));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn no_connection_is_named_without_the_url() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/canary", free.local_addr().expect("an address"));
    drop(free);

    let failure = send(&endpoint(&url)).await.expect_err("nobody listens");

    let Failure::Connect(text) = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(text, "Connection refused (os error 111) (`${Api:url}`)");
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_ends() {
    let server = replies([vec![Step::Hang]]).await;
    let mut settings = endpoint(&server.url().replace("http:", "https:"));
    settings.connect_timeout = Duration::from_millis(50);

    let failure = send(&settings).await.expect_err("no handshake");

    assert!(
        matches!(&failure, Failure::Connect(text) if text.contains("connect-timeout")),
        "{failure:?}"
    );
}

/// Accepts TLS with a certificate of its own for these names; with the PEM file of its root.
fn tls_acceptor(
    folder: &std::path::Path,
    names: Vec<String>,
    alpn: &[&str],
) -> (tokio_rustls::TlsAcceptor, std::path::PathBuf) {
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let pem = folder.join("ca.pem");
    std::fs::write(&pem, certified.cert.pem()).expect("written");
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
        .expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), pem)
}

/// An HTTPS server for these names, and the PEM file of its root.
async fn tls_server(
    folder: &std::path::Path,
    names: Vec<String>,
    alpn: &[&str],
) -> (u16, std::path::PathBuf) {
    let (acceptor, pem) = tls_acceptor(folder, names, alpn);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = hyper::service::service_fn(
                    async |request: http::Request<hyper::body::Incoming>| {
                        let version = format!("{:?}", request.version());
                        Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(
                            Bytes::from(version),
                        )))
                    },
                );
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(
                    builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    (port, pem)
}

#[tokio::test]
async fn tls_is_checked_and_alpn_chooses_the_version() {
    let folder = tempfile::tempdir().expect("a folder");
    for (alpn, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let (port, pem) = tls_server(folder.path(), vec!["localhost".to_owned()], alpn).await;
        let mut trusting = endpoint(&format!("https://localhost:{port}/"));
        trusting.tls.ca_file = Some(named(pem));
        let mut wrong_name = trusting.clone();
        wrong_name.url = format!("https://127.0.0.1:{port}/").parse().expect("a URL");
        let other_root =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let other = folder.path().join("other.pem");
        std::fs::write(&other, other_root.cert.pem()).expect("written");
        let mut unknown_root = trusting.clone();
        unknown_root.tls.ca_file = Some(named(other));

        let trusted = send(&trusting).await.expect("a response");
        let name = send(&wrong_name)
            .await
            .expect_err("it is not for 127.0.0.1");
        let root = send(&unknown_root)
            .await
            .expect_err("nobody knows its root");

        assert_eq!(trusted.body, version);
        assert!(
            matches!(&name, Failure::Tls(text) if text.contains("for another name")),
            "{name:?}"
        );
        assert!(
            matches!(&root, Failure::Tls(text) if text.contains("ca-file")),
            "{root:?}"
        );
    }
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").expect("written");
    for path in [empty, folder.path().join("missing.pem")] {
        let mut settings = endpoint("https://localhost/");
        settings.tls.ca_file = Some(named(path.clone()));

        let error = HttpClient::new(&settings, 1).expect_err("unusable");

        assert_eq!(error.to_string(), "`ca-file` `${file:ca}` cannot be used");
        assert!(!format!("{error:?}").contains(&path.display().to_string()));
    }
}
