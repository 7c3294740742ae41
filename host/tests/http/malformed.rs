//! Responses that are malformed: none is taken for more than RFC 9112 allows, and none disturbs the next request.

#[path = "malformed/reference.rs"]
mod reference;

use std::sync::Arc;

use nozzle::{
    http::HttpClient,
    outcome::{Failure, Response},
};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, Step, Wire, WireRequest, cut, ok, write};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    endpoint,
    faults::{asks, in_time},
};
use reference::may_take;

/// With everything that has a meaning, and nothing else.
const VALID: [&str; 5] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\na;b=c\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
    "HTTP/1.0 200 OK\r\nx: y\r\n\r\nok",
    "HTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 201\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 204 None\r\ncontent-length: 0\r\n\r\n",
];
/// What takes the place of a byte, or its side: what ends lines, splits words, is a digit, or is no text.
const BYTES: &[u8] = b"\0\n\r \t:;,9fz-\x7f\xff";

/// A response, and whether the connection is closed behind it.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    bytes: Vec<u8>,
    kept: bool,
}

/// Every prefix, every byte taken away or replaced, every place with one byte more.
fn mutations(valid: &str) -> Vec<Row> {
    let bytes = valid.as_bytes();
    let row = |name: String, bytes: Vec<u8>| Row {
        name,
        bytes,
        kept: false,
    };
    let mut rows = Vec::new();
    for place in 0..bytes.len() {
        let (before, rest) = bytes.split_at(place);
        let after = rest.get(1..).unwrap_or_default();
        rows.push(row(format!("cut at {place}"), before.to_vec()));
        rows.push(row(format!("without {place}"), [before, after].concat()));
        for byte in BYTES {
            let byte = &[*byte][..];
            let (put, more) = ([before, byte, after], [before, byte, rest]);
            rows.push(row(format!("{byte:?} at {place}"), put.concat()));
            rows.push(row(format!("{byte:?} before {place}"), more.concat()));
        }
    }
    rows
}

/// Where LF alone does not end a line for the client, it waits for more.
fn has_bare_lf(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').rev().skip(1);
    lines.any(|line| !line.ends_with(b"\r"))
}

/// By its number: the body of a request names the row that is its answer.
async fn serve(rows: Arc<[Row]>) -> FaultEndpoint {
    let script = move |request: &WireRequest| -> Vec<Step> {
        let number = std::str::from_utf8(&request.body).ok();
        match number.and_then(|number| rows.get(number.parse::<usize>().ok()?)) {
            Some(row) if row.kept => write(&row.bytes),
            Some(row) => cut(&row.bytes),
            None => ok(&request.body),
        }
    };
    FaultEndpoint::start(Wire::Http, script).await
}

