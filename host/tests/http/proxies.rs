//! Proxies: tunnels, whole requests, SOCKS, and what is said of those that refuse.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use nozzle::{
    http::{
        HttpClient, Transport,
        settings::{EndpointSettings, HttpVersion, NamedFile, Proxy, ProxyRule},
    },
    outcome::Failure,
};
use nozzle_testkit::{
    Child, Server,
    fault_endpoint::{Step, ok, write},
    plugin,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{
    connections::plain_server, endpoint, replies, request, send, text, tls_acceptor, tls_server,
};

/// `me:pw`, RFC 7617.
const LOGIN: &str = "Basic bWU6cHc=";
const LABEL: &str = "http://me:${env:PASSWORD}@proxy.test";

fn through(mut settings: EndpointSettings, proxy: &str) -> EndpointSettings {
    settings.proxy = ProxyRule::Written(Proxy::parse(proxy, LABEL).expect("a proxy"));
    settings
}

/// The heads of the requests for a tunnel.
type Heads = Arc<Mutex<Vec<String>>>;

/// A proxy that opens tunnels to this machine, whatever host they are for; its port.
async fn tunnels(tls: Option<tokio_rustls::TlsAcceptor>) -> (u16, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let heads = Heads::default();
    let shared = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (heads, tls) = (Arc::clone(&shared), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => tunnel(stream, &heads).await,
                    Some(acceptor) => {
                        let stream = acceptor.accept(stream).await.expect("a handshake");
                        tunnel(stream, &heads).await;
                    }
                }
            });
        }
    });
    (port, heads)
}

async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(stream: S, heads: &Heads) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await.expect("a head");
    }
    let port = head.split([':', ' ']).nth(2).expect("a port").to_owned();
    heads.lock().expect("whole").push(head);
    let mut inner = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .expect("an endpoint");
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\nx-proxy: yes\r\n\r\n")
        .await
        .expect("written");
    drop(tokio::io::copy_bidirectional(&mut stream, &mut inner).await);
}

/// An HTTPS endpoint that a resolver does not know.
async fn hidden(folder: &std::path::Path) -> (EndpointSettings, u16) {
    let (port, pem) = tls_server(folder, vec!["api.invalid".to_owned()], &["h2"]).await;
    let mut settings = endpoint(&format!("https://api.invalid:{port}/v1"));
    settings.tls.ca_file = Some(NamedFile::new(pem));
    (settings, port)
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let (settings, port) = hidden(folder.path()).await;
    let (proxy, heads) = tunnels(None).await;
    let settings = through(settings, &format!("http://me:pw@127.0.0.1:{proxy}"));
    let client = HttpClient::new(&settings, 4).expect("a client");

    for _ in 0..3 {
        let response = client.send(request(settings.url.as_str())).await;
        assert_eq!(response.expect("a response").body, "HTTP/2.0");
    }

    let host = format!("api.invalid:{port}");
    let expected =
        format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\nproxy-authorization: {LOGIN}\r\n\r\n");
    assert_eq!(*heads.lock().expect("whole"), [expected]);
}

