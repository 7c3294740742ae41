//! What came of one attempt: plain data, between the transport, the plugin and the engine.

pub mod retry_after;

use bytes::Bytes;
use http::HeaderMap;

/// What came of one attempt.
pub type Outcome = Result<Response, Failure>;

/// A complete response; 3xx too, as redirects are never followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// As received.
    pub headers: HeaderMap,
    /// At most `max_response_body` bytes.
    pub body: Bytes,
    /// Whether the body was longer.
    pub truncated: bool,
}

/// Why no complete response arrived. The texts name no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The attempt took longer than `timeout.attempt`.
    #[error("no complete response within the attempt's timeout")]
    Timeout,
    /// No connection: refused, unreachable, or the name was not found.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// No token, no key, or no signature: nothing was sent to the endpoint.
    #[error("could not authenticate: {0}")]
    Auth(String),
    /// The connection ended early, or what came was not HTTP.
    #[error("protocol error: {0}")]
    Protocol(String),
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are those of `Failure`")]
pub enum FailureKind {
    Timeout,
    Connect,
    Tls,
    Protocol,
    Auth,
}

impl FailureKind {
    /// As `failures` and traces name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Auth => "auth",
        }
    }
}

impl Failure {
    /// Its kind.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Timeout => FailureKind::Timeout,
            Self::Connect(_) => FailureKind::Connect,
            Self::Tls(_) => FailureKind::Tls,
            Self::Protocol(_) => FailureKind::Protocol,
            Self::Auth(_) => FailureKind::Auth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_name_by_which_settings_call_it() {
        let text = String::new;
        let table = [
            (Failure::Timeout, "timeout"),
            (Failure::Connect(text()), "connect"),
            (Failure::Tls(text()), "tls"),
            (Failure::Auth(text()), "auth"),
            (Failure::Protocol(text()), "protocol"),
        ];

        for (failure, name) in table {
            assert_eq!(failure.kind().name(), name);
        }
    }
}
