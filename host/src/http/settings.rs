//! What the client is told about an endpoint, checked: built by `config`.

use std::{fmt, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::auth::AuthSettings;

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
    /// How requests are authenticated. A plugin may not set the headers that this sets.
    pub auth: Option<AuthSettings>,
    /// How request bodies are compressed.
    pub compression: Option<Compression>,
    /// What is particular about TLS.
    pub tls: TlsSettings,
    /// TCP and TLS together.
    pub connect_timeout: Duration,
    /// Response head in bytes.
    pub max_response_head: usize,
    /// Response body in bytes; what is beyond is cut off, and the response marked `truncated`.
    pub max_response_body: usize,
}

/// What is particular about TLS to an endpoint.
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its root.
    pub cert_file: NamedFile,
    /// Its private key.
    pub key_file: NamedFile,
}

/// A file, and what it is called in logs and errors.
#[derive(Clone)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The path as the module file writes it, before `${…}` is filled in.
    pub label: String,
}

impl NamedFile {
    /// The files of an authentication's secrets, as `${file:…}` names them.
    pub(super) fn of_secrets(auth: &AuthSettings) -> Vec<Self> {
        let secrets = auth.secrets();
        let paths = secrets.iter().flat_map(|secret| secret.files());
        let named = paths.map(|path| Self {
            path: path.to_owned(),
            label: path.display().to_string(),
        });
        named.collect()
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
            headers: Vec::new(),
            auth: None,
            compression: None,
            tls: TlsSettings::default(),
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
            .finish_non_exhaustive()
    }
}
