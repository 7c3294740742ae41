//! Asks a host that runs for its status.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::status::{Status, VERSION};

/// The longest time that an answer may take, and its largest size.
const LIMIT: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Why a host's status is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody listens.
    #[error("no host answers on `{address}`")]
    Connect {
        /// Where it was looked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else that listens.
    #[error("what listens on `{address}` is no host of Nozzle: {reason}")]
    Foreign {
        /// Where it listens.
        address: SocketAddr,
        /// What it did.
        reason: String,
    },
    /// The host is newer, or older.
    #[error(
        "the host on `{address}` writes version {found} of its status, and this is version {VERSION}"
    )]
    Version {
        /// Where it listens.
        address: SocketAddr,
        /// What it said.
        found: Value,
    },
}

/// Asks the host whose admin address this is.
///
/// # Errors
/// When none answers there within 10 seconds, or the answer is not understood.
pub async fn fetch(address: SocketAddr) -> Result<Status, FetchError> {
    let timed_out = |_| FetchError::Foreign {
        address,
        reason: "it takes too long".to_owned(),
    };
    let body = tokio::time::timeout(LIMIT, get(address))
        .await
        .map_err(timed_out)??;
    let foreign = |error: serde_json::Error| FetchError::Foreign {
        address,
        reason: format!("its answer is no status: {error}"),
    };
    let value: Value = serde_json::from_slice(&body).map_err(foreign)?;
    match value.get("version") {
        Some(version) if *version == VERSION => serde_json::from_value(value).map_err(foreign),
        found => Err(FetchError::Version {
            address,
            found: found.cloned().unwrap_or_default(),
        }),
    }
}

async fn get(address: SocketAddr) -> Result<Bytes, FetchError> {
    let foreign = |reason: String| FetchError::Foreign { address, reason };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| FetchError::Connect { address, source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| foreign(error.to_string()))?;
    let request = Request::get("/status")
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| foreign(error.to_string()))?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| foreign(error.to_string()))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(foreign(format!("it answered {status}")));
        }
        let body = Limited::new(response.into_body(), MAX_BODY);
        let body = body.collect().await;
        Ok(body.map_err(|error| foreign(error.to_string()))?.to_bytes())
    };
    let connection = async {
        let ended = connection.await;
        if let Err(error) = ended {
            return foreign(error.to_string());
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
