//! Where the admin address is, and who may use it.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::auth::Secret;

/// Where it is if nothing is said.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// What is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket, made for its owner alone.
    Unix(PathBuf),
}

/// The admin address, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen.
    pub listen: Listen,
    /// As it was written: the form for errors.
    pub label: String,
    /// What must be shown for everything but `/live` and `/ready`.
    pub token: Option<Secret>,
    /// Connections are encrypted.
    pub tls: Option<ServerTls>,
    /// Names by which the address is known, beside IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Nothing can be changed.
    pub read_only: bool,
}

/// What a server proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// A certificate chain in PEM.
    pub cert_file: PemFile,
    /// Its private key in PEM.
    pub key_file: PemFile,
}

/// A file, and what it is called in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFile {
    /// Where it is.
    pub path: PathBuf,
    /// As the module file writes it.
    pub label: String,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp(DEFAULT),
            label: DEFAULT.to_string(),
            token: None,
            tls: None,
            hosts: Vec::new(),
            read_only: false,
        }
    }
}

/// Why others than those of this machine may not be let in as it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposed {
    /// Whoever reaches the address could change things.
    Open,
    /// The token would be seen by all on the way.
    PlainToken,
}

/// What to do about [`Exposed`].
pub const EXPOSED: &str = "set `admin.tls` and `admin.token`, or `admin.read-only: true` to let others read ids and numbers, or listen on this machine alone";

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "others reach it, and could change what runs",
            Self::PlainToken => {
                "others reach it, and its token would go over the network in the clear"
            }
        })
    }
}

impl AdminSettings {
    /// Whether others than those of this machine reach it without TLS and a token, and could do more than read.
    pub fn exposed(&self) -> Option<Exposed> {
        match (&self.listen, &self.token, &self.tls) {
            (Listen::Unix(_), ..) => None,
            (Listen::Tcp(address), ..) if address.ip().is_loopback() => None,
            (_, Some(_), Some(_)) => None,
            (_, Some(_), None) => Some(Exposed::PlainToken),
            (_, None, _) => (!self.read_only).then_some(Exposed::Open),
        }
    }

    /// Whether a token of this start guards what changes something: only those who may read the state directory have it.
    pub fn makes_token(&self) -> bool {
        matches!(self.listen, Listen::Tcp(_)) && self.token.is_none() && !self.read_only
    }
}

/// Reads `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`, a port of the loopback address, or `unix:PATH`.
///
/// # Errors
/// When it is none of these, in words. A name would be looked up, and may come to stand for an address that others reach.
pub fn parse(text: &str) -> Result<Listen, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("write the path of a socket behind `unix:`"),
            path => Ok(Listen::Unix(path.into())),
        };
    }
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(Listen::Tcp(SocketAddr::new(
            Ipv4Addr::LOCALHOST.into(),
            port,
        )));
    }
    text.parse().map(Listen::Tcp).map_err(|_| {
        "write an IP address and a port, such as `127.0.0.1:9464` or `[::]:9464`, a port alone for this machine, or `unix:PATH`"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_must_be_written_out() {
        let table = [
            ("9464", Some("127.0.0.1:9464")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("0.0.0.0:9464", Some("0.0.0.0:9464")),
            ("[::1]:9464", Some("[::1]:9464")),
            ("unix:run/a.sock", Some("run/a.sock")),
            ("unix:", None),
            (":9464", None),
            ("example.com:9464", None),
            ("http://127.0.0.1:9464", None),
            ("127.0.0.1", None),
            ("65536", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = parse(text).ok().map(|listen| match listen {
                Listen::Tcp(address) => address.to_string(),
                Listen::Unix(path) => path.display().to_string(),
            });
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn others_are_let_in_with_tls_and_a_token_or_to_read() {
        let (tls, none) = (true, false);
        let table = [
            ("127.0.0.1:1", None, none, none, None),
            ("[::1]:1", Some("t"), none, none, None),
            ("unix:a", None, none, none, None),
            ("0.0.0.0:1", None, none, none, Some(Exposed::Open)),
            ("[::]:1", None, tls, none, Some(Exposed::Open)),
            (
                "10.0.0.1:1",
                Some("t"),
                none,
                none,
                Some(Exposed::PlainToken),
            ),
            (
                "10.0.0.1:1",
                Some("t"),
                none,
                true,
                Some(Exposed::PlainToken),
            ),
            ("10.0.0.1:1", Some("t"), tls, none, None),
            ("0.0.0.0:1", None, none, true, None),
        ];
        for (address, token, tls, read_only, expected) in table {
            let file = || PemFile {
                path: "f".into(),
                label: "f".to_owned(),
            };
            let settings = AdminSettings {
                listen: parse(address).expect("an address"),
                token: token.map(Secret::fixed),
                tls: tls.then(|| ServerTls {
                    cert_file: file(),
                    key_file: file(),
                }),
                read_only,
                ..AdminSettings::default()
            };

            assert_eq!(
                settings.exposed(),
                expected,
                "{address} {token:?} {tls} {read_only}"
            );
        }
    }
}
