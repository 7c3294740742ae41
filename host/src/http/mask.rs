//! Takes the secrets that an endpoint was sent out of what it answers: an endpoint, or a proxy before it, that repeats the
//! request in its error would otherwise bring them to plugins, dead letters and results.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use url::Url;

use crate::outcome::Response;

/// What is shorter is no secret, and stands in many a text by chance.
const SHORTEST: usize = 6;

/// Headers that authentication marks as sensitive, and that are none: they help to understand an error.
const PUBLIC: [&str; 2] = ["x-amz-date", "x-amz-content-sha256"];

/// The secrets of one attempt.
#[derive(Clone, Default)]
pub(super) struct Mask(Vec<Bytes>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// The secret parts of those URLs that the module file does not write out, by their labels.
    pub(super) fn of_urls<'a>(urls: impl Iterator<Item = (&'a Url, &'a str)>) -> Self {
        let mut mask = Self::default();
        for (url, _) in urls.filter(|(_, label)| label.contains("${")) {
            mask.add(url.password().unwrap_or_default().as_bytes());
            mask.add(url.query().unwrap_or_default().as_bytes());
            for (_, value) in url.query_pairs() {
                mask.add(value.as_bytes());
            }
            // A token in a path is long; a short part is a version or a collection.
            for part in url.path_segments().into_iter().flatten() {
                if part.len() >= 16 {
                    mask.add(part.as_bytes());
                }
            }
        }
        mask
    }

    /// These, and what is secret in the headers of an attempt.
    pub(super) fn with(&self, headers: &HeaderMap) -> Self {
        let mut mask = self.clone();
        for (name, value) in headers {
            if value.is_sensitive() && !PUBLIC.contains(&name.as_str()) {
                mask.add_header(value);
            }
        }
        mask
    }

    fn add_header(&mut self, value: &HeaderValue) {
        let bytes = value.as_bytes();
        self.add(bytes);
        let Some(space) = memchr::memchr(b' ', bytes) else {
            return;
        };
        // `Bearer …`, `Basic …`
        let credentials = bytes.get(space + 1..).unwrap_or_default();
        self.add(credentials);
        if let Ok(decoded) = BASE64_STANDARD.decode(credentials) {
            let colon = memchr::memchr(b':', &decoded);
            let password = colon.and_then(|colon| decoded.get(colon + 1..));
            self.add(password.unwrap_or_default());
        }
    }

    fn add(&mut self, secret: &[u8]) {
        if secret.len() >= SHORTEST {
            self.0.push(Bytes::copy_from_slice(secret));
        }
    }

    /// Writes asterisks in place of each secret, so that everything else stays where it is.
    pub(super) fn cover(&self, response: &mut Response) {
        for secret in &self.0 {
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
        let urls = [
            ("https://a.test/v1?token=query-token", "${Api:url}"),
            (
                "https://a.test/v1?shown=in-the-file",
                "https://a.test/v1?shown=in-the-file",
            ),
        ];
        let urls = urls.map(|(url, label)| (url.parse::<Url>().expect("a URL"), label));
        let mask = Mask::of_urls(urls.iter().map(|(url, label)| (url, *label))).with(&headers);
        let said = "{\"k\":\"s3cret-token\",\"b\":\"dXNlcjpwYXNzd29yZA==\",\"p\":\"password\",\"q\":\"query-token\",\"t\":\"public-tenant\",\"d\":\"20261121T000000Z\",\"s\":\"in-the-file\"}";

        let mut response = answer(said, false);
        mask.cover(&mut response);

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
        let mask = Mask::default().with(&headers);

        let ends = ["it is s3cret-t", "it is s3cret", "it is s3cr"];
        let covered = ends.map(|end| {
            let mut response = answer(end, true);
            mask.cover(&mut response);
            response.body
        });

        assert_eq!(covered, ["it is ********", "it is ******", "it is s3cr"]);
    }
}
