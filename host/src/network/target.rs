//! Targets: references that are resolved against the endpoint's base URL (RFC 3986, section 5).

use http::{Uri, uri::PathAndQuery};
use url::{Position, Url};

/// The longest target, in bytes: what common servers take as a request line.
const MAX_TARGET: usize = 8 * 1024;

/// The endpoint's base URL. Its path is a folder: relative targets stand below it. Its query stands in front of every
/// target's own.
#[derive(Clone)]
pub struct BaseUrl {
    /// Exactly as configured, for the empty target.
    exact: Uri,
    /// With a path that ends in `/`, so that RFC 3986 resolves below it; without a query.
    folder: Url,
}

/// Why a target is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than servers take.
    #[error("it has {0} bytes, more than {MAX_TARGET}")]
    TooLong(usize),
    /// A character that a URI does not have.
    #[error("it has the character {0:?} at byte {1}: percent-encode it")]
    Character(char, usize),
    /// Another origin, or what looks like one.
    #[error(
        "`{0}` leaves the endpoint: a target is a path below the endpoint's URL, or begins with a single `/`"
    )]
    Origin(String),
    /// Not a reference at all.
    #[error("`{0}` is no URI reference: {1}")]
    Invalid(String, String),
}

impl BaseUrl {
    /// From an `http` or `https` URL without user info and fragment, as `config` checks it.
    ///
    /// # Errors
    /// When the URL has no host or is no valid URI for HTTP.
    pub fn new(url: &Url) -> Result<Self, TargetError> {
        if url.as_str().len() > MAX_TARGET {
            return Err(TargetError::TooLong(url.as_str().len()));
        }
        let invalid =
            |reason: &str| TargetError::Invalid("the endpoint's URL".to_owned(), reason.to_owned());
        let exact: Uri = url
            .as_str()
            .parse()
            .map_err(|_| invalid("it is no valid HTTP URI"))?;
        if !url.origin().is_tuple() {
            return Err(invalid("it has no host"));
        }
        let mut folder = url.clone();
        folder.set_query(None);
        folder.set_fragment(None);
        if !folder.path().ends_with('/') {
            let path = format!("{}/", folder.path());
            folder.set_path(&path);
        }
        Ok(Self { exact, folder })
    }

    /// Resolves what a plugin returned as `target`.
    ///
    /// # Errors
    /// When the target is no reference, or leaves the origin.
    pub fn resolve(&self, target: &str) -> Result<Uri, TargetError> {
        if target.is_empty() {
            return Ok(self.exact.clone());
        }
        if target.len() > MAX_TARGET {
            return Err(TargetError::TooLong(target.len()));
        }
        let odd = target
            .char_indices()
            .find(|(_, character)| !is_uri_character(*character));
        if let Some((place, character)) = odd {
            return Err(TargetError::Character(character, place));
        }
        let leaves = || TargetError::Origin(target.to_owned());
        // `//host` names another authority; a backslash is one to some parsers, and no URI character.
        if target.starts_with("//") {
            return Err(leaves());
        }
        let mut url = self
            .folder
            .join(target)
            .map_err(|error| TargetError::Invalid(target.to_owned(), error.to_string()))?;
        // Scheme, user, host and port; a base has no user.
        let stays = url[..Position::BeforePath] == self.folder[..Position::BeforePath];
        // A target that brings its own scheme is refused even if it leads to the same place.
        if !stays || has_scheme(target) {
            return Err(leaves());
        }
        if url.fragment().is_some() {
            return Err(TargetError::Invalid(
                target.to_owned(),
                "a request has no fragment (`#…`)".to_owned(),
            ));
        }
        if let Some(base) = self.query() {
            let query = joined(base, url.query());
            url.set_query(Some(&query));
        }
        url.as_str()
            .parse()
            .map_err(|error: http::uri::InvalidUri| {
                TargetError::Invalid(target.to_owned(), error.to_string())
            })
    }

