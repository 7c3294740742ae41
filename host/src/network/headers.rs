//! Headers that a plugin may set: names and values that are what RFC 9110, section 5, says, and
//! none that belong to the host.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers in one request, at most.
const MAX_HEADERS: usize = 128;
/// Bytes of names and values in one request, at most.
const MAX_BYTES: usize = 64 * 1024;

/// Why a header is refused. The value is not shown: it may hold what the user keeps to himself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a token.
    #[error("`{0}` is no header name (RFC 9110, section 5.6.2)")]
    Name(String),
    /// A character that a value does not have.
    #[error("the value of `{0}` has a character other than visible ASCII, space and tab")]
    Value(HeaderName),
    /// A header that frames the message.
    #[error("`{0}` is the host's own: it frames the message")]
    Framing(HeaderName),
    /// A header that the endpoint's configuration sets.
    #[error("`{0}` is set by the endpoint's configuration")]
    Reserved(HeaderName),
    /// More than a request may have.
    #[error("there are more than {MAX_HEADERS} headers, or more than {MAX_BYTES} bytes of them")]
    TooMany,
}

/// Which headers a plugin may set for one endpoint.
#[derive(Debug, Clone, Default)]
pub struct HeaderRules {
    reserved: Vec<HeaderName>,
}

impl HeaderRules {
    /// `reserved` are the names that the endpoint's configuration sets, its secrets among them.
    pub fn new(reserved: Vec<HeaderName>) -> Self {
        Self { reserved }
    }

    /// Checks a plugin's headers.
    ///
    /// # Errors
    /// The first header that is refused.
    pub fn check(&self, headers: &[(String, String)]) -> Result<HeaderMap, HeaderError> {
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if headers.len() > MAX_HEADERS || bytes > MAX_BYTES {
            return Err(HeaderError::TooMany);
        }
        let mut checked = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let (name, value) = self.check_one(name, value)?;
            checked.append(name, value);
        }
        Ok(checked)
    }

    fn check_one(&self, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            // It comes to logs: a line break in it would make a line of its own.
            HeaderError::Name(name.chars().take(64).flat_map(char::escape_debug).collect())
        })?;
        if is_framing(&name) {
            return Err(HeaderError::Framing(name));
        }
        if self.reserved.contains(&name) {
            return Err(HeaderError::Reserved(name));
        }
        let plain = value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        match HeaderValue::from_str(value) {
            Ok(value) if plain => Ok((name, value)),
            _ => Err(HeaderError::Value(name)),
        }
    }
}

/// Headers that say where a message ends, what happens to its connection, or whom it is for: RFC 9110,
/// sections 7.2, 7.6.1 and 10.1.1, and the list that wasi:http forbids to guests.
pub fn is_framing(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("proxy-")
        || matches!(
            name,
            "connection"
                | "content-length"
                | "expect"
                | "host"
                | "http2-settings"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn check(name: &str, value: &str) -> Result<HeaderMap, HeaderError> {
        HeaderRules::new(vec![AUTHORIZATION]).check(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn ordinary_headers_pass() {
        for (name, value) in [
            ("content-type", "application/json"),
            ("X-Trace", "a b\tc"),
            ("x", ""),
        ] {
            assert!(check(name, value).is_ok(), "{name}");
        }
    }

    #[test]
    fn framing_reserved_and_malformed_headers_are_refused() {
        let table = [
            ("Host", "x"),
            ("Content-Length", "1"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
            ("keep-alive", "1"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Upgrade", "h2c"),
            ("Expect", "100-continue"),
            ("Proxy-Authorization", "x"),
            ("proxy-anything", "x"),
            ("HTTP2-Settings", "x"),
            ("Authorization", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\n", "x"),
            (":authority", "x"),
            ("h\u{e9}", "x"),
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "a\0"),
            ("x", "caf\u{e9}"),
            ("x", "\x7f"),
            ("x", "\x0b"),
        ];

        for (name, value) in table {
            assert!(check(name, value).is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn too_many_headers_are_refused() {
        let many = vec![("x".to_owned(), "y".to_owned()); MAX_HEADERS + 1];
        let large = [("x".to_owned(), "y".repeat(MAX_BYTES))];

        let rules = HeaderRules::default();

        assert_eq!(rules.check(&many), Err(HeaderError::TooMany));
        assert_eq!(rules.check(&large), Err(HeaderError::TooMany));
    }

    #[test]
    fn as_many_headers_as_a_request_may_have_pass() {
        let many = vec![("x".to_owned(), "y".to_owned()); MAX_HEADERS];
        let value = |bytes| [("name".to_owned(), "y".repeat(bytes))];
        let most = MAX_BYTES - "name".len();
        let rules = HeaderRules::default();

        let checked = rules.check(&many).expect("few enough");

        assert_eq!(checked.get_all("x").iter().count(), 128);
        assert!(rules.check(&value(most)).is_ok());
        assert_eq!(rules.check(&value(most + 1)), Err(HeaderError::TooMany));
        assert_eq!(most, 65_532);
    }

    #[test]
    fn a_refusal_says_which_header_and_no_value() {
        let shown = |name: &str, value: &str| check(name, value).expect_err(name).to_string();
        let long = format!("{}\n", "x".repeat(100));

        assert_eq!(
            shown("Host", "secret"),
            "`host` is the host's own: it frames the message"
        );
        assert_eq!(
            shown("Authorization", "secret"),
            "`authorization` is set by the endpoint's configuration"
        );
        assert!(shown("x", "secret\n").starts_with("the value of `x` has a character"));
        assert_eq!(
            shown("a\nb", "secret"),
            "`a\\nb` is no header name (RFC 9110, section 5.6.2)"
        );
        assert!(shown(&long, "").starts_with(&format!("`{}` is no", "x".repeat(64))));
    }
}
