//! Asks a host that runs, by its admin address.

use std::{fmt, io, net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, HOST},
    uri::Authority,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use super::{
    listen::Stream,
    problem::Problem,
    settings::{self, DEFAULT, Listen},
    status::{Status, VERSION},
    tls::{self, TlsError},
};
use crate::auth::Secret;

/// The longest time that an answer may take, and its largest size.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest that a change may take for which a plugin is compiled.
const LONG_LIMIT: Duration = Duration::from_secs(1800);
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Where a host is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A host and a port, with TLS.
    Tls(Authority),
    /// A socket of this machine.
    Unix(PathBuf),
}

impl Default for Address {
    fn default() -> Self {
        Self::Tcp(DEFAULT)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Reads what a host listens on, as it is written there, or `https://HOST:PORT`.
    ///
    /// # Errors
    /// When it is none of these, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(authority) = text.strip_prefix("https://") {
            let authority = authority.strip_suffix('/').unwrap_or(authority);
            return match authority.parse::<Authority>() {
                Ok(authority)
                    if authority.port().is_some() && !authority.as_str().contains('@') =>
                {
                    Ok(Self::Tls(authority))
                }
                _ => Err("write `https://HOST:PORT`"),
            };
        }
        let text = text.strip_prefix("http://").unwrap_or(text);
        match settings::parse(text.strip_suffix('/').unwrap_or(text))? {
            Listen::Tcp(address) => Ok(Self::Tcp(address)),
            Listen::Unix(path) => Ok(Self::Unix(path)),
        }
    }

    /// Whether nobody but this machine listens there.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
            Self::Tls(_) => false,
        }
    }
}

/// Why a host has not answered as it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody listens.
    #[error("no host answers on `{address}`")]
    Connect {
        /// Where it was looked for.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else that listens.
    #[error("what listens on `{address}` is no host of Nozzle: {reason}")]
    Foreign {
        /// Where it listens.
        address: Address,
        /// What it did.
        reason: String,
    },
    /// The host is newer, or older.
    #[error(
        "the host on `{address}` writes version {found} of its status, and this is version {VERSION}"
    )]
    Version {
        /// Where it listens.
        address: Address,
        /// What it said.
        found: Value,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] TlsError),
    /// The host has said why not.
    #[error("{}{}", .0.title, .0.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Refused(Problem),
}

/// Asks one host.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Where it is.
    pub address: Address,
    /// What is shown to it.
    pub token: Option<Secret>,
    /// Roots that are trusted beside those of the platform, in PEM.
    pub ca_file: Option<PathBuf>,
}

impl Client {
    /// The host's status.
    ///
    /// # Errors
    /// When none answers there within 10 seconds, or the answer is not understood.
    pub async fn status(&self) -> Result<Status, FetchError> {
        let value: Value = self.get("/status").await?;
        match value.get("version") {
            Some(version) if *version == VERSION => self.read(value),
            found => Err(FetchError::Version {
                address: self.address.clone(),
                found: found.cloned().unwrap_or_default(),
            }),
        }
    }

    /// What a path answers.
    ///
    /// # Errors
    /// When none answers there within 10 seconds, it refuses, or the answer is not understood.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FetchError> {
        self.read(self.ask(Method::GET, path).await?)
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, FetchError> {
        self.read(self.ask(Method::POST, path).await?)
    }

    /// Asks for a change that may take minutes, with a body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_for_long<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<T, FetchError> {
        let asked = self.ask_within(LONG_LIMIT, Method::POST, path, body);
        self.read(asked.await?)
    }

    /// Asks for a change that takes this time by itself.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_within<T: DeserializeOwned>(
        &self,
        time: Duration,
        path: &str,
    ) -> Result<T, FetchError> {
        // To write and to read what has come meanwhile takes its time, too.
        let limit = time + 6 * LIMIT;
        let asked = self.ask_within(limit, Method::POST, path, Bytes::new());
        self.read(asked.await?)
    }

    fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, FetchError> {
        serde_json::from_value(value)
            .map_err(|error| self.foreign(format!("its answer is no status: {error}")))
    }

    fn foreign(&self, reason: String) -> FetchError {
        FetchError::Foreign {
            address: self.address.clone(),
            reason,
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Value, FetchError> {
        self.ask_within(LIMIT, method, path, Bytes::new()).await
    }

    async fn ask_within(
        &self,
        limit: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Value, FetchError> {
        let exchange = async {
            let stream = self.connect().await?;
            self.exchange(stream, method, path, body).await
        };
        let (status, body) = tokio::time::timeout(limit, exchange)
            .await
            .map_err(|_| self.foreign("it takes too long".to_owned()))??;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| self.foreign(format!("its answer is no status: {error}")));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(FetchError::Refused(problem)),
            Err(_) => Err(self.foreign(format!("it answered {status}"))),
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, FetchError> {
        let connect = |source| FetchError::Connect {
            address: self.address.clone(),
            source,
        };
        match &self.address {
            Address::Tcp(address) => Ok(Box::new(
                TcpStream::connect(address).await.map_err(connect)?,
            )),
            Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(connect)?)),
            Address::Tls(authority) => {
                let host = authority.host();
                let bare = host
                    .strip_prefix('[')
                    .and_then(|host| host.strip_suffix(']'));
                let bare = bare.unwrap_or(host).to_owned();
                let name = ServerName::try_from(bare.clone())
                    .map_err(|error| connect(io::Error::other(error)))?;
                let port = authority.port_u16().unwrap_or(443);
                let tls = tls::connector(self.ca_file.as_deref()).map_err(FetchError::Tls)?;
                let stream = TcpStream::connect((bare, port)).await.map_err(connect)?;
                Ok(Box::new(tls.connect(name, stream).await.map_err(connect)?))
            }
        }
    }

    async fn exchange(
        &self,
        stream: Box<dyn Stream>,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let foreign = |error: &dyn fmt::Display| self.foreign(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| foreign(&error))?;
        let host = match &self.address {
            Address::Tcp(address) => address.to_string(),
            Address::Tls(authority) => authority.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| foreign(&error))?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| foreign(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            Ok((status, body.map_err(|error| foreign(&error))?.to_bytes()))
        };
        let connection = async {
            let ended = connection.await;
            if let Err(error) = ended {
                return foreign(&error);
            }
            // The answer is being read from what the connection left behind.
            std::future::pending().await
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            error = connection => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_host_has_it_or_with_its_scheme() {
        let table = [
            ("9464", Some("127.0.0.1:9464")),
            ("http://127.0.0.1:9464/", Some("127.0.0.1:9464")),
            ("unix:a.sock", Some("unix:a.sock")),
            ("https://nozzle.test:9464", Some("https://nozzle.test:9464")),
            ("https://[::1]:9464/", Some("https://[::1]:9464")),
            ("https://nozzle.test", None),
            ("https://user@nozzle.test:1", None),
            ("https://nozzle.test:1/path", None),
            ("nozzle.test:9464", None),
        ];
        for (text, expected) in table {
            let found = Address::parse(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
