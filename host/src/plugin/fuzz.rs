//! Answers that a guest could give, and what it could write to its outputs.

use std::sync::Arc;

use super::{
    Handled, Shaped,
    bindings::{exports::nozzle::plugin::handling, nozzle::plugin::types},
    last_words::LastWords,
    lift,
    output::{GuestLog, GuestOutput, clean},
};
use crate::fuzzing::draw::Draw;

const TARGETS: [&str; 8] = [
    "",
    "items",
    "/v2",
    "//x.test",
    "http://x.test/",
    "../",
    "a b",
    "?q=%20",
];
/// `default` is granted, and so may `eu` be.
const ENDPOINTS: [&str; 5] = ["default", "eu", "", "Eu", "eu\r\n"];
const NAMES: [&str; 6] = [
    "x-a",
    "X-A",
    "content-type",
    "host",
    "authorization",
    "\r\n",
];
const VALUES: [&str; 4] = ["v", "\r\n", "\u{e9}", "w"];

/// An answer to `shape` for a batch of `events`, mostly one that keeps the contract.
pub(crate) fn shaped(draw: &mut Draw<'_>, events: usize) -> Shaped {
    let mut shaped = types::Shaped {
        headers: headers(draw),
        requests: (0..draw.below(4)).map(|_| request(draw)).collect(),
        drop: Vec::new(),
        reject: Vec::new(),
    };
    // Every event is dealt to one place, then a few more are, to anywhere.
    let spare = draw.below(16).saturating_sub(13);
    let dealt: Vec<u32> = (0..events as u32).collect();
    let extra: Vec<u32> = (0..spare)
        .map(|_| draw.pick(&[0, 1, 2, 7, 255, u32::MAX]))
        .collect();
    for index in dealt.into_iter().chain(extra) {
        let requests = shaped.requests.len();
        let place = draw.below(requests + 3);
        match shaped.requests.get_mut(place) {
            Some(request) => request.events.push(index),
            None if place == requests => shaped.drop.push(index),
            None if draw.below(16) == 15 => {}
            None => shaped.reject.push(types::Rejection {
                event: index,
                reason: draw.text(&VALUES),
            }),
        }
    }
    if draw.below(8) != 7 {
        shaped.requests.retain(|request| !request.events.is_empty());
    }
    if draw.below(4) == 3 {
        shaped.requests.reverse();
    }
    lift::shaped(shaped)
}

fn headers(draw: &mut Draw<'_>) -> Vec<(String, String)> {
    (0..draw.below(8).saturating_sub(5))
        .map(|_| (draw.text(&NAMES), draw.text(&VALUES)))
        .collect()
}

fn request(draw: &mut Draw<'_>) -> types::Request {
    use types::Method::{Delete, Get, Head, Patch, Post, Put};
    let method = draw.pick(&[Get, Head, Post, Put, Patch, Delete]);
    let body = match draw.below(3) {
        0 => types::Body::Empty,
        1 => types::Body::Bytes(draw.bytes().to_vec()),
        _ => types::Body::Joined(types::Joined {
            prefix: draw.bytes().to_vec(),
            // A separator may be as large as what a plugin may return.
            separator: match draw.below(8) {
                7 => vec![b','; 1 << draw.below(24)],
                _ => draw.bytes().to_vec(),
            },
            suffix: draw.bytes().to_vec(),
        }),
    };
    types::Request {
        method,
        endpoint: match draw.below(16) {
            15 => Some(draw.pick(&ENDPOINTS).to_owned()),
            12..15 => Some("eu".to_owned()),
            _ => None,
        },
        target: draw.text(&TARGETS),
        headers: headers(draw),
        body,
        events: Vec::new(),
    }
}

/// An answer to `handle`.
pub(crate) fn handled(draw: &mut Draw<'_>) -> Handled {
    let verdict = match draw.below(5) {
        0 => types::Verdict::ByStatus,
        1 => types::Verdict::Delivered,
        2 => types::Verdict::Retry((draw.below(2) == 1).then(|| draw.number())),
        3 => types::Verdict::Reject(draw.text(&VALUES)),
        _ => {
            let each = (0..draw.below(6)).map(|_| match draw.below(3) {
                0 => types::EventVerdict::Delivered,
                1 => types::EventVerdict::Retry,
                _ => types::EventVerdict::Reject(draw.text(&VALUES)),
            });
            types::Verdict::Each(each.collect())
        }
    };
    let emission = |draw: &mut Draw<'_>| types::Emission {
        key: (draw.below(2) == 1).then(|| draw.text(&NAMES)),
        attributes: headers(draw),
        data: draw.bytes().to_vec(),
    };
    let results: Vec<types::Emission> = (0..draw.below(4)).map(|_| emission(draw)).collect();
    let expected: Vec<Vec<u8>> = results
        .iter()
        .map(|emission| emission.data.clone())
        .collect();

    let handled = lift::handled(handling::Handled { verdict, results });

    assert!(
        handled
            .results
            .iter()
            .map(|record| &*record.data)
            .eq(expected.iter().map(|data| &**data))
    );
    handled
}

const OUTPUT: [&str; 10] = [
    "\n",
    ":\n",
    "panicked at ",
    ": ",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{2028}",
    "\u{9b}",
    "\r",
    "note: run with `RUST_BACKTRACE",
];

/// What a guest writes, in whatever pieces, becomes the same lines: bounded, and without control characters.
pub(crate) fn output(input: &[u8]) {
    let mut draw = Draw::new(input);
    let piece = draw.below(9) + 1;
    // One in a while is long.
    let times = match draw.byte() {
        times @ 0xf0.. => 1 << (times & 0xf),
        _ => 1,
    };
    let mut written = draw.text(&OUTPUT).into_bytes().repeat(times);
    written.truncate(40_000);
    written.extend_from_slice(draw.rest());
    let words = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let log = Arc::new(GuestLog::new("t/sink", 100));
        let words = LastWords::default();
        let output = GuestOutput::stderr(log, words.clone());
        for piece in pieces {
            output.push(piece);
            assert!(output.held() <= LONGEST);
        }
        words.text()
    };

    // What is long comes in longer pieces, for the time that it takes.
    let piece = piece * (1 + written.len() / 512);

    let whole = words(&mut std::iter::once(&*written));
    let pieces = words(&mut written.chunks(piece));

    assert_eq!(whole, pieces);
    let cleaned = clean(&String::from_utf8_lossy(&written));
    for line in whole.iter().chain([&cleaned]) {
        // An escaped character has ten at most; a place and a message are two lines.
        assert!(
            line.chars().count() <= 2 * 10 * 8 * 1024 + 2,
            "{} characters",
            line.len()
        );
        let steers = |character: char| {
            character.is_control()
                || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!line.contains(steers), "{line:?}");
    }
}

/// Bytes of a line that is not ended.
const LONGEST: usize = 32 * 1024;
