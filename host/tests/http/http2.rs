//! HTTP/2, frame by frame: what becomes of a request when the endpoint withdraws its stream or its connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nozzle::{
    http::{HttpClient, Transport, settings::EndpointSettings},
    outcome::{Failure, Response},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;

use super::{endpoint, request, tls_acceptor};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// HPACK: `:status: 200`, by its place in the static table (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;

/// How the first connection answers its requests.
#[derive(Debug, Clone)]
enum Script {
    /// `200` to each.
    Fine,
    /// Withdraws before the head.
    Refuses(Withdrawal),
    /// Withdraws between head and body.
    Breaks(Withdrawal),
    /// `200` to the first request, and with it a GOAWAY that asks for no more.
    Leaves,
    /// A head of this many bytes.
    Flood(usize),
    /// `200` to the first request, then no frame any more, not even to a PING.
    Dies,
}

#[derive(Debug, Clone, Copy)]
enum Withdrawal {
    /// GOAWAY with this code: no request was processed. The debug data has a canary.
    GoAway(u32),
    /// RST_STREAM with this code.
    Reset(u32),
}

impl Withdrawal {
    fn frame(self, stream: u32) -> Vec<u8> {
        match self {
            Self::GoAway(code) => go_away(0, code),
            Self::Reset(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
        }
    }
}

struct Server {
    settings: EndpointSettings,
    connections: Arc<AtomicUsize>,
    // Its root stands in it.
    _folder: tempfile::TempDir,
}

/// The first connection goes by `script`, later ones are fine.
async fn serve(script: Script) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let (acceptor, pem) = tls_acceptor(folder.path(), vec!["localhost".to_owned()], &["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let script = if first { script.clone() } else { Script::Fine };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    drop(connection(stream, script).await);
                }
            });
        }
    });
    let mut settings = endpoint(&format!("https://localhost:{port}/"));
    settings.ca_file = Some(pem);
    Server {
        settings,
        connections,
        _folder: folder,
    }
}

async fn connection(mut stream: TlsStream<TcpStream>, script: Script) -> std::io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let mut answered = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        if matches!(script, Script::Dies) && answered == 1 {
            // Everything is taken, nothing is said: what a lost route looks like.
            continue;
        }
        let stream_id = u32::from_be_bytes(id);
        let answer = match (kind, &script) {
            (SETTINGS | PING, _) if flags & ACK == 0 => {
                let echo = if kind == PING { &*payload } else { &[] };
                frame(kind, ACK, 0, echo)
            }
            (HEADERS, Script::Fine | Script::Dies) => {
                frame(HEADERS, END_STREAM | END_HEADERS, stream_id, &[STATUS_200])
            }
            (HEADERS, Script::Refuses(withdrawal)) => withdrawal.frame(stream_id),
            (HEADERS, Script::Breaks(withdrawal)) => {
                let head = frame(HEADERS, END_HEADERS, stream_id, &[STATUS_200]);
                [head, withdrawal.frame(stream_id)].concat()
            }
            (HEADERS, Script::Leaves) => {
                let whole = frame(HEADERS, END_STREAM | END_HEADERS, stream_id, &[STATUS_200]);
                [whole, go_away(stream_id, 0)].concat()
            }
            (HEADERS, Script::Flood(bytes)) => flood(stream_id, *bytes),
            _ => continue,
        };
        stream.write_all(&answer).await?;
        answered += usize::from(kind == HEADERS);
    }
}

/// RFC 9113, section 6.8, with debug data that no text may have.
fn go_away(last_stream: u32, code: u32) -> Vec<u8> {
    let fields = [
        &last_stream.to_be_bytes()[..],
        &code.to_be_bytes(),
        b"canary\x1b[2J",
    ]
    .concat();
    frame(GOAWAY, 0, 0, &fields)
}

/// RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let head = [&[a, b, c, kind, flags], &stream.to_be_bytes()[..]].concat();
    [&head, payload].concat()
}

/// A head with fields of 110 bytes, in as many frames as it takes.
fn flood(stream: u32, bytes: usize) -> Vec<u8> {
    let mut field = vec![0, 10];
    field.extend(*b"x-filler-x");
    field.push(100);
    field.extend([b'y'; 100]);
    let fields = [vec![STATUS_200], field.repeat(bytes / 110)].concat();
    let chunks: Vec<_> = fields.chunks(16_000).collect();
    let mut frames = Vec::new();
    for (place, chunk) in chunks.iter().enumerate() {
        let kind = if place == 0 { HEADERS } else { CONTINUATION };
        let last = place + 1 == chunks.len();
        let flags = if place == 0 { END_STREAM } else { 0 } | if last { END_HEADERS } else { 0 };
        frames.extend(frame(kind, flags, stream, chunk));
    }
    frames
}

async fn in_time(client: &HttpClient, settings: &EndpointSettings) -> Result<Response, Failure> {
    let sent = client.send(request(settings.url.as_str()));
    tokio::time::timeout(nozzle_testkit::DEADLINE, sent)
        .await
        .expect("it must not hang")
}