#[tokio::test]
async fn a_proxy_is_reached_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut settings, _) = hidden(folder.path()).await;
    let endpoint_ca =
        std::fs::read(&settings.tls.ca_file.as_ref().expect("a file").path).expect("read");
    let (acceptor, pem) = tls_acceptor(folder.path(), vec!["localhost".to_owned()], &[]);
    let both: PathBuf = folder.path().join("both.pem");
    let pems = [endpoint_ca, std::fs::read(pem).expect("read")].concat();
    std::fs::write(&both, pems).expect("written");
    settings.tls.ca_file = Some(NamedFile::new(both));
    let (proxy, heads) = tunnels(Some(acceptor)).await;

    let right = send(&through(
        settings.clone(),
        &format!("https://localhost:{proxy}"),
    ))
    .await;
    let wrong = send(&through(settings, &format!("https://127.0.0.1:{proxy}"))).await;

    assert_eq!(right.expect("a response").body, "HTTP/2.0");
    assert_eq!(heads.lock().expect("whole").len(), 1);
    let Err(Failure::Connect(text)) = wrong else {
        panic!("{wrong:?}");
    };
    assert!(
        text.starts_with(
            "the proxy `http://proxy.test` cannot be reached: invalid peer certificate"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn http_is_sent_to_the_proxy_whole_and_http2_through_a_tunnel() {
    let proxy = replies([write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]).await;
    let address = proxy.url().replace("http://", "http://me:pw@");
    let settings = through(endpoint("http://api.invalid/v1?k=1"), &address);

    let response = send(&settings).await;

    assert_eq!(response.expect("a response").body, "ok");
    let text = text(&proxy);
    assert!(
        text.starts_with("POST http://api.invalid/v1?k=1 HTTP/1.1\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nhost: api.invalid\r\n"), "{text}");
    assert!(
        text.contains(&format!("\r\nproxy-authorization: {LOGIN}\r\n")),
        "{text}"
    );

    let server = plain_server().await;
    let (proxy, heads) = tunnels(None).await;
    let url = format!("http://api.invalid:{}/v1", server.port());
    let mut settings = through(endpoint(&url), &format!("http://127.0.0.1:{proxy}"));
    settings.http = HttpVersion::Http2;

    let response = send(&settings).await.expect("a response");

    let authority = format!("api.invalid:{}", server.port());
    assert_eq!(response.body, format!("HTTP/2.0 {authority} /v1"));
    assert!(heads.lock().expect("whole")[0].starts_with(&format!("CONNECT {authority} ")));
}

#[tokio::test]
async fn what_a_proxy_answers_is_the_connections_failure_and_shows_no_secret() {
    let says = |head: &str| write(format!("{head}\r\ncontent-length: 6\r\n\r\ncanary"));
    let table = [
        (
            "https://api.invalid/",
            says("HTTP/1.1 407 Proxy Authentication Required"),
            "answered 407: it wants a user and a password, or others (`http://user:password@host:port`)",
        ),
        (
            "http://api.invalid/",
            says("HTTP/1.1 407 Proxy Authentication Required"),
            "answered 407: it wants a user and a password, or others (`http://user:password@host:port`)",
        ),
        (
            "https://api.invalid/",
            says("HTTP/1.1 403 canary"),
            "answered 403: it does not allow this host or port",
        ),
        (
            "https://api.invalid/",
            says("HTTP/1.1 502 canary"),
            "answered 502",
        ),
        (
            "https://api.invalid/",
            write("\x05\x01canary, no HTTP\r\n\r\n"),
            "opened no tunnel: invalid HTTP version parsed",
        ),
        (
            "https://api.invalid/",
            vec![Step::Close],
            "opened no tunnel: connection closed before message completed",
        ),
        (
            "https://api.invalid/",
            write("HTTP/1.1 200 OK\r\n\r\ncanary"),
            "opened no tunnel: it sent more than its answer, before anything was asked of the endpoint",
        ),
    ];
    for (url, reply, expected) in table {
        let proxy = replies([reply]).await;
        let address = proxy.url().replace("http://", "http://me:canary@");

        let failure = send(&through(endpoint(url), &address)).await;

        let text = format!("the proxy `http://proxy.test` {expected} (`${{Api:url}}`)");
        assert_eq!(failure, Err(Failure::Connect(text)), "{url}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_or_silent_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = free.local_addr().expect("an address");
    drop(free);
    let silent = replies([vec![Step::Hang]]).await;
    let table = [
        (
            format!("http://{gone}"),
            "the proxy `http://proxy.test` cannot be reached: Connection refused (os error 111)",
        ),
        (
            format!("socks5://{gone}"),
            "the proxy `http://proxy.test` cannot be reached: Connection refused (os error 111)",
        ),
        (
            silent.url(),
            "no connection through the proxy `http://proxy.test` within 200ms (`endpoint.connect-timeout`)",
        ),
    ];
    for (address, expected) in table {
        let mut settings = through(endpoint("https://api.invalid/"), &address);
        settings.connect_timeout = Duration::from_millis(200);

        let failure = send(&settings).await;

        let text = format!("{expected} (`${{Api:url}}`)");
        assert_eq!(failure, Err(Failure::Connect(text)));
    }
}

/// `nozzle` with these variables, and no other proxy's.
fn host(variables: &[(&str, &str)], arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    Child::start(command.envs(variables.iter().copied()).args(arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environments_proxy_is_used_where_no_other_is_written() {
    let proxy = replies([ok(b"")]).await;
    let direct = replies([ok(b"")]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (plugin, state) = (plugin("json_batch.wasm"), folder.path().join("state"));
    let run = |name: &str, url: &str| {
        let (name, proxy, url) = (name.to_owned(), proxy.url(), url.to_owned());
        let (plugin, state) = (plugin.display().to_string(), state.display().to_string());
        tokio::task::spawn_blocking(move || {
            let arguments = ["run", "--plugin", &plugin, "--url", &url, "--count", "3"];
            let arguments = [&arguments[..], &["--state-dir", &state]].concat();
            host(&[(&name, &proxy)], &arguments).finish()
        })
    };

    let elsewhere = run("http_proxy", "http://api.invalid/v1").await;
    let here = run("ALL_PROXY", &direct.url()).await;

    for ended in [elsewhere, here] {
        let ended = ended.expect("it ends");
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
    let targets: Vec<_> = proxy.requests().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["http://api.invalid/v1"]);
    assert_eq!(direct.requests().len(), 1);
}

#[test]
fn an_environment_that_names_no_proxy_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = plugin("json_batch.wasm").display().to_string();
    let module = |name: &str, endpoint: &str| {
        let path = folder.path().join(name);
        let text = format!(
            "version: \"1\"\ningresses:\n  - {{ id: t/in, datagen: {{}}, routers: [{{ to: [t/sink] }}] }}\n\
             sinks:\n  - id: t/sink\n    plugin: {{ path: {plugin} }}\n    endpoint: {{ url: \"https://api.invalid/\"{endpoint} }}\n"
        );
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let variables = [("https_proxy", "socks4://canary:1")];
    let flags = [
        "run",
        "--plugin",
        &plugin,
        "--url",
        "https://api.invalid/",
        "--count",
        "3",
    ];
    let open = module("open.yaml", "");
    let around = module("around.yaml", ", proxy: none");

    for arguments in [&flags[..], &["check", &open]] {
        let ended = host(&variables, arguments).finish();

        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        let text = "the environment variable `https_proxy` names no proxy";
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
    let ended = host(&variables, &["check", &around]).finish();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
}

/// Proxies that are not ours, with an endpoint of this machine under a name that they know.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_proxies_let_those_in_who_know_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, pem) = tls_server(folder.path(), vec!["localhost".to_owned()], &["h2"]).await;
    let mut https = endpoint(&format!("https://localhost:{port}/"));
    https.tls.ca_file = Some(NamedFile::new(pem));
    let plain = plain_server().await.port();
    let http = endpoint(&format!("http://localhost:{plain}/v1"));
    let servers = tokio::task::spawn_blocking(|| {
        let http = Server::proxy_py("me:pw");
        let socks = Server::pproxy("me:pw");
        [("http", http), ("socks5h", socks)]
    });
    for (scheme, server) in &servers.await.expect("they come up") {
        let at = |login: &str| {
            let address = server.url().replace("http://", "");
            format!("{scheme}://{login}@{address}")
        };
        for (settings, body) in [
            (&https, "HTTP/2.0".to_owned()),
            (&http, format!("HTTP/1.1 localhost:{plain} /v1")),
        ] {
            let right = send(&through(settings.clone(), &at("me:pw"))).await;
            let wrong = send(&through(settings.clone(), &at("me:canary"))).await;

            assert_eq!(right.expect("a response").body, body, "{scheme}");
            let Err(Failure::Connect(text)) = wrong else {
                panic!("{scheme}: {wrong:?}");
            };
            assert!(text.starts_with("the proxy `http://proxy.test` "), "{text}");
            assert!(
                *scheme != "http" || text.contains(" answered 407"),
                "{text}"
            );
            assert!(!text.contains("canary"), "{text}");
        }
    }
}

/// RFC 1928 and RFC 1929, for one connection to this machine; what it was asked for.
async fn socks(listener: TcpListener, lets_in: bool) -> (String, u16) {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let mut methods = vec![0; 2];
    stream.read_exact(&mut methods).await.expect("a greeting");
    let mut offered = vec![0; usize::from(methods[1])];
    stream.read_exact(&mut offered).await.expect("methods");
    assert_eq!(offered, [2], "user and password");
    stream.write_all(&[5, 2]).await.expect("written");
    let mut login = [0; 7];
    stream.read_exact(&mut login).await.expect("a login");
    assert_eq!(login, *b"\x01\x02me\x02pw");
    stream
        .write_all(&[1, u8::from(!lets_in)])
        .await
        .expect("written");
    if !lets_in {
        return (String::new(), 0);
    }
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.expect("a request");
    assert_eq!(head[..4], [5, 1, 0, 3], "a connection to a name");
    let mut name = vec![0; usize::from(head[4])];
    stream.read_exact(&mut name).await.expect("a name");
    let port = stream.read_u16().await.expect("a port");
    let mut inner = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("an endpoint");
    stream
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .expect("written");
    drop(tokio::io::copy_bidirectional(&mut stream, &mut inner).await);
    (String::from_utf8(name).expect("ASCII"), port)
}

#[tokio::test]
async fn a_socks_proxy_looks_the_name_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (https, port) = hidden(folder.path()).await;
    let plain = plain_server().await.port();
    let http = endpoint(&format!("http://api.invalid:{plain}/v1"));
    for (settings, port, body) in [
        (https, port, "HTTP/2.0".to_owned()),
        (http, plain, format!("HTTP/1.1 api.invalid:{plain} /v1")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = listener.local_addr().expect("an address");
        let serving = tokio::spawn(socks(listener, true));

        let response = send(&through(settings, &format!("socks5h://me:pw@{proxy}"))).await;

        assert_eq!(response.expect("a response").body, body);
        let asked = serving.await.expect("it was asked");
        assert_eq!(asked, ("api.invalid".to_owned(), port));
    }
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = listener.local_addr().expect("an address");
    tokio::spawn(socks(listener, false));
    let settings = through(
        endpoint("http://api.invalid/"),
        &format!("socks5://me:pw@{proxy}"),
    );

    let failure = send(&settings).await.expect_err("it lets nobody in");

    let Failure::Connect(text) = failure else {
        panic!("{failure:?}");
    };
    assert!(
        text.starts_with("the proxy `http://proxy.test` opened no tunnel: "),
        "{text}"
    );
}
