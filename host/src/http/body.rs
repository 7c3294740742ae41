//! Response bodies, up to a limit.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::failure;
use crate::outcome::Failure;

/// Reads a body up to `max` bytes. What is beyond is not read: dropping the body closes the connection
/// (HTTP/2: the stream).
pub(super) async fn read(
    mut body: Incoming,
    head: &response::Parts,
    max: usize,
) -> Result<(Bytes, bool), Failure> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure::broke_off(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let have = first.as_ref().map_or(0, Bytes::len) + rest.len();
        let room = max - have;
        let cut = data.len() > room;
        let data = if cut { data.slice(..room) } else { data };
        match &first {
            None => first = Some(data),
            Some(_) => {
                if rest.is_empty() {
                    rest.reserve(
                        announced(&head.headers)
                            .unwrap_or(0)
                            .min(max)
                            .saturating_sub(have),
                    );
                }
                rest.extend_from_slice(&data);
            }
        }
        if cut {
            return Ok((joined(first, rest), true));
        }
    }
    // hyper takes a stream that is closed without an error for one that came to its end.
    if head.version == Version::HTTP_2 && !body.is_end_stream() {
        return Err(Failure::Protocol(
            "the response broke off: the endpoint closed the HTTP/2 stream before its end"
                .to_owned(),
        ));
    }
    Ok((joined(first, rest), false))
}

fn joined(first: Option<Bytes>, rest: BytesMut) -> Bytes {
    match first {
        None => Bytes::new(),
        // Copied: hyper's frame may be a view of a much larger read buffer.
        Some(first) if rest.is_empty() => Bytes::copy_from_slice(&first),
        Some(first) => {
            let mut whole = BytesMut::with_capacity(first.len() + rest.len());
            whole.extend_from_slice(&first);
            whole.extend_from_slice(&rest);
            whole.freeze()
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
