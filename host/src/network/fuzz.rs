//! Targets and headers that a plugin could write.

use http::{HeaderName, Uri, header::AUTHORIZATION};
use url::Url;

use super::{BaseUrl, HeaderRules};
use crate::fuzzing::draw::Draw;

const BASES: [&str; 6] = [
    "https://api.test/v1",
    "https://api.test:8443/a/b/?k=1",
    "http://127.0.0.1:8080",
    "http://[::1]:8080/x/",
    "https://api.test/caf%C3%A9",
    "http://api.test/a//b",
];

const TARGET_WORDS: [&str; 24] = [
    "\0",
    "\u{e9}",
    "\u{202e}",
    "\r\n",
    "../",
    "%2e%2e/",
    "%2E",
    "%00",
    "%0d%0a",
    "//",
    "\\",
    "https://",
    "http:",
    "@",
    "other.test",
    "api.test",
    ":8443",
    "[::1]",
    "?",
    "#",
    ";",
    "%",
    "%zz",
    "\u{ff0f}",
];

/// A target that resolves stays on the endpoint, as two readers understand it, with the base's query in front; one that only
/// names segments stays below the base's path. Moved to another base, all of it holds there.
pub(crate) fn target(input: &[u8]) {
    let mut draw = Draw::new(input);
    let base: Url = draw.pick(&BASES).parse().expect("a URL");
    let target = draw.text(&TARGET_WORDS);
    // Drawn last: the inputs that are kept mean what they meant.
    let other: Url = draw.pick(&BASES).parse().expect("a URL");
    let (from, to) = (
        BaseUrl::new(&base).expect("a base"),
        BaseUrl::new(&other).expect("a base"),
    );

    let Ok(uri) = from.resolve(&target) else {
        return;
    };
    let moved = from.moved(&uri, &to).expect("it is short");

    stays(&uri, &base, &target);
    stays(&moved, &other, &target);
    let path = target.split('?').next().unwrap_or_default();
    let is_below = !path.starts_with('/')
        && !path.contains("..")
        && !path.to_ascii_lowercase().contains("%2e");
    if is_below {
        for (uri, base) in [(&uri, &base), (&moved, &other)] {
            let folder = format!("{}/", base.path().trim_end_matches('/'));
            let is_there = uri.path() == base.path() || uri.path().starts_with(&folder);
            assert!(is_there, "{target:?} gives {uri}");
        }
    }
}

fn stays(uri: &Uri, base: &Url, target: &str) {
    let home: Uri = base.as_str().parse().expect("a URI");
    assert_eq!(
        (uri.scheme(), uri.authority()),
        (home.scheme(), home.authority()),
        "{target:?}"
    );
    let seen: Url = uri
        .to_string()
        .parse()
        .expect("a URL to the other reader too");
    assert_eq!(seen.origin(), base.origin(), "{target:?}");
    assert!(seen.username().is_empty() && seen.password().is_none() && seen.fragment().is_none());
    let line = uri.path_and_query().expect("an origin-form").as_str();
    assert!(
        line.starts_with('/') && line.bytes().all(|byte| byte.is_ascii_graphic()),
        "{line:?}"
    );
    let Some(first) = base.query() else { return };
    let rest = uri.query().and_then(|query| query.strip_prefix(first));
    let is_in_front = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('&'));
    assert!(is_in_front, "{target:?} gives {uri}");
}

const NAMES: [&str; 20] = [
    "\u{e9}",
    "Content-Length",
    "transfer-encoding",
    "host",
    "Connection",
    "x-api-key",
    "Authorization",
    "proxy-x",
    "te",
    "upgrade",
    "x",
    "content-type",
    "\r\n",
    ":authority",
    "keep-alive",
    "trailer",
    "expect",
    "http2-settings",
    "\u{7f}",
    "\u{212a}",
];
const VALUES: [&str; 7] = [
    "\u{e9}",
    "\r\n",
    "\n",
    "\0",
    "chunked",
    "\u{7f}",
    "\u{100}\u{10a}",
];

/// Headers pass exactly if their names are tokens of no forbidden name, and their values visible.
pub(crate) fn headers(input: &[u8]) {
    let mut draw = Draw::new(input);
    let mut headers = Vec::new();
    while !draw.is_spent() {
        let name = draw.text(&NAMES);
        let value = draw.text(&VALUES);
        // One in a while is long, or there are many.
        let (times, long) = match value.len() {
            13 => (130, 1),
            17 => (1, 4000),
            _ => (1, 1),
        };
        headers.extend(vec![(name, value.repeat(long)); times]);
    }
    let rules = HeaderRules::new(vec![AUTHORIZATION, HeaderName::from_static("x-api-key")]);

    let checked = rules.check(&headers);

    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let fits = headers.len() <= 128
        && bytes <= 64 * 1024
        && headers.iter().all(|(name, value)| may_pass(name, value));
    assert_eq!(checked.is_ok(), fits, "{headers:?}: {checked:?}");
    let Ok(map) = checked else { return };
    assert_eq!(map.len(), headers.len());
    for (name, value) in &map {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes()].concat();
        assert!(
            !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{line:?}"
        );
    }
    for name in map.keys() {
        let asked = headers
            .iter()
            .filter(|(asked, _)| asked.eq_ignore_ascii_case(name.as_str()));
        assert!(
            map.get_all(name).iter().eq(asked.map(|(_, value)| value)),
            "{name}"
        );
    }
}

/// RFC 9110, sections 5.6.2 and 5.5, without obs-text; the names of `wit/README.md`.
fn may_pass(name: &str, value: &str) -> bool {
    const FORBIDDEN: [&str; 12] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "authorization",
        "x-api-key",
    ];
    let token = |character: char| {
        character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
    };
    let lower = name.to_ascii_lowercase();
    !name.is_empty()
        && name.chars().all(token)
        && !FORBIDDEN.contains(&&*lower)
        && !lower.starts_with("proxy-")
        && value
            .chars()
            .all(|character| character == '\t' || (' '..='~').contains(&character))
}
