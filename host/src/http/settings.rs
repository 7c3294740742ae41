//! What the client is told about an endpoint, checked: built by `config`.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};
use url::Url;

/// One endpoint. `Debug` shows no secret: secret header values are marked sensitive, and the
/// URL is shown as its `label`.
#[derive(Clone)]
pub struct EndpointSettings {
    /// The base URL, `http` or `https`, without user info or fragment.
    pub url: Url,
    /// The URL as the module file writes it, before `${…}` is filled in: the form for logs and errors.
    pub label: String,
    /// Sent with every request; a plugin may not set the same names.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The header that authenticates; marked sensitive. A plugin may not set the same name.
    pub auth: Option<(HeaderName, HeaderValue)>,
    /// How request bodies are compressed.
    pub compression: Option<Compression>,
    /// A PEM file with further roots, beside the platform's.
    pub ca_file: Option<PathBuf>,
    /// TCP and TLS together.
    pub connect_timeout: Duration,
    /// Response head in bytes.
    pub max_response_head: usize,
    /// Response body in bytes; what is beyond is cut off, and the response marked `truncated`.
    pub max_response_body: usize,
}

/// `endpoint.compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl EndpointSettings {
    /// An endpoint with the default limits: connect 5 s, head 64 KiB, body 1 MiB.
    pub fn new(url: Url, label: String) -> Self {
        Self {
            url,
            label,
            headers: Vec::new(),
            auth: None,
            compression: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            max_response_head: 64 * 1024,
            max_response_body: 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointSettings")
            .field("url", &self.label)
            .field(
                "headers",
                &self
                    .headers
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("auth", &self.auth.as_ref().map(|(name, _)| name))
            .field("compression", &self.compression)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}