    /// Moves what this base resolved to `other`: to its scheme, host and port and with its query; what stands below
    /// this one's path then stands below the other's. A path that is not below it stays as it is.
    ///
    /// # Errors
    /// When the outcome is longer than a URI can be.
    pub fn moved(&self, uri: &Uri, other: &Self) -> Result<Uri, TargetError> {
        let path = match uri.path() {
            exact if exact == self.exact.path() => other.exact.path().to_owned(),
            path => match path.strip_prefix(self.folder.path()) {
                Some(rest) => format!("{}{rest}", other.folder.path()),
                None => path.to_owned(),
            },
        };
        let own = match (uri.query(), self.query()) {
            (Some(query), Some(base)) if query == base => None,
            (Some(query), Some(base)) => query
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('&'))
                .or(Some(query)),
            (query, _) => query,
        };
        let query = match other.query() {
            Some(base) => Some(joined(base, own)),
            None => own.map(str::to_owned),
        };
        let line = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut parts = other.exact.clone().into_parts();
        let too_long = |_| TargetError::TooLong(line.len());
        parts.path_and_query = Some(PathAndQuery::try_from(&*line).map_err(too_long)?);
        Ok(Uri::from_parts(parts).expect("scheme and authority are the other base's"))
    }

    /// The query that every target gets; an empty one is none.
    fn query(&self) -> Option<&str> {
        self.exact.query().filter(|query| !query.is_empty())
    }
}

/// Without the query, which may be a secret.
impl std::fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BaseUrl")
            .field(&self.folder.as_str())
            .finish()
    }
}

/// The base's query, then the target's own.
fn joined(base: &str, own: Option<&str>) -> String {
    match own {
        None | Some("") => base.to_owned(),
        Some(own) => format!("{base}&{own}"),
    }
}

/// RFC 3986, section 2: unreserved, reserved and the percent sign.
fn is_uri_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(character)
}

