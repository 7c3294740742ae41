//! Where the admin address is.

use std::net::{Ipv4Addr, SocketAddr};

/// Where it is if nothing is said.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// The admin address, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// As it was written: the form for errors.
    pub label: String,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            address: DEFAULT,
            label: DEFAULT.to_string(),
        }
    }
}

/// Reads `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`, or a port of the loopback address.
///
/// # Errors
/// When it is none of these, in words. A name would be looked up, and may come to stand for an address that others reach.
pub fn parse(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    text.parse()
        .map_err(|_| "write an IP address and a port, such as `127.0.0.1:9464` or `[::]:9464`, or a port alone for this machine")
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
            (":9464", None),
            ("example.com:9464", None),
            ("http://127.0.0.1:9464", None),
            ("127.0.0.1", None),
            ("65536", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = parse(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
