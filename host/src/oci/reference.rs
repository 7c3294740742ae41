//! References: `oci://registry/repository:tag@sha256:…`. Pure.

use std::fmt;

use url::{Host, Url};

use super::Digest;

/// How every reference begins.
pub(super) const SCHEME: &str = "oci://";
/// The longest repository name and tag of the distribution specification.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// The name of a package in a registry: by a tag, which may move, or a digest, which cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `host` or `host:port`.
    registry: String,
    is_loopback: bool,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It begins otherwise.
    #[error("it does not begin with `{SCHEME}`")]
    Scheme,
    /// The registry is no host, with a port or without.
    #[error("`{0}` is no registry: write a host, or a host and a port")]
    Registry(String),
    /// The repository has no name, or one that registries do not take.
    #[error(
        "`{0}` is no repository: its parts hold lower-case letters and digits, with `.`, `_` or `-` between them"
    )]
    Repository(String),
    /// The tag has a character that tags do not have, or too many of them.
    #[error(
        "`{0}` is no tag: it holds up to {MAX_TAG} letters, digits, `_`, `.` and `-`, and begins with none of the last two"
    )]
    Tag(String),
    /// What stands behind the `@` is no digest.
    #[error("`{0}` is no digest: write `sha256:` and 64 hexadecimal digits, in lower case")]
    Digest(String),
    /// Neither tag nor digest.
    #[error("it names neither a tag (`:1.0`) nor a digest (`@sha256:…`)")]
    Neither,
}

impl Reference {
    /// Whether `text` is meant as a reference.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// What of it is none.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let rest = text.strip_prefix(SCHEME).ok_or(ReferenceError::Scheme)?;
        let (registry, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, digest) = match name.split_once('@') {
            None => (name, None),
            Some((name, digest)) => {
                let read = digest.parse();
                let read = read.map_err(|_| ReferenceError::Digest(digest.to_owned()))?;
                (name, Some(read))
            }
        };
        let (repository, tag) = match name.split_once(':') {
            None => (name, None),
            Some((name, tag)) => (name, Some(tag.to_owned())),
        };
        let host = host(registry).ok_or_else(|| ReferenceError::Registry(registry.to_owned()))?;
        if !is_repository(repository) {
            return Err(ReferenceError::Repository(repository.to_owned()));
        }
        if let Some(wrong) = tag.as_ref().filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(wrong.clone()));
        }
        if tag.is_none() && digest.is_none() {
            return Err(ReferenceError::Neither);
        }
        Ok(Self {
            registry: registry.to_owned(),
            is_loopback: match host {
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => address.is_loopback(),
                Host::Domain(name) => name == "localhost",
            },
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }

    /// The registry, `host` or `host:port`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether the registry is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The manifest's digest, if it is pinned.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// How the registry is asked for the manifest: by its digest, or else by its tag.
    pub(super) fn manifest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_default(),
        }
    }

    /// The same package, pinned to a manifest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn host(registry: &str) -> Option<Host> {
    let url: Url = format!("https://{registry}/").parse().ok()?;
    // What the parser changes, such as an upper-case name or a user, is not what was written.
    let default_port = registry.strip_suffix(":443").unwrap_or(registry);
    let same = url.authority() == default_port && !registry.contains('@');
    same.then(|| url.host().map(|host| host.to_owned()))?
}

fn is_repository(name: &str) -> bool {
    name.len() <= MAX_REPOSITORY && name.split('/').all(is_part)
}

/// Letters and digits, between them `.`, `_`, `__` or any number of `-`.
fn is_part(part: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let separators = part.split(is_plain).filter(|between| !between.is_empty());
    let fine = |between: &str| {
        matches!(between, "." | "_" | "__") || between.chars().all(|character| character == '-')
    };
    part.starts_with(is_plain) && part.ends_with(is_plain) && separators.into_iter().all(fine)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    tag.len() <= MAX_TAG
        && tag.starts_with(is_word)
        && tag
            .chars()
            .all(|character| is_word(character) || ".-".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_is_shown_as_it_is_written() {
        for (text, loopback) in [
            ("oci://ghcr.io/acme/score:1.0".to_owned(), false),
            (format!("oci://ghcr.io/acme/score@{PIN}"), false),
            (format!("oci://ghcr.io/acme/score:1.0@{PIN}"), false),
            ("oci://ghcr.io:443/acme/score:1.0".to_owned(), false),
            (
                "oci://127.0.0.1:5000/a.b_c__d---e/f0:V1_-.x".to_owned(),
                true,
            ),
            ("oci://[::1]:5000/score:1".to_owned(), true),
            ("oci://localhost/score:1".to_owned(), true),
            ("oci://localhost.example.com/score:1".to_owned(), false),
        ] {
            let reference = Reference::parse(&text).expect(&text);

            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_part_that_is_wrong() {
        type Kind = fn(String) -> ReferenceError;
        let registry: Kind = ReferenceError::Registry;
        let repository: Kind = ReferenceError::Repository;
        let tag: Kind = ReferenceError::Tag;
        let digest: Kind = ReferenceError::Digest;
        let long = "t".repeat(129);
        for (text, kind, part) in [
            ("oci://", registry, ""),
            ("oci://user@host/score:1", registry, "user@host"),
            ("oci://HOST/score:1", registry, "HOST"),
            ("oci://host:port/score:1", registry, "host:port"),
            ("oci://ho st/score:1", registry, "ho st"),
            ("oci://127.1/score:1", registry, "127.1"),
            ("oci://ghcr.io", repository, ""),
            ("oci://ghcr.io/:1", repository, ""),
            ("oci://ghcr.io/Acme/score:1", repository, "Acme/score"),
            ("oci://ghcr.io/acme//score:1", repository, "acme//score"),
            ("oci://ghcr.io/../score:1", repository, "../score"),
            ("oci://ghcr.io/a..b:1", repository, "a..b"),
            ("oci://ghcr.io/a___b:1", repository, "a___b"),
            ("oci://ghcr.io/a%2fb:1", repository, "a%2fb"),
            ("oci://ghcr.io/score:", tag, ""),
            ("oci://ghcr.io/score:.1", tag, ".1"),
            ("oci://ghcr.io/score:a/b", tag, "a/b"),
            ("oci://ghcr.io/score:1?x=y", tag, "1?x=y"),
            (&format!("oci://ghcr.io/score:{long}"), tag, &long),
            ("oci://ghcr.io/score@sha256:12", digest, "sha256:12"),
            ("oci://ghcr.io/score@md5:12", digest, "md5:12"),
        ] {
            let refused = Reference::parse(text).expect_err(text);

            assert_eq!(refused, kind(part.to_owned()), "{text}");
        }
        let neither = Reference::parse("oci://ghcr.io/acme/score");
        assert_eq!(neither, Err(ReferenceError::Neither));
        let file = Reference::parse("plugins/score.wasm");
        assert_eq!(file, Err(ReferenceError::Scheme));
    }
}