/// RFC 3986, section 3.1: a scheme ends at a colon before any `/`, `?` or `#`.
fn has_scheme(target: &str) -> bool {
    let end = target.find([':', '/', '?', '#']);
    end.is_some_and(|end| {
        target.as_bytes().get(end) == Some(&b':')
            && target
                .as_bytes()
                .first()
                .is_some_and(u8::is_ascii_alphabetic)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base(url: &str) -> BaseUrl {
        BaseUrl::new(&url.parse().expect("a valid URL")).expect("a valid base")
    }

    #[test]
    fn targets_resolve_below_the_base_or_from_the_root() {
        let table = [
            ("https://api.test/v1", "", "https://api.test/v1"),
            ("https://api.test/v1?k=1", "", "https://api.test/v1?k=1"),
            ("https://api.test", "", "https://api.test/"),
            ("https://api.test/v1", "items", "https://api.test/v1/items"),
            ("https://api.test/v1/", "items", "https://api.test/v1/items"),
            (
                "https://api.test/v1?k=1",
                "items?x=1",
                "https://api.test/v1/items?k=1&x=1",
            ),
            (
                "https://api.test/v1?k=1&l",
                "items",
                "https://api.test/v1/items?k=1&l",
            ),
            (
                "https://api.test/v1?k=1",
                "?x=1",
                "https://api.test/v1/?k=1&x=1",
            ),
            ("https://api.test/v1?k=1", "/v2?", "https://api.test/v2?k=1"),
            (
                "https://api.test/v1?",
                "items?x",
                "https://api.test/v1/items?x",
            ),
            (
                "https://api.test/v1?k=a%26b",
                "items?k=2",
                "https://api.test/v1/items?k=a%26b&k=2",
            ),
            (
                "https://api.test/v1",
                "items/7/a%2Fb",
                "https://api.test/v1/items/7/a%2Fb",
            ),
            (
                "https://api.test/v1",
                "/v2/items",
                "https://api.test/v2/items",
            ),
            ("https://api.test/v1", "/", "https://api.test/"),
            ("https://api.test/v1", "?x=1", "https://api.test/v1/?x=1"),
            (
                "https://api.test/v1",
                "./items",
                "https://api.test/v1/items",
            ),
            ("https://api.test/v1", "../items", "https://api.test/items"),
            (
                "https://api.test/v1",
                "../../../items",
                "https://api.test/items",
            ),
            ("https://api.test/v1", "a/../b", "https://api.test/v1/b"),
            ("https://api.test/v1", "a:b", "refused"),
            ("https://api.test/v1", "./a:b", "https://api.test/v1/a:b"),
            ("https://api.test/v1", "1:2", "https://api.test/v1/1:2"),
            (
                "https://api.test/v1",
                "items?to=http://other.test",
                "https://api.test/v1/items?to=http://other.test",
            ),
            (
                "https://api.test/v1",
                "items/@me",
                "https://api.test/v1/items/@me",
            ),
            (
                "https://api.test/v1",
                "user@other.test",
                "https://api.test/v1/user@other.test",
            ),
            ("http://127.0.0.1:8080/x", "y", "http://127.0.0.1:8080/x/y"),
            ("http://[::1]:8080", "y", "http://[::1]:8080/y"),
        ];

        for (url, target, expected) in table {
            let found = base(url)
                .resolve(target)
                .map_or("refused".to_owned(), |uri| uri.to_string());
            assert_eq!(found, expected, "{url} + {target}");
        }
    }

    #[test]
    fn targets_that_leave_the_origin_or_are_no_reference_are_refused() {
        let long = "a".repeat(MAX_TARGET + 1);
        let targets = [
            "http://api.test/v1",
            "https://api.test/v1",
            "https://other.test/",
            "https://api.test:444/",
            "https:other",
            "https:/other",
            "https:///other.test",
            "HTTPS://other.test",
            "file:///etc/passwd",
            "data:x",
            "javascript:1",
            "ftp://api.test/",
            "unix:/run/x",
            "ws://api.test/",
            "//other.test",
            "//other.test/x",
            "///other.test",
            "//api.test/",
            "//user@api.test/",
            "\\\\other.test",
            "/\\other.test",
            "\\",
            "items\\..\\x",
            "http:\\\\other.test",
            "a b",
            "a\tb",
            "a\r\nHost: x",
            "a\nb",
            "a\0b",
            "caf\u{e9}",
            "\u{202e}x",
            "{x}",
            "a|b",
            "a^b",
            "a`b",
            "<x>",
            "\"x\"",
            "items#part",
            "#",
            "mailto:a@b",
            "a+b:c",
            &long,
        ];

        for target in targets {
            assert!(
                base("https://api.test/v1").resolve(target).is_err(),
                "{target:?}"
            );
        }
    }

    #[test]
    fn what_is_resolved_is_moved_below_another_base() {
        let table = [
            ("https://a.test/v1", "", "https://b.test:8443/p/v1"),
            (
                "https://a.test/v1",
                "items?x=1",
                "https://b.test:8443/p/v1/items?x=1",
            ),
            (
                "https://a.test/v1",
                "/v1/items",
                "https://b.test:8443/p/v1/items",
            ),
            // Not below the first base: the path stays.
            ("https://a.test/v1", "/v2", "https://b.test:8443/v2"),
            ("https://a.test/v1", "/v11", "https://b.test:8443/v11"),
            ("https://a.test", "", "https://b.test:8443/p/v1"),
            ("https://a.test", "items", "https://b.test:8443/p/v1/items"),
            // Each base has its own query.
            ("https://a.test/v1?k=1", "", "https://b.test:8443/p/v1"),
            (
                "https://a.test/v1?k=1",
                "items?x=1",
                "https://b.test:8443/p/v1/items?x=1",
            ),
            (
                "https://a.test/v1?k=1",
                "items?k=1",
                "https://b.test:8443/p/v1/items?k=1",
            ),
        ];
        for (from, target, expected) in table {
            let uri = base(from).resolve(target).expect("it resolves");
            let other = "https://b.test:8443/p/v1";
            let keyed = if expected.contains('?') { "&" } else { "?" };

            let plain = base(from).moved(&uri, &base(other));
            let queried = base(from).moved(&uri, &base(&format!("{other}?q=2")));

            assert_eq!(
                plain.expect("short").to_string(),
                expected,
                "{from} + {target}"
            );
            let expected = match expected.split_once('?') {
                Some((path, own)) => format!("{path}?q=2{keyed}{own}"),
                None => format!("{expected}{keyed}q=2"),
            };
            assert_eq!(
                queried.expect("short").to_string(),
                expected,
                "{from} + {target}"
            );
        }
    }

    #[test]
    fn a_base_that_is_too_long_is_refused_and_a_query_is_not_shown() {
        let long = format!("https://api.test/?k={}", "x".repeat(MAX_TARGET));
        let url = long.parse().expect("a URL");

        let shown = format!("{:?}", base("https://api.test/v1?key=canary"));

        assert!(matches!(BaseUrl::new(&url), Err(TargetError::TooLong(_))));
        assert_eq!(shown, "BaseUrl(\"https://api.test/v1/\")");
    }

    #[test]
    fn the_longest_target_and_the_longest_base_pass() {
        let longest = "a".repeat(8 * 1024);
        let at_most = |bytes: usize| {
            let url = format!("https://api.test/{}", "x".repeat(bytes - 17));
            BaseUrl::new(&url.parse().expect("a URL"))
        };

        let resolved = base("https://api.test").resolve(&longest);

        assert_eq!(
            resolved.map(|uri| uri.path().len()),
            Ok(1 + longest.len()),
            "what the base adds does not count"
        );
        assert!(at_most(8 * 1024).is_ok());
        assert!(matches!(
            at_most(8 * 1024 + 1),
            Err(TargetError::TooLong(8193))
        ));
    }

    const BASES: [&str; 6] = [
        "https://api.test:8443/v1",
        "https://api.test:8443/v1?k=1&l=2",
        "https://api.test:8443",
        "https://other.test/a/b/?k=1",
        "http://127.0.0.1:8080/v1/v1?v1",
        "http://[::1]/?",
    ];

    proptest! {
        #[test]
        fn whatever_a_plugin_writes_the_origin_stays(
            target in "[a-z:/?#@.\\\\%\\[\\]0-9-]{0,30}|.*",
            from in prop::sample::select(&BASES[..]),
            to in prop::sample::select(&BASES[..]),
        ) {
            let origin = |uri: &Uri| (uri.scheme().cloned(), uri.authority().cloned());
            if let Ok(uri) = base(from).resolve(&target) {
                let moved = base(from).moved(&uri, &base(to)).expect("short");
                prop_assert_eq!(origin(&uri), origin(&base(from).exact));
                prop_assert_eq!(origin(&moved), origin(&base(to).exact));
                prop_assert!(moved.path().starts_with('/'));
            }
        }

        #[test]
        fn the_bases_query_comes_first_and_the_targets_own_is_whole(
            path in "[a-z0-9/.]{0,12}", own in "[a-z0-9=&%/?:]{0,12}", url in prop::sample::select(&BASES[..]),
        ) {
            let target = format!("x{path}?{own}");
            let first = base(url).exact.query().unwrap_or_default().to_owned();

            let uri = base(url).resolve(&target).expect("it is below the base");

            let expected = match (&*first, &*own) {
                ("", own) => own.to_owned(),
                (first, "") => first.to_owned(),
                (first, own) => format!("{first}&{own}"),
            };
            prop_assert_eq!(uri.query().unwrap_or_default(), expected);
        }

        /// What names segments only is moved to where the other base would have resolved it.
        #[test]
        fn a_target_below_the_base_is_moved_to_where_the_other_resolves_it(
            target in "|x[a-z0-9/]{0,12}([?][a-z0-9=&]{1,12})?",
            from in prop::sample::select(&BASES[..]),
            to in prop::sample::select(&BASES[..]),
        ) {
            let uri = base(from).resolve(&target).expect("it is below the base");

            let moved = base(from).moved(&uri, &base(to)).expect("short");
            let back = base(to).moved(&moved, &base(from)).expect("short");

            let expected = base(to).resolve(&target).expect("it is below the base");
            let queries = |uri: &Uri| uri.query().unwrap_or_default().to_owned();
            prop_assert_eq!(moved.path(), expected.path());
            prop_assert_eq!(queries(&moved), queries(&expected));
            prop_assert_eq!(queries(&back), queries(&uri));
        }
    }
}
