//! Targets: references that are resolved against the endpoint's base URL (RFC 3986, section 5).

use http::Uri;
use url::Url;

/// The longest target, in bytes: what common servers take as a request line.
const MAX_TARGET: usize = 8 * 1024;

/// The endpoint's base URL. Its path is a folder: relative targets stand below it.
#[derive(Debug, Clone)]
pub struct BaseUrl {
    /// Exactly as configured, for the empty target.
    exact: Uri,
    /// With a path that ends in `/`, so that RFC 3986 resolves below it.
    folder: Url,
    /// `scheme://host[:port]`.
    origin: String,
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
        let invalid =
            |reason: &str| TargetError::Invalid("the endpoint's URL".to_owned(), reason.to_owned());
        let exact: Uri = url
            .as_str()
            .parse()
            .map_err(|_| invalid("it is no valid HTTP URI"))?;
        let origin = url.origin();
        if !origin.is_tuple() {
            return Err(invalid("it has no host"));
        }
        let mut folder = url.clone();
        folder.set_query(None);
        folder.set_fragment(None);
        if !folder.path().ends_with('/') {
            let path = format!("{}/", folder.path());
            folder.set_path(&path);
        }
        Ok(Self {
            exact,
            folder,
            origin: origin.ascii_serialization(),
        })
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
        let url = self
            .folder
            .join(target)
            .map_err(|error| TargetError::Invalid(target.to_owned(), error.to_string()))?;
        let stays = url.origin().ascii_serialization() == self.origin
            && url.username().is_empty()
            && url.password().is_none();
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
        url.as_str()
            .parse()
            .map_err(|error: http::uri::InvalidUri| {
                TargetError::Invalid(target.to_owned(), error.to_string())
            })
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
                "https://api.test/v1/items?x=1",
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

    proptest! {
        #[test]
        fn whatever_a_plugin_writes_the_origin_stays(target in "[a-z:/?#@.\\\\%\\[\\]0-9-]{0,30}|.*") {
            if let Ok(uri) = base("https://api.test:8443/v1").resolve(&target) {
                prop_assert_eq!(uri.scheme_str(), Some("https"));
                prop_assert_eq!(uri.authority().map(|authority| authority.as_str()), Some("api.test:8443"));
            }
        }
    }
}
