//! Hosts that a plugin may ask, as a module grants them: pure.
//!
//! # Invariants
//! - A name is compared as a URL's parser writes it: lower case, without tricks.
//! - A pattern matches no address that does not stand in it.

use url::{Host, Url};

/// One entry of `grants.http`: `api.test`, `api.test:8443`, `*.api.test`, `http://10.0.0.1:8080`. Without a scheme it is `https`, without a
/// port that of the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    scheme: &'static str,
    host: Pattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(Host),
    /// With the dot in front.
    Below(String),
}

impl HostPattern {
    /// Reads an entry.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            None => ("https", text),
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(_) => return Err("its scheme is not `http` or `https`".to_owned()),
        };
        let (is_below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains(['*', '/', '\\', '?', '#', '@']) {
            return Err(
                "write a host, `host:port`, or `*.` before a name for what is below it".to_owned(),
            );
        }
        let url: Url = format!("{scheme}://{rest}/")
            .parse()
            .map_err(|error: url::ParseError| error.to_string())?;
        let host = url.host().ok_or("it has no host")?.to_owned();
        let host = match (is_below, host) {
            (false, host) => Pattern::Exact(host),
            (true, Host::Domain(name)) => Pattern::Below(format!(".{}", without_root(&name))),
            (true, _) => return Err("nothing is below an address".to_owned()),
        };
        let host = match host {
            Pattern::Exact(Host::Domain(name)) => {
                Pattern::Exact(Host::Domain(without_root(&name).to_owned()))
            }
            host => host,
        };
        let port = url.port_or_known_default().ok_or("it has no port")?;
        Ok(Self { scheme, host, port })
    }

    /// Whether `url` is granted.
    pub fn matches(&self, url: &Url) -> bool {
        let is_host = match (&self.host, url.host()) {
            (Pattern::Exact(Host::Domain(own)), Some(Host::Domain(name))) => {
                without_root(name) == own
            }
            (Pattern::Exact(own), Some(host)) => *own == host.to_owned(),
            (Pattern::Below(own), Some(Host::Domain(name))) => {
                let name = without_root(name);
                name.len() > own.len() && name.ends_with(own.as_str())
            }
            (_, _) => false,
        };
        is_host && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }

    /// The host as a URL, where it is one: for the check of its address.
    pub fn url(&self) -> Option<Url> {
        match &self.host {
            Pattern::Exact(host) => format!("{}://{host}/", self.scheme).parse().ok(),
            Pattern::Below(_) => None,
        }
    }
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says_and_nothing_else() {
        let table = [
            ("api.test", "https://api.test/a?b", true),
            ("api.test", "https://API.test:443/", true),
            ("api.test", "https://api.test./", true),
            ("API.test.", "https://api.test/", true),
            ("api.test", "http://api.test/", false),
            ("api.test", "https://api.test:8443/", false),
            ("api.test", "https://xapi.test/", false),
            ("api.test", "https://a.api.test/", false),
            ("api.test", "https://api.test.evil/", false),
            ("api.test", "https://api.test@evil/", false),
            ("api.test:8443", "https://api.test:8443/", true),
            ("https://api.test", "https://api.test/", true),
            ("http://api.test", "http://api.test/", true),
            ("http://api.test", "https://api.test/", false),
            ("http://api.test", "https://api.test:80/", false),
            ("*.api.test", "https://a.api.test/", true),
            ("*.api.test", "https://a.b.api.test/", true),
            ("*.api.test", "https://api.test/", false),
            ("*.api.test", "https://.api.test/", false),
            ("*.api.test", "https://xapi.test/", false),
            ("*.0.0.1.test", "https://127.0.0.1/", false),
            ("127.0.0.1", "https://127.0.0.1/", true),
            ("127.0.0.1", "https://2130706433/", true),
            ("127.0.0.1", "https://0x7f.1/", true),
            ("127.0.0.1", "https://[::ffff:127.0.0.1]/", false),
            ("[::1]:8443", "https://[::1]:8443/", true),
            ("b\u{fc}cher.test", "https://xn--bcher-kva.test/", true),
            ("api.test", "https://\u{ff41}pi.test/", true),
        ];
        for (pattern, url, matches) in table {
            let parsed = HostPattern::parse(pattern).expect(pattern);
            let Ok(url) = url.parse::<Url>() else {
                assert!(!matches, "{url} is no URL");
                continue;
            };
            assert_eq!(parsed.matches(&url), matches, "{pattern}: {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "**.test",
            "a*.test",
            "api.test/path",
            "me@api.test",
            "ftp://api.test",
            "api.test?x",
            "*.127.0.0.1",
            "*.[::1]",
            "api test",
            "api.test:99999",
            "https://",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_single_host_can_be_checked_and_what_is_below_a_name_has_none() {
        let table = [
            ("api.test:8443", Some("https://api.test/")),
            ("http://10.0.0.1:8080", Some("http://10.0.0.1/")),
            ("[::1]", Some("https://[::1]/")),
            ("*.api.test", None),
        ];
        for (pattern, expected) in table {
            let url = HostPattern::parse(pattern).expect(pattern).url();

            assert_eq!(url.as_ref().map(Url::as_str), expected, "{pattern}");
        }
    }
}
