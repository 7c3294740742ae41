//! What a text looks like within others, by who writes it: to find a secret again.

use serde_json::Value;

/// What JSON has of a text: as serde writes it, with `/` escaped (PHP), with what HTML minds escaped (Go), with nothing but ASCII
/// (Python); and JSON in a text of JSON.
pub(crate) fn in_json(text: &str) -> Vec<String> {
    let quoted = |text: &str| {
        let quoted = Value::from(text).to_string();
        let inner = quoted
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or_default().to_owned()
    };
    let plain = quoted(text);
    let go = plain
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e");
    let mut python = String::new();
    for letter in plain.chars() {
        match letter.is_ascii() {
            true => python.push(letter),
            false => {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                python.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    vec![quoted(&plain), plain.replace('/', "\\/"), go, python, plain]
}

/// What URLs have of a text, by what is left as it is beside letters and digits: as forms are written, by RFC 3986 (section 2.3), by
/// `encodeURIComponent`, by Python's `quote`, and in a segment of a path (the WHATWG's path percent-encode set).
pub(crate) fn in_urls(text: &str) -> Vec<String> {
    let kept: [&[u8]; 5] = [
        b"*-._",
        b"-._~",
        b"-._~!'()*",
        b"-._~/",
        b"-._~!$&'()*+,;=:@|[]\\",
    ];
    let encoded = |kept: &[u8], digits: fn(u8) -> String| -> String {
        let each =
            text.bytes().map(
                |byte| match byte.is_ascii_alphanumeric() || kept.contains(&byte) {
                    true => char::from(byte).to_string(),
                    false => digits(byte),
                },
            );
        each.collect()
    };
    let mut forms = Vec::new();
    for kept in kept {
        let form = encoded(kept, |byte| format!("%{byte:02X}"));
        forms.push(form.replace("%20", "+"));
        forms.push(form);
        forms.push(encoded(kept, |byte| format!("%{byte:02x}")));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_libraries_make_of_it() {
        let json = in_json("a/b\"&é");
        let urls = in_urls("a/b +é");

        for form in [
            "a/b\\\"&é",
            "a\\/b\\\"&é",
            "a/b\\\"\\u0026é",
            "a/b\\\"&\\u00e9",
        ] {
            assert!(json.iter().any(|found| found == form), "{form}: {json:?}");
        }
        for form in [
            "a%2Fb+%2B%C3%A9",
            "a%2fb%20%2b%c3%a9",
            "a/b%20%2B%C3%A9",
            "a%2Fb%20+%C3%A9",
        ] {
            assert!(urls.iter().any(|found| found == form), "{form}: {urls:?}");
        }
    }
}
