//! Takes the secrets that an endpoint was sent out of what it answers: an endpoint, or a proxy before it, that repeats the
//! request in its error would otherwise bring them to plugins, dead letters and results.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwapOption;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use url::Url;

use crate::{
    escapes::{in_json, in_urls},
    outcome::Response,
};

/// What is shorter is no secret, and stands in many a text by chance.
const SHORTEST: usize = 6;

/// Headers that authentication marks as sensitive, and that are none: they help to understand an error.
const PUBLIC: [&str; 2] = ["x-amz-date", "x-amz-content-sha256"];

/// The secrets that are sent to one URL.
pub(super) struct Masks {
    of_url: Mask,
    /// Those of the last attempt: most have the same.
    last: ArcSwapOption<Last>,
}

/// What an attempt has sent.
struct Last {
    /// The sensitive values of its headers, and the forms of each.
    values: Vec<(HeaderValue, BTreeSet<Bytes>)>,
    mask: Mask,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks")
    }
}

impl Masks {
    /// With the secret parts of the URL, if the module file does not write them out, by its label.
    pub(super) fn of_url(url: &Url, label: &str) -> Self {
        Self {
            of_url: Mask::of_url(url, label),
            last: ArcSwapOption::empty(),
        }
    }

    /// For an attempt with these headers.
    pub(super) fn of(&self, headers: &HeaderMap) -> Mask {
        let sensitive = headers.iter().filter(|(_, value)| value.is_sensitive());
        let secret = sensitive.filter(|(name, _)| !PUBLIC.contains(&name.as_str()));
        let secret: Vec<&HeaderValue> = secret.map(|(_, value)| value).collect();
        if secret.is_empty() {
            return self.of_url.clone();
        }
        let last = self.last.load();
        let before = last.as_ref().map_or(&[][..], |last| &last.values);
        if let Some(last) = &*last
            && secret
                .iter()
                .copied()
                .eq(before.iter().map(|(value, _)| value))
        {
            return last.mask.clone();
        }
        let values: Vec<_> = secret
            .into_iter()
            .map(|value| {
                let known = before.iter().find(|(before, _)| before == value);
                let forms = known.map_or_else(|| forms_of(value), |(_, forms)| forms.clone());
                (value.clone(), forms)
            })
            .collect();
        let forms = values.iter().flat_map(|(_, forms)| forms);
        let mask = Mask::of_forms(forms.chain(self.of_url.0.iter()).cloned().collect());
        let now = Last {
            values,
            mask: mask.clone(),
        };
        self.last.store(Some(Arc::new(now)));
        mask
    }
}

/// The secrets of one attempt, in each form that they may have in an answer, the longest first.
#[derive(Clone, Default)]
pub(super) struct Mask(Arc<[Bytes]>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    fn of_forms(forms: BTreeSet<Bytes>) -> Self {
        let mut forms: Vec<Bytes> = forms.into_iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms.into())
    }

    fn of_url(url: &Url, label: &str) -> Self {
        let mut forms = BTreeSet::new();
        if label.contains("${") {
            add(url.password().unwrap_or_default().as_bytes(), &mut forms);
            let query = url.query().unwrap_or_default();
            add(query.as_bytes(), &mut forms);
            for pair in query.split('&') {
                let value = pair.split_once('=').map_or(pair, |(_, value)| value);
                add(value.as_bytes(), &mut forms);
            }
            for (_, value) in url.query_pairs() {
                add(value.as_bytes(), &mut forms);
            }
            // A token in a path is long; a short part is a version or a collection.
            for part in url.path_segments().into_iter().flatten() {
                if part.len() >= 16 {
                    add(part.as_bytes(), &mut forms);
                }
            }
        }
        Self::of_forms(forms)
    }

    /// Writes asterisks in place of each secret, so that everything else stays where it is.
    pub(super) fn cover(&self, response: &mut Response) {
        for secret in self.0.iter() {
            if let Some(body) = covered(&response.body, secret, response.truncated) {
                response.body = body;
            }
            for value in response.headers.values_mut() {
                if let Some(bytes) = covered(value.as_bytes(), secret, false)
                    && let Ok(covered) = HeaderValue::from_bytes(&bytes)
                {
                    *value = covered;
                }
            }
        }
    }
}

/// The secrets in the value of a header.
fn forms_of(value: &HeaderValue) -> BTreeSet<Bytes> {
    let (mut forms, bytes) = (BTreeSet::new(), value.as_bytes());
    let space = memchr::memchr(b' ', bytes);
    let Some(credentials) = space.and_then(|space| bytes.get(space + 1..)) else {
        add(bytes, &mut forms);
        return forms;
    };
    if bytes.len() >= SHORTEST {
        forms.insert(Bytes::copy_from_slice(bytes));
    }
    if credentials.contains(&b',') {
        // A list of parameters (RFC 9110, section 11.2), such as a signature's: good for one request.
        return forms;
    }
    // `Bearer …`, `Basic …`
    add(credentials, &mut forms);
    if let Ok(decoded) = BASE64_STANDARD.decode(credentials) {
        let colon = memchr::memchr(b':', &decoded);
        let password = colon.and_then(|colon| decoded.get(colon + 1..));
        add(password.unwrap_or_default(), &mut forms);
    }
    forms
}

