//! Headers that come from a plugin's configuration, checked before the first batch: the host refuses the whole
//! answer to `shape` for a header that it does not take.

/// Checks one header against the contract. The headers that the endpoint's configuration sets are taken too, but a
/// plugin cannot know them.
///
/// # Errors
/// In words that fit the refusal of a configuration.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("`{name}` is no header name"));
    }
    if is_the_hosts(&name.to_ascii_lowercase()) {
        return Err(format!("the header `{name}` is the host's own"));
    }
    if !is_header_value(value) {
        return Err(format!(
            "the value of the header `{name}` has a character other than visible ASCII, space and tab"
        ));
    }
    Ok(())
}

/// Whether a header may have this value.
pub fn is_header_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The list in `wit/README.md`.
fn is_the_hosts(name: &str) -> bool {
    name.starts_with("proxy-")
        || matches!(
            name,
            "connection"
                | "content-encoding"
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
    use super::*;

    #[test]
    fn a_header_that_the_host_would_refuse_is_refused() {
        let good = [("content-type", "a/b"), ("X-Trace", "a b\tc"), ("x", "")];
        let bad = [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("h\u{e9}", "x"),
            ("Host", "x"),
            ("Content-Length", "1"),
            ("proxy-anything", "x"),
            ("x", "a\r\nb: c"),
            ("x", "caf\u{e9}"),
            ("x", "\x7f"),
        ];

        for (name, value) in good {
            assert_eq!(check_header(name, value), Ok(()), "{name}");
        }
        for (name, value) in bad {
            assert!(check_header(name, value).is_err(), "{name:?}: {value:?}");
        }
    }
}
