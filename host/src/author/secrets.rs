//! Takes what the host knows as secret out of what is written: as it is, and as bodies and headers carry it.

use std::borrow::Cow;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;
use url::Url;

use crate::escapes::{in_json, in_urls};

/// What is shorter is no secret, and stands in many a text by chance; in bytes.
const SHORTEST: usize = 6;

/// What stands in place of a secret.
pub const REMOVED: &str = "[removed]";

/// Texts that are never written.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What each may look like, the longest first.
    forms: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// These texts; of a URL its parts, too.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for text in texts {
            add(text, &mut forms);
            for part in Url::parse(text).iter().flat_map(parts) {
                add(&part, &mut forms);
            }
        }
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort_unstable_by(|one, other| {
            let by_length = other.len().cmp(&one.len());
            by_length.then_with(|| one.cmp(other))
        });
        forms.dedup();
        Self { forms }
    }
}

/// What may be secret in a URL: a token in a path is long; a short part is a version or a collection.
fn parts(url: &Url) -> Vec<String> {
    let password = url.password().unwrap_or_default();
    let mut parts = vec![
        url.username().to_owned(),
        password.to_owned(),
        url.query().unwrap_or_default().to_owned(),
    ];
    let decoded = percent_encoding::percent_decode_str(password).decode_utf8();
    parts.extend(decoded.into_iter().map(Into::into));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    let path = url.path_segments().into_iter().flatten();
    parts.extend(path.filter(|part| part.len() >= 16).map(str::to_owned));
    parts
}

/// The text itself, in JSON, and in URLs, as the libraries of this and other languages write them; and in base64.
fn add(text: &str, forms: &mut Vec<Vec<u8>>) {
    if text.len() < SHORTEST {
        return;
    }
    forms.push(text.as_bytes().to_vec());
    // A plugin may have trimmed what a file holds.
    let trimmed = text.trim();
    if trimmed != text {
        add(trimmed, forms);
    }
    forms.extend(in_json(text).into_iter().map(String::into_bytes));
    forms.extend(in_urls(text).into_iter().map(String::into_bytes));
    for before in 0..3 {
        forms.extend(in_base64(text.as_bytes(), before));
    }
}

/// What base64 of a text with `before` bytes in front of the secret has of it, whatever these and those behind it are.
fn in_base64(secret: &[u8], before: usize) -> Vec<Vec<u8>> {
    let padded = [&[0, 0][..before], secret].concat();
    // A character stands for six bits: those that share some with what is around the secret are not the secret's alone.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
        .iter()
        .filter_map(|alphabet| {
            let digits = alphabet.encode(&padded).into_bytes();
            digits.get(first..last).map(<[u8]>::to_vec)
        })
        .collect()
}

/// Takes secrets out of one file, and counts where there were some.
#[derive(Debug)]
pub(super) struct Remover<'a> {
    secrets: &'a Secrets,
    /// Places that held a secret.
    pub(super) removed: usize,
}

impl<'a> Remover<'a> {
    pub(super) fn new(secrets: &'a Secrets) -> Self {
        Self {
            secrets,
            removed: 0,
        }
    }

    pub(super) fn bytes(&mut self, bytes: &Bytes) -> Bytes {
        match self.without(bytes) {
            Cow::Borrowed(_) => bytes.clone(),
            Cow::Owned(clean) => clean.into(),
        }
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        match self.without(text.as_bytes()) {
            Cow::Borrowed(_) => text.to_owned(),
            // Forms of a text are texts, and so is what is around them.
            Cow::Owned(clean) => String::from_utf8_lossy(&clean).into_owned(),
        }
    }