/// A secret as it is, and as JSON and URLs have it.
fn add(secret: &[u8], forms: &mut BTreeSet<Bytes>) {
    if secret.len() < SHORTEST {
        return;
    }
    forms.insert(Bytes::copy_from_slice(secret));
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if let Ok(text) = std::str::from_utf8(secret)
        && !secret.iter().all(is_plain)
    {
        let escaped = in_json(text).into_iter().chain(in_urls(text));
        forms.extend(escaped.map(Bytes::from));
    }
}

/// `text` without `secret`; none if it is not in it. One that is cut may end with a part of it.
fn covered(text: &[u8], secret: &[u8], is_cut: bool) -> Option<Bytes> {
    let finder = memmem::Finder::new(secret);
    let mut places = finder.find_iter(text).peekable();
    let tail = is_cut
        .then(|| (SHORTEST..secret.len()).rev())
        .and_then(|mut lengths| {
            lengths.find(|length| {
                let start = secret.get(..*length);
                start.is_some_and(|start| text.ends_with(start))
            })
        });
    if places.peek().is_none() && tail.is_none() {
        return None;
    }
    let mut out = BytesMut::from(text);
    let runs = places.map(|place| (place, secret.len()));
    let tail = tail.map(|length| (text.len() - length, length));
    for (place, length) in runs.chain(tail) {
        if let Some(run) = out.get_mut(place..place + length) {
            run.fill(b'*');
        }
    }
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensitive(value: &str) -> HeaderValue {
        let mut value = HeaderValue::from_str(value).expect("a value");
        value.set_sensitive(true);
        value
    }

    fn answer(body: &str, truncated: bool) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("you sent s3cret-token"));
        Response {
            status: 400,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            truncated,
        }
    }

    #[test]
    fn what_was_sent_in_secret_is_covered_wherever_it_stands() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", sensitive("s3cret-token"));
        headers.insert("authorization", sensitive("Basic dXNlcjpwYXNzd29yZA=="));
        headers.insert("x-amz-date", sensitive("20261121T000000Z"));
        headers.insert("x-tenant", HeaderValue::from_static("public-tenant"));
        let url = |url: &str| url.parse::<Url>().expect("a URL");
        let secret = url("https://a.test/v1?token=query-token");
        let shown = url("https://a.test/v1?shown=in-the-file");
        let mask = Masks::of_url(&secret, "${Api:url}").of(&headers);
        let of_shown = Masks::of_url(&shown, shown.as_str()).of(&HeaderMap::new());
        let said = "{\"k\":\"s3cret-token\",\"b\":\"dXNlcjpwYXNzd29yZA==\",\"p\":\"password\",\"q\":\"query-token\",\"t\":\"public-tenant\",\"d\":\"20261121T000000Z\",\"s\":\"in-the-file\"}";

        let mut response = answer(said, false);
        mask.cover(&mut response);
        of_shown.cover(&mut response);

        let body = String::from_utf8(response.body.to_vec()).expect("text");
        assert_eq!(
            body,
            "{\"k\":\"************\",\"b\":\"********************\",\"p\":\"********\",\"q\":\"***********\",\"t\":\"public-tenant\",\"d\":\"20261121T000000Z\",\"s\":\"in-the-file\"}"
        );
        assert_eq!(response.headers["x-echo"], "you sent ************");
    }

    #[test]
    fn a_secret_that_the_limit_has_cut_is_covered_too() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", sensitive("s3cret-token"));
        let plain = "https://a.test/";
        let masks = Masks::of_url(&plain.parse().expect("a URL"), plain);
        let mask = masks.of(&headers);

        let ends = ["it is s3cret-t", "it is s3cret", "it is s3cr"];
        let covered = ends.map(|end| {
            let mut response = answer(end, true);
            mask.cover(&mut response);
            response.body
        });

        assert_eq!(covered, ["it is ********", "it is ******", "it is s3cr"]);
    }

    #[test]
    fn what_is_escaped_in_an_answer_is_covered_too() {
        let url = "https://a.test/v1?token=canary%2Ftok%2B1&v=1";
        let masks = Masks::of_url(&url.parse().expect("a URL"), "${Api:url}");
        let mut headers = HeaderMap::new();
        let bodies = [
            (
                "q7Zk/canary/9w==",
                "x=q7Zk\\/canary\\/9w==",
                "x=******************",
            ),
            (
                "q7Zk/canary/9w==",
                "k=q7Zk%2Fcanary%2F9w%3D%3D",
                "k=************************",
            ),
            (
                "another&\"one",
                "another\\u0026\\\"one.",
                "******************.",
            ),
            ("another&\"one", "canary%2Ftok%2B1", "****************"),
            ("another&\"one", "canary/tok+1", "************"),
        ];
        for (secret, body, expected) in bodies {
            headers.insert("x-api-key", sensitive(secret));
            let mut response = answer(body, false);

            masks.of(&headers).cover(&mut response);

            assert_eq!(response.body, expected, "{body}");
        }
    }
}
