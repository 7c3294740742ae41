//! HTTP/2: what becomes of a request when the endpoint withdraws its stream or its connection.

use std::time::Duration;

use nozzle::{http::HttpClient, outcome::Failure};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, Frame, Place, Replies, Step, Wire, ok};

use super::{
    faults::{in_time, settings},
    request,
};

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The first request gets this reply, later ones are answered.
async fn serve(first: Vec<Step>) -> FaultEndpoint {
    FaultEndpoint::start(Wire::Http2, Replies::new([first, ok(b"")])).await
}

/// Answered, then silent.
fn dies() -> Vec<Step> {
    [ok(b""), vec![Step::Vanish]].concat()
}

fn frames(frames: impl Into<Vec<Frame>>) -> Vec<Step> {
    vec![Step::Frames(frames.into())]
}

/// Half of an answer, then this.
fn breaks(frame: Frame) -> Vec<Step> {
    frames([Frame::head(200, &[]), frame])
}

/// No request was processed.
fn goes_away(code: u32) -> Frame {
    let last = Place::Connection;
    Frame::GoAway { last, code }
}

/// A head with fields of 110 bytes, in as many frames as it takes.
fn flood(bytes: usize) -> Vec<Step> {
    let mut field = vec![0, 10];
    field.extend(*b"x-filler-x");
    field.push(100);
    field.extend([b'y'; 100]);
    // HPACK: `:status: 200`, by its place in the static table (RFC 7541, appendix A).
    let fields = [vec![0x88], field.repeat(bytes / 110)].concat();
    let chunks: Vec<_> = fields.chunks(16_000).collect();
    let last = chunks.len() - 1;
    let part = |(place, chunk): (usize, &&[u8])| Frame::Any {
        kind: if place == 0 { HEADERS } else { CONTINUATION },
        flags: if place == 0 { END_STREAM } else { 0 }
            | if place == last { END_HEADERS } else { 0 },
        place: Place::Request,
        payload: chunk.to_vec(),
    };
    frames(chunks.iter().enumerate().map(part).collect::<Vec<_>>())
}

#[tokio::test]
async fn calls_share_a_connection() {
    let server = serve(ok(b"")).await;
    let client = HttpClient::new(&settings(&server), 4).expect("a client");

    for _ in 0..5 {
        let response = in_time(&client, request(&server.url())).await;
        assert_eq!(response.expect("a response").status, 200);
    }

    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_the_endpoint_withdraws_is_a_protocol_failure_that_says_why() {
    let table = [
        (
            frames([goes_away(0xb)]),
            "the endpoint closed the HTTP/2 connection: detected excessive load generating behavior (code 11)",
        ),
        (
            frames([Frame::reset(7)]),
            "the endpoint reset the HTTP/2 stream: refused stream before processing any application logic (code 7)",
        ),
        (
            frames([Frame::reset(0xd)]),
            "the endpoint reset the HTTP/2 stream: endpoint requires HTTP/1.1 (code 13)",
        ),
        (
            frames([Frame::reset(0xdead)]),
            "the endpoint reset the HTTP/2 stream: unknown reason (code 57005)",
        ),
        (
            breaks(Frame::reset(2)),
            "the response broke off: the endpoint reset the HTTP/2 stream: \
             unexpected internal error encountered (code 2)",
        ),
        (
            breaks(goes_away(2)),
            "the response broke off: the endpoint closed the HTTP/2 connection: \
             unexpected internal error encountered (code 2)",
        ),
        // Half of a response must not be taken for the whole.
        (
            breaks(Frame::reset(0)),
            "the response broke off: the endpoint closed the HTTP/2 stream before its end",
        ),
        (
            breaks(goes_away(0)),
            "the response broke off: the endpoint closed the HTTP/2 stream before its end",
        ),
    ];
    for (script, expected) in table {
        let server = serve(script).await;
        let client = HttpClient::new(&settings(&server), 4).expect("a client");

        let failure = in_time(&client, request(&server.url())).await;

        assert_eq!(failure, Err(Failure::Protocol(expected.to_owned())));
    }
}

#[tokio::test]
async fn a_withdrawn_connection_gets_no_further_request() {
    let last = Place::Request;
    let leaves = frames([
        Frame::head(200, &[]).last(),
        Frame::GoAway { last, code: 0 },
    ]);
    let table = [
        (leaves, true),
        (frames([goes_away(0)]), false),
        (frames([goes_away(0xb)]), false),
        (breaks(goes_away(0)), false),
    ];
    for (script, answers) in table {
        let shown = format!("{script:?}");
        let server = serve(script).await;
        let client = HttpClient::new(&settings(&server), 4).expect("a client");

        let first = in_time(&client, request(&server.url())).await;
        let next = in_time(&client, request(&server.url())).await;

        assert_eq!(first.is_ok(), answers, "{shown}: {first:?}");
        assert_eq!(next.expect("a response").status, 200, "{shown}");
        assert_eq!(server.connections(), 2, "{shown}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_a_protocol_failure() {
    let small = serve(flood(16 * 1024)).await;
    let client = HttpClient::new(&settings(&small), 4).expect("a client");
    assert_eq!(
        in_time(&client, request(&small.url()))
            .await
            .expect("a response")
            .status,
        200
    );

    for bytes in [100 * 1024, 400 * 1024] {
        let large = serve(flood(bytes)).await;
        let client = HttpClient::new(&settings(&large), 4).expect("a client");

        let failure = in_time(&client, request(&large.url())).await;

        assert!(matches!(failure, Err(Failure::Protocol(_))), "{failure:?}");
    }
}

/// Dropping an attempt drops a stream, not its connection: without a sign of life, every later call would
/// go into the same dead connection until TCP gives up.
#[tokio::test]
async fn a_connection_that_went_dead_is_given_up() {
    let server = serve(dies()).await;
    let client = HttpClient::new(&settings(&server), 4).expect("a client");
    let first = in_time(&client, request(&server.url())).await;
    assert_eq!(first.expect("a response").status, 200);

    // Nothing is left but timers: the clock moves by itself.
    tokio::time::pause();
    let dead = in_time(&client, request(&server.url())).await;
    tokio::time::resume();
    let next = in_time(&client, request(&server.url())).await;

    let silent = "the endpoint gave no sign of life on the HTTP/2 connection";
    assert_eq!(dead, Err(Failure::Protocol(silent.to_owned())));
    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_went_dead_while_idle_takes_no_request_with_it() {
    let server = serve(dies()).await;
    let client = HttpClient::new(&settings(&server), 4).expect("a client");
    let first = in_time(&client, request(&server.url())).await;
    assert_eq!(first.expect("a response").status, 200);

    tokio::time::pause();
    // Idle connections are kept for longer than this.
    tokio::time::sleep(Duration::from_secs(30)).await;
    tokio::time::resume();
    let next = in_time(&client, request(&server.url())).await;

    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections(), 2);
}