    /// The same in all texts of a value, and in its keys.
    pub(super) fn json(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(entries) => {
                let entries = entries.iter();
                let clean = entries.map(|(key, value)| (self.text(key), self.json(value)));
                Value::Object(clean.collect())
            }
            Value::Number(number) => {
                let digits = number.to_string();
                match self.text(&digits) {
                    clean if clean == digits => value.clone(),
                    clean => clean.into(),
                }
            }
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    fn without<'t>(&mut self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        let forms = self.secrets.forms.iter();
        let mut places: Vec<(usize, usize)> = forms
            .flat_map(|form| {
                let places: Vec<usize> = memmem::find_iter(bytes, form).collect();
                places.into_iter().map(|place| (place, place + form.len()))
            })
            .collect();
        if places.is_empty() {
            return Cow::Borrowed(bytes);
        }
        places.sort_unstable();
        let mut out = Vec::with_capacity(bytes.len());
        // Two that overlap are one.
        let mut until = 0;
        for (from, to) in places {
            if from >= until {
                out.extend_from_slice(bytes.get(until..from).unwrap_or_default());
                out.extend_from_slice(REMOVED.as_bytes());
                self.removed += 1;
            }
            until = until.max(to);
        }
        out.extend_from_slice(bytes.get(until..).unwrap_or_default());
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_removed_as_bodies_and_headers_carry_it() {
        let secrets = Secrets::new([
            "s3cr\"t/token",
            "https://a.test/v1?token=query-token&v=1",
            "short",
        ]);
        let mut remover = Remover::new(&secrets);
        let table = [
            ("a s3cr\"t/token b", "a [removed] b"),
            ("{\"k\":\"s3cr\\\"t/token\"}", "{\"k\":\"[removed]\"}"),
            ("?k=s3cr%22t%2Ftoken", "?k=[removed]"),
            ("query-token", "[removed]"),
            ("token=query-token&v=1", "[removed]"),
            ("short", "short"),
            ("s3cr\"t", "s3cr\"t"),
        ];

        for (text, expected) in table {
            assert_eq!(remover.text(text), expected);
        }
        assert_eq!(remover.removed, 5);
        let value = serde_json::json!({ "query-token": ["query-token", 1] });
        let clean = serde_json::json!({ "[removed]": ["[removed]", 1] });
        assert_eq!(remover.json(&value), clean);
    }

    #[test]
    fn a_secret_is_removed_as_other_languages_write_it() {
        let secrets = Secrets::new([
            "pa/ss<w~örd>&x+\n",
            "https://us%65rname:pass%2Fword@a.test/",
        ]);
        let table = [
            ("RFC 3986", "a=pa%2Fss%3Cw~%C3%B6rd%3E%26x%2B"),
            ("the same in lower case", "a=pa%2fss%3cw~%c3%b6rd%3e%26x%2b"),
            ("a path", "/pa%2Fss%3Cw~%C3%B6rd%3E&x+"),
            ("Python's quote", "/pa/ss%3Cw~%C3%B6rd%3E%26x%2B"),
            ("Go's JSON", "pa/ss\\u003cw~örd\\u003e\\u0026x+"),
            ("Python's JSON", "pa/ss<w~\\u00f6rd>&x+"),
            ("PHP's JSON", "pa\\/ss<w~örd>&x+"),
            ("trimmed", "pa/ss<w~örd>&x+"),
            ("a password", "pass/word"),
        ];

        for (name, text) in table {
            let clean = Remover::new(&secrets).text(text);
            assert!(clean.ends_with(REMOVED), "{name}: {text} -> {clean}");
            assert!(!clean.contains("ss"), "{name}: {text} -> {clean}");
        }
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        let secrets = Secrets::new(["abcdef123", "123ghijkl", "ghijkl"]);

        let mut remover = Remover::new(&secrets);

        assert_eq!(remover.text("-abcdef123ghijkl-"), "-[removed]-");
        assert_eq!(remover.removed, 1);
    }

    proptest! {
        /// Whatever stands around it, all but the ends of what base64 has of it is gone.
        #[test]
        fn a_secret_in_base64_is_removed(
            secret in "[!-~]{8,40}", before in prop::collection::vec(any::<u8>(), 0..7), behind in prop::collection::vec(any::<u8>(), 0..7),
        ) {
            let secrets = Secrets::new([secret.as_str()]);
            let text = STANDARD.encode([&before[..], secret.as_bytes(), &behind].concat());

            let clean = Remover::new(&secrets).text(&text);

            prop_assert!(clean.contains(REMOVED), "{text}");
            let left = text.len() - (clean.len() - REMOVED.len());
            let digits = secret.len() * 8 / 6;
            prop_assert!(left + 2 >= digits, "{text} -> {clean}");
        }
    }
}