/// The outcome of each row. Panics where the next request does not get its own answer.
async fn outcomes(rows: Arc<[Row]>) -> Vec<(usize, Result<Response, Failure>)> {
    let server = serve(Arc::clone(&rows)).await;
    // Files are bounded.
    let room = Arc::new(Semaphore::new(64));
    let mut attempts = JoinSet::new();
    for number in 0..rows.len() {
        let permit = Arc::clone(&room).acquire_owned().await.expect("open");
        let url = server.url();
        attempts.spawn(async move {
            let client = HttpClient::new(&endpoint(&url), 4).expect("a client");
            let outcome = in_time(&client, asks(&url, number.to_string())).await;
            let token = format!("next to {number}");
            let mut next = in_time(&client, asks(&url, token.clone())).await;
            if next.is_err() {
                // A connection that was closed over the response may take one request with it.
                next = in_time(&client, asks(&url, token.clone())).await;
            }
            drop(permit);
            (number, outcome, next.map(|next| next.body), token)
        });
    }
    let mut outcomes = Vec::new();
    for (number, outcome, next, token) in attempts.join_all().await {
        let row = &rows[number];
        assert_eq!(next.as_deref(), Ok(token.as_bytes()), "after {row:?}");
        outcomes.push((number, outcome));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_for_more_than_the_rfc_allows() {
    let mut rows: Vec<_> = VALID.into_iter().flat_map(mutations).collect();
    let complete = rows.clone().into_iter().filter_map(|row| {
        let ends = may_take(&row.bytes)?.delimited && !has_bare_lf(&row.bytes);
        ends.then_some(Row { kept: true, ..row })
    });
    rows.extend(complete.collect::<Vec<_>>());
    let rows: Arc<[Row]> = rows.into();

    let outcomes = outcomes(Arc::clone(&rows)).await;

    let mut wrong = Vec::new();
    for (number, outcome) in &outcomes {
        let row = &rows[*number];
        let allowed = may_take(&row.bytes);
        if let Ok(response) = outcome {
            let fits = allowed.as_ref().is_some_and(|allowed| {
                (allowed.status, &*allowed.body) == (response.status, &*response.body)
            });
            if !fits {
                let text = row.bytes.escape_ascii();
                wrong.push(format!(
                    "{}: {text}: {response:?}, not {allowed:?}",
                    row.name
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What becomes of a response.
#[derive(Debug, PartialEq)]
enum Expected {
    /// A protocol failure.
    Refused,
    /// This status and body: what the RFC allows stands beside the row.
    Taken(u16, &'static str),
}

const fn row(
    name: &'static str,
    response: &'static str,
    expected: Expected,
) -> (&'static str, &'static str, Expected) {
    (name, response, expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_that_were_seen_in_the_wild_or_in_attacks_are_refused_or_taken_for_what_they_are()
{
    use Expected::{Refused, Taken};
    #[rustfmt::skip]
    let table = [
        row("nothing", "", Refused),
        row("an empty line", "\r\n", Refused),
        row("HTTP/0.9", "ok", Refused),
        row("HTTP/0.9 status", "HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("HTTP/2.0 as text", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("HTTP/1.2", "HTTP/1.2 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("version in lower case", "http/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a request", "POST / HTTP/1.1\r\nhost: x\r\n\r\n", Refused),
        row("ICY", "ICY 200 OK\r\n\r\nok", Refused),
        row("SMTP", "220 mail.example ESMTP\r\n", Refused),
        row("FTP", "220 Welcome\r\n", Refused),
        row("SSH", "SSH-2.0-OpenSSH_9.2\r\n", Refused),
        row("a TLS alert", "\x15\x03\x03\0\x02\x02\x28", Refused),
        row("an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused),
        row("a gRPC frame", "\0\0\0\0\x05hello", Refused),
        row("a byte order mark", "\u{feff}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a space before the version", " HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("two spaces before the status", "HTTP/1.1  200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a tab before the status", "HTTP/1.1\t200 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("no status", "HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a status with a sign", "HTTP/1.1 +20 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a negative status", "HTTP/1.1 -20 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a status in hex", "HTTP/1.1 0xC8 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("status 000", "HTTP/1.1 000 OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("status 200 with a letter", "HTTP/1.1 200OK\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a status with a point", "HTTP/1.1 403.7 No\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("status 100 and no more", "HTTP/1.1 100 Continue\r\n\r\n", Refused),
        row("status 101", "HTTP/1.1 101 Switch\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", Refused),
        row("100 then garbage", "HTTP/1.1 100 Continue\r\n\r\nok", Refused),
        row("100 with a body", "HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", Refused),
        row("a header without a colon", "HTTP/1.1 200 OK\r\nx\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a header without a name", "HTTP/1.1 200 OK\r\n: x\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a header with a space in its name", "HTTP/1.1 200 OK\r\na b: x\r\n\r\nok", Refused),
        row("a header that begins with a space", "HTTP/1.1 200 OK\r\n x: y\r\n\r\nok", Refused),
        row("a folded header", "HTTP/1.1 200 OK\r\nx: a\r\n\tb\r\ncontent-length: 2\r\n\r\nok", Refused),
        row("a folded length", "HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok", Refused),
        row("CR in a value", "HTTP/1.1 200 OK\r\nx: a\rcontent-length: 2\r\n\r\nok", Refused),
        row("CR alone ends lines", "HTTP/1.1 200 OK\rcontent-length: 2\r\rok", Refused),
        row("a form feed in a name", "HTTP/1.1 200 OK\r\ncontent-length\x0c: 2\r\n\r\nok", Refused),
        row("length with a plus", "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", Refused),
        row("length in hex", "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok", Refused),
        row("length with a fraction", "HTTP/1.1 200 OK\r\ncontent-length: 2.0\r\n\r\nok", Refused),
        row("length with a separator", "HTTP/1.1 200 OK\r\ncontent-length: 1_0\r\n\r\n0123456789", Refused),
        row("length with an inner space", "HTTP/1.1 200 OK\r\ncontent-length: 1 0\r\n\r\n0123456789", Refused),
        row("an empty length", "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nok", Refused),
        row("no length but a comma", "HTTP/1.1 200 OK\r\ncontent-length: ,\r\n\r\nok", Refused),
        row("a length in Arabic digits", "HTTP/1.1 200 OK\r\ncontent-length: \u{662}\r\n\r\nok", Refused),
        row("two lengths that differ", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 1\r\n\r\nok", Refused),
        row("a list of lengths that differ", "HTTP/1.1 200 OK\r\ncontent-length: 2, 1\r\n\r\nok", Refused),
        row("a length that is too long", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", Refused),
        row("coding and length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("coding and no length at all", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length:\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("an unknown coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("the identity coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok", Refused),
        row("chunked twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("chunked in two headers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("gzip before chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("gzip after chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("a coding in quotes", "HTTP/1.1 200 OK\r\ntransfer-encoding: \"chunked\"\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("a coding with a vertical tab", "HTTP/1.1 200 OK\r\ntransfer-encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk size in hex notation", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk size with a plus", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk size after a space", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk size of 16 digits", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk size of 17 digits", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\nok\r\n0\r\n\r\n", Refused),
        row("no chunk size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n", Refused),
        row("an extension without a size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n;a\r\nok\r\n0\r\n\r\n", Refused),
        row("LF in an extension", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a\nok\r\n0\r\n\r\n", Refused),
        row("CR in an extension", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a\rb\r\nok\r\n0\r\n\r\n", Refused),
        row("a chunk without an end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n", Refused),
        row("a chunk that ends with LF", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n", Refused),
        row("no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", Refused),
        row("a trailer without a colon", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx\r\n\r\n", Refused),
        row("no end of the trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n", Refused),
        row("chunked over HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Refused),
        // RFC 9112, section 6.3, rule 5: one value, even if it stands twice.
        row("a length twice", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        row("a length with zeros", "HTTP/1.1 200 OK\r\ncontent-length: 0000002\r\n\r\nok", Taken(200, "ok")),
        // Section 2.2: a recipient may take LF alone for the end of a line of the head.
        row("LF alone ends lines", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Taken(200, "ok")),
        // Section 4: the reason is optional, and may hold bytes beyond ASCII.
        row("no reason", "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        row("no reason, no space", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        row("a reason in another tongue", "HTTP/1.1 200 Gut gemächt\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        // Section 5: spaces around a value, an empty value, any bytes beyond ASCII in it.
        row("no space before a value", "HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok", Taken(200, "ok")),
        row("spaces around a value", "HTTP/1.1 200 OK\r\ncontent-length: \t 2 \t\r\n\r\nok", Taken(200, "ok")),
        row("an empty value", "HTTP/1.1 200 OK\r\nx:\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        row("a value in another tongue", "HTTP/1.1 200 OK\r\nx: ä\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        // Section 7.1: sizes in either case, with zeros, with extensions, with trailers.
        row("a chunk size with zeros", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0002\r\nok\r\n000\r\n\r\n", Taken(200, "ok")),
        row("a chunk size in capitals", "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", Taken(200, "0123456789")),
        row("a chunk with an extension", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2 ; a=\"b\"\r\nok\r\n0;x\r\n\r\n", Taken(200, "ok")),
        row("trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ncontent-length: 9\r\n\r\n", Taken(200, "ok")),
        // Section 6.3, rule 8: without a length, until the connection is closed.
        row("no length", "HTTP/1.1 200 OK\r\n\r\nok", Taken(200, "ok")),
        row("no header at all over HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", Taken(200, "ok")),
        // Rule 1: 204 and 304 have no body, whatever they say.
        row("204 with a length", "HTTP/1.1 204 None\r\ncontent-length: 2\r\n\r\nok", Taken(204, "")),
        row("304 with a coding", "HTTP/1.1 304 Same\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Taken(304, "")),
        // RFC 9110, section 15: out of range, and for the status policy to reject.
        row("status 600", "HTTP/1.1 600 Odd\r\ncontent-length: 2\r\n\r\nok", Taken(600, "ok")),
        row("status 999", "HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nok", Taken(999, "ok")),
        row("103 twice", "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Taken(200, "ok")),
        row("bytes behind the body", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok too long", Taken(200, "ok")),
    ];
    let bytes = |response: &str| response.as_bytes().to_vec();
    let rows: Arc<[Row]> = table
        .iter()
        .map(|(name, response, _)| Row {
            name: (*name).to_owned(),
            bytes: bytes(response),
            kept: false,
        })
        .collect();

    let outcomes = outcomes(rows).await;

    let mut wrong = Vec::new();
    for (number, outcome) in outcomes {
        let (name, _, expected) = &table[number];
        let right = match (&outcome, expected) {
            (Err(Failure::Protocol(_)), Refused) => true,
            (Ok(response), Taken(status, body)) => {
                (response.status, &*response.body) == (*status, body.as_bytes())
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: {outcome:?}, not {expected:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