#[tokio::test]
async fn calls_share_a_connection() {
    let server = serve(Script::Fine).await;
    let client = HttpClient::new(&server.settings, 4).expect("a client");

    for _ in 0..5 {
        let response = in_time(&client, &server.settings).await;
        assert_eq!(response.expect("a response").status, 200);
    }

    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_the_endpoint_withdraws_is_a_protocol_failure_that_says_why() {
    let table = [
        (
            Script::Refuses(Withdrawal::GoAway(0xb)),
            "the endpoint closed the HTTP/2 connection: detected excessive load generating behavior (code 11)",
        ),
        (
            Script::Refuses(Withdrawal::Reset(7)),
            "the endpoint reset the HTTP/2 stream: refused stream before processing any application logic (code 7)",
        ),
        (
            Script::Refuses(Withdrawal::Reset(0xd)),
            "the endpoint reset the HTTP/2 stream: endpoint requires HTTP/1.1 (code 13)",
        ),
        (
            Script::Refuses(Withdrawal::Reset(0xdead)),
            "the endpoint reset the HTTP/2 stream: unknown reason (code 57005)",
        ),
        (
            Script::Breaks(Withdrawal::Reset(2)),
            "the response broke off: the endpoint reset the HTTP/2 stream: \
             unexpected internal error encountered (code 2)",
        ),
        (
            Script::Breaks(Withdrawal::GoAway(2)),
            "the response broke off: the endpoint closed the HTTP/2 connection: \
             unexpected internal error encountered (code 2)",
        ),
        // Half of a response must not be taken for the whole.
        (
            Script::Breaks(Withdrawal::Reset(0)),
            "the response broke off: the endpoint closed the HTTP/2 stream before its end",
        ),
        (
            Script::Breaks(Withdrawal::GoAway(0)),
            "the response broke off: the endpoint closed the HTTP/2 stream before its end",
        ),
    ];
    for (script, expected) in table {
        let server = serve(script).await;
        let client = HttpClient::new(&server.settings, 4).expect("a client");

        let failure = in_time(&client, &server.settings).await;

        assert_eq!(failure, Err(Failure::Protocol(expected.to_owned())));
    }
}

#[tokio::test]
async fn a_withdrawn_connection_gets_no_further_request() {
    let table = [
        (Script::Leaves, true),
        (Script::Refuses(Withdrawal::GoAway(0)), false),
        (Script::Refuses(Withdrawal::GoAway(0xb)), false),
        (Script::Breaks(Withdrawal::GoAway(0)), false),
    ];
    for (script, answers) in table {
        let shown = format!("{script:?}");
        let server = serve(script).await;
        let client = HttpClient::new(&server.settings, 4).expect("a client");

        let first = in_time(&client, &server.settings).await;
        let next = in_time(&client, &server.settings).await;

        assert_eq!(first.is_ok(), answers, "{shown}: {first:?}");
        assert_eq!(next.expect("a response").status, 200, "{shown}");
        assert_eq!(server.connections.load(Ordering::SeqCst), 2, "{shown}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_a_protocol_failure() {
    let small = serve(Script::Flood(16 * 1024)).await;
    let client = HttpClient::new(&small.settings, 4).expect("a client");
    assert_eq!(
        in_time(&client, &small.settings)
            .await
            .expect("a response")
            .status,
        200
    );

    for bytes in [100 * 1024, 400 * 1024] {
        let large = serve(Script::Flood(bytes)).await;
        let client = HttpClient::new(&large.settings, 4).expect("a client");

        let failure = in_time(&client, &large.settings).await;

        assert!(matches!(failure, Err(Failure::Protocol(_))), "{failure:?}");
    }
}

/// Dropping an attempt drops a stream, not its connection: without a sign of life, every later call would
/// go into the same dead connection until TCP gives up.
#[tokio::test]
async fn a_connection_that_went_dead_is_given_up() {
    let server = serve(Script::Dies).await;
    let client = HttpClient::new(&server.settings, 4).expect("a client");
    let first = in_time(&client, &server.settings).await;
    assert_eq!(first.expect("a response").status, 200);

    // Nothing is left but timers: the clock moves by itself.
    tokio::time::pause();
    let dead = in_time(&client, &server.settings).await;
    tokio::time::resume();
    let next = in_time(&client, &server.settings).await;

    let silent = "the endpoint gave no sign of life on the HTTP/2 connection";
    assert_eq!(dead, Err(Failure::Protocol(silent.to_owned())));
    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_went_dead_while_idle_takes_no_request_with_it() {
    let server = serve(Script::Dies).await;
    let client = HttpClient::new(&server.settings, 4).expect("a client");
    let first = in_time(&client, &server.settings).await;
    assert_eq!(first.expect("a response").status, 200);

    tokio::time::pause();
    // Idle connections are kept for longer than this.
    tokio::time::sleep(Duration::from_secs(30)).await;
    tokio::time::resume();
    let next = in_time(&client, &server.settings).await;

    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}
