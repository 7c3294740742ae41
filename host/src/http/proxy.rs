//! Which proxy stands before an endpoint: the module file's, or the environment's, as curl reads it.
//!
//! # Invariants
//! - No text has a proxy's user or password, or its address unless the user wrote it in the module file.
//! - A connection to this machine goes through no proxy of the environment, which would be another machine.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::{Host, Url};

/// What is done where SOCKS has no port of its own (RFC 1928, section 3).
const SOCKS_PORT: u16 = 1080;

/// `endpoint.proxy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProxyRule {
    /// No proxy.
    #[default]
    Direct,
    /// This one, wherever the endpoint is.
    Written(Proxy),
    /// The environment's.
    Environment(Environment),
}

impl ProxyRule {
    /// The proxy before `url`.
    ///
    /// # Errors
    /// When the environment's variable for it holds no proxy: going around it might be forbidden.
    pub fn before(&self, url: &Url) -> Result<Option<Proxy>, ProxyError> {
        match self {
            Self::Direct => Ok(None),
            Self::Written(proxy) => Ok(Some(proxy.clone())),
            Self::Environment(environment) => environment.before(url),
        }
    }
}

/// Why a text names no proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No URL.
    #[error("it is no URL")]
    NoUrl,
    /// Another scheme, or none.
    #[error("its scheme is not `http`, `https`, `socks5` or `socks5h`")]
    Scheme,
    /// A path, a query or a fragment.
    #[error("it has more than a host and a port")]
    Path,
    /// A variable of the environment.
    #[error("the environment variable `{0}` names no proxy")]
    Variable(&'static str),
}

/// A proxy. `Debug` shows its label alone.
#[derive(Clone)]
pub struct Proxy {
    intercept: Intercept,
    /// What it was made of, with the login: for comparison.
    text: String,
    label: String,
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.label) == (&other.text, &other.label)
    }
}

impl Eq for Proxy {}

impl Proxy {
    /// From `endpoint.proxy`, with the text as it is written, before `${…}` is filled in.
    ///
    /// # Errors
    /// When `text` is no URL of a proxy.
    pub fn parse(text: &str, written: &str) -> Result<Self, ProxyError> {
        let url: Url = text.parse().map_err(|_| ProxyError::NoUrl)?;
        if !is_known(url.scheme()) {
            return Err(ProxyError::Scheme);
        }
        let is_bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !is_bare {
            return Err(ProxyError::Path);
        }
        Self::new(text, without_login(written)).ok_or(ProxyError::NoUrl)
    }

    fn new(text: &str, label: String) -> Option<Self> {
        let matcher = Matcher::builder().all(text.to_owned()).build();
        let intercept = matcher.intercept(&Uri::from_static("http://any.invalid/"))?;
        is_known(intercept.uri().scheme_str()?).then(|| Self {
            intercept,
            text: text.to_owned(),
            label,
        })
    }

    /// Its host, a name or an address.
    pub(crate) fn host(&self) -> String {
        self.intercept.uri().host().unwrap_or_default().to_owned()
    }

    /// What may be said of it.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Where it is; SOCKS with its port.
    pub(super) fn uri(&self) -> Uri {
        let uri = self.intercept.uri();
        if self.is_socks() && uri.port().is_none() {
            return with_port(uri, SOCKS_PORT);
        }
        uri.clone()
    }

    pub(super) fn is_socks(&self) -> bool {
        matches!(
            self.intercept.uri().scheme_str(),
            Some("socks5" | "socks5h")
        )
    }

    /// Whether it is reached over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.intercept.uri().scheme_str() == Some("https")
    }

    /// `proxy-authorization`, marked sensitive.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// User and password for SOCKS.
    pub(super) fn login(&self) -> Option<(&str, &str)> {
        self.intercept.raw_auth()
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Proxy").field(&self.label).finish()
    }
}

/// What the environment says. `Debug` shows none of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    http: Option<Variable>,
    https: Option<Variable>,
    no_proxy: String,
}

type Variable = (&'static str, String);

impl Environment {
    /// Reads the variables: lower case wins, and the first that is set counts, so that an empty one means no proxy.
    /// In a CGI program, a client's `Proxy:` header is `HTTP_PROXY` (CVE-2016-5385).
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            let set = |name: &&'static str| variable(name).map(|value| (*name, value));
            names.iter().find_map(set)
        };
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http: &[_] = match is_cgi {
            true => &["http_proxy", "all_proxy", "ALL_PROXY"],
            false => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let https = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        Self {
            http: first(http),
            https: first(&https),
            no_proxy: first(&["no_proxy", "NO_PROXY"])
                .map(|(_, value)| value)
                .unwrap_or_default(),
        }
    }

    fn before(&self, url: &Url) -> Result<Option<Proxy>, ProxyError> {
        let variable = match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        };
        let Some((name, value)) = variable.as_ref().filter(|(_, value)| !value.is_empty()) else {
            return Ok(None);
        };
        let uri: Uri = url.as_str().parse().map_err(|_| ProxyError::NoUrl)?;
        // Asked without a proxy that could be wrong: whether the rules let the host through.
        let rules = Matcher::builder()
            .all("http://any.invalid".to_owned())
            .no(self.no_proxy.clone())
            .build();
        if is_loopback(url) || rules.intercept(&uri).is_none() {
            return Ok(None);
        }
        let proxy = Proxy::new(value, (*name).to_owned());
        proxy.map(Some).ok_or(ProxyError::Variable(name))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

/// The same, with a port where it has none.
pub(super) fn with_port(uri: &Uri, port: u16) -> Uri {
    let mut parts = uri.clone().into_parts();
    if let Some(host) = uri.host().filter(|_| uri.port().is_none()) {
        parts.authority = format!("{host}:{port}").parse().ok();
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn is_known(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "socks5" | "socks5h")
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// A text as it is written, without the part that may hold a user and a password.
fn without_login(written: &str) -> String {
    let (scheme, rest) = match written.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), written),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    format!("{scheme}{rest}")
}

#[cfg(test)]
mod tests;
