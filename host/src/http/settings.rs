//! What the client is told about an endpoint, checked: built by `config`.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use url::Url;

pub use super::{
    failover::Prefer,
    proxy::{Environment, Proxy, ProxyError, ProxyRule},
};
use crate::{auth::AuthSettings, network::AddressRules};

/// One endpoint. `Debug` shows no secret: secret header values are marked sensitive, and the
/// URL is shown as its `label`.
#[derive(Clone, PartialEq)]
pub struct EndpointSettings {
    /// The base URL, `http` or `https`, without user info or fragment.
    pub url: Url,
    /// The URL as the module file writes it, before `${…}` is filled in: the form for logs and errors.
    pub label: String,
    /// Further URLs of the same endpoint, of the same scheme, for when the first one fails.
    pub others: Vec<OtherUrl>,
    /// Which of the URLs gets a call.
    pub prefer: Prefer,
    /// The proxy before it.
    pub proxy: ProxyRule,
    /// The socket that connections go to, in place of the URL's host and port.
    pub unix_socket: Option<UnixSocket>,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// Sent with every request; a plugin may not set the same names.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How requests are authenticated. A plugin may not set the headers that this sets.
    pub auth: Option<AuthSettings>,
    /// The header of a key that is the same over all attempts of a call. A plugin may not set it.
    pub key_header: Option<HeaderName>,
    /// The header of an attempt's number. A plugin may not set it.
    pub attempt_header: Option<HeaderName>,
    /// How request bodies are compressed.
    pub compression: Option<Compression>,
    /// What is particular about TLS.
    pub tls: TlsSettings,
    /// Which addresses may be dialled: for the endpoint, its proxy, and its tokens.
    pub network: Arc<AddressRules>,
    /// TCP and TLS together.
    pub connect_timeout: Duration,
    /// Response head in bytes.
    pub max_response_head: usize,
    /// Response body in bytes; what is beyond is cut off, and the response marked `truncated`.
    pub max_response_body: usize,
}

/// A further URL of an endpoint. `Debug` shows its label alone.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherUrl {
    /// As [`EndpointSettings::url`].
    pub url: Url,
    /// As [`EndpointSettings::label`].
    pub label: String,
}

impl std::fmt::Debug for OtherUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OtherUrl").field(&self.label).finish()
    }
}

/// `endpoint.unix-socket`. `Debug` shows its label alone.
#[derive(Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// The socket's file.
    pub path: PathBuf,
    /// The path as the module file writes it.
    pub label: String,
}

impl std::fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UnixSocket").field(&self.label).finish()
    }
}

/// `endpoint.http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where TLS agrees on it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
}

/// What is particular about TLS to an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file with further roots, beside the platform's.
    pub ca_file: Option<NamedFile>,
    /// The client's certificate, for an endpoint that asks for one.
    pub client: Option<ClientCertificate>,
    /// The name that the endpoint's certificate must be for, where it is not the URL's host.
    pub server_name: Option<String>,
    /// TLS 1.2 is not spoken.
    pub only_1_3: bool,
}

/// A client's certificate and its key, in PEM. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its root.
    pub cert_file: NamedFile,
    /// Its private key.
    pub key_file: NamedFile,
}

/// A file, and what it is called in logs and errors.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The path as the module file writes it, before `${…}` is filled in.
    pub label: String,
}

impl NamedFile {
    /// A file that is called by its path.
    pub fn new(path: PathBuf) -> Self {
        let label = path.display().to_string();
        Self { path, label }
    }

    /// The files of an authentication's secrets, as `${file:…}` names them.
    pub(super) fn of_secrets(auth: &AuthSettings) -> Vec<Self> {
        let secrets = auth.secrets();
        let paths = secrets.iter().flat_map(|secret| secret.files());
        paths.map(|path| Self::new(path.to_owned())).collect()
    }
}

impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
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
            others: Vec::new(),
            prefer: Prefer::default(),
            proxy: ProxyRule::default(),
            unix_socket: None,
            http: HttpVersion::default(),
            headers: Vec::new(),
            auth: None,
            key_header: None,
            attempt_header: None,
            compression: None,
            tls: TlsSettings::default(),
            network: Arc::default(),
            connect_timeout: Duration::from_secs(5),
            max_response_head: 64 * 1024,
            max_response_body: 1024 * 1024,
        }
    }
}

impl fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSettings")
            .field("url", &self.label)
            .field("others", &self.others)
            .field("prefer", &self.prefer)
            .field("proxy", &self.proxy)
            .field("unix_socket", &self.unix_socket)
            .field("http", &self.http)
            .field(
                "headers",
                &self
                    .headers
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("auth", &self.auth)
            .field("compression", &self.compression)
            .field("tls", &self.tls)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
