//! Whether a response says in two ways where it ends: pure.

use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// Whether the head gives two lengths (RFC 9112, section 6.3, rule 3), so that whoever reads it by the other
/// one sees another body, and another response behind it.
///
/// hyper takes the transfer coding then. It refuses by itself content lengths that differ, and over HTTP/2 any
/// transfer coding.
pub(super) fn is_in_doubt(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    // Rule 1: these end with their head, whatever it says.
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !bodiless && headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
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
            let value = http::HeaderValue::from_static("1");
            let headers = names
                .iter()
                .map(|name| (name.clone(), value.clone()))
                .collect();
            let code = StatusCode::from_u16(status).expect("a status");

            let outcome = is_in_doubt(&method, code, &headers);

            assert_eq!(outcome, doubtful, "{method} {status} {names:?}");
        }
    }
}
