//! One attempt to hand a request to the endpoint: the trait, and the hyper client behind it.
//!
//! Implementations neither retry nor sleep: pacing lives above this seam, so that a test can drive
//! the engine with a scripted endpoint and a paused clock.

mod authenticator;
mod body;
mod client;
pub mod compress;
mod connector;
mod dial;
mod failover;
mod failure;
mod fetch;
mod framing;
mod lease;
mod link;
mod mask;
mod pool;
mod proxy;
pub mod settings;
mod stream;
mod stuck;
mod tls;
mod tokens;
mod tunnel;
mod watch;

pub use client::{ClientError, HttpClient};
pub use fetch::Fetcher;
pub use tls::TlsError;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::outcome::{Failure, Response};

/// A request that is ready to send, and is sent again byte for byte: cheap to clone.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URI, on the endpoint's origin.
    pub uri: Uri,
    /// The plugin's headers, checked; framing, `host` and secrets are added by the transport.
    pub headers: HeaderMap,
    /// The body, none for no body at all.
    pub body: Option<Bytes>,
}

/// Makes one attempt to hand a request to the endpoint.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and returns the complete response.
    ///
    /// # Errors
    /// Only when no complete response arrived. A 503 is a response, not an error.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the request delivered; the caller must send it again.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, Failure>> + Send;

    /// How long all calls must wait, as an answer with this status asks for so long in `Retry-After`. None where there is another
    /// server that asks for no such thing.
    fn pause(&self, _status: u16, asked: Duration) -> Option<Duration> {
        Some(asked)
    }
}

impl<T: Transport> Transport for Arc<T> {
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, Failure>> + Send {
        T::send(self, request)
    }

    fn pause(&self, status: u16, asked: Duration) -> Option<Duration> {
        T::pause(self, status, asked)
    }
}
