//! Whether it is certain where a response ends: pure.

use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// Why it is in doubt where the response ends, so that another reader of it would see another body, and
/// another response behind it.
///
/// hyper takes the transfer coding where there are two lengths (RFC 9112, section 6.3, rule 3); it hands over
/// undecoded what has codings other than `chunked`, which no request asks for, and where `chunked` is not the
/// last of them, it reads to the end of the connection. It refuses by itself content lengths that differ, and
/// over HTTP/2 any transfer coding.
pub(super) fn doubt(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<&'static str> {
    // Rule 1: these end with their head, whatever it says.
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next()?;
    if bodiless {
        return None;
    }
    if headers.contains_key(CONTENT_LENGTH) {
        return Some("the response has both `transfer-encoding` and `content-length`");
    }
    let chunked = first.as_bytes().eq_ignore_ascii_case(b"chunked");
    (!chunked || codings.next().is_some())
        .then_some("the response has a transfer coding that no request asks for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lengths_are_in_doubt_where_there_may_be_a_body() {
        let both = &[TRANSFER_ENCODING, CONTENT_LENGTH][..];
        let table = [
            (Method::POST, 200, both, true),
            (Method::GET, 500, both, true),
            (Method::HEAD, 200, both, false),
            (Method::POST, 204, both, false),
            (Method::GET, 304, both, false),
            (Method::POST, 200, &both[..1], false),
            (Method::POST, 200, &both[1..], false),
            (Method::POST, 200, &[], false),
        ];
        for (method, status, names, doubtful) in table {
            let value = http::HeaderValue::from_static("chunked");
            let headers = names
                .iter()
                .map(|name| (name.clone(), value.clone()))
                .collect();
            let code = StatusCode::from_u16(status).expect("a status");

            let outcome = doubt(&method, code, &headers);

            assert_eq!(outcome.is_some(), doubtful, "{method} {status} {names:?}");
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        let table = [
            (&["chunked"][..], false),
            (&["Chunked"], false),
            (&["identity"], true),
            (&["gzip, chunked"], true),
            (&["chunked, gzip"], true),
            (&["chunked, chunked"], true),
            (&["chunked", "chunked"], true),
            (&["gzip", "chunked"], true),
            (&["xchunked"], true),
            (&[""], true),
        ];
        for (codings, doubtful) in table {
            let value = |coding: &&str| coding.parse().expect("a value");
            let headers = codings
                .iter()
                .map(|coding| (TRANSFER_ENCODING, value(coding)))
                .collect();

            let outcome = doubt(&Method::POST, StatusCode::OK, &headers);

            assert_eq!(outcome.is_some(), doubtful, "{codings:?}");
        }
    }
}
