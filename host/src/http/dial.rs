//! TCP connections, to addresses that may be dialled.
//!
//! # Invariants
//! - An address is checked when it is dialled, behind DNS: what a name meant a moment ago means nothing.
//! - Of several addresses of a name, those that may not be dialled are not.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, task};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        dns::{GaiResolver, Name},
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::network::{AddressRules, RefusedAddress};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where addresses of names come from. Tests have one that says what they like.
pub(super) trait Resolve: std::fmt::Debug + Send + Sync + 'static {
    /// The addresses of `name`, in the order in which they are tried; their ports mean nothing.
    fn resolve(&self, name: Name) -> Boxed<io::Result<Vec<SocketAddr>>>;
}

/// The machine's own: `getaddrinfo`.
#[derive(Debug)]
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Boxed<io::Result<Vec<SocketAddr>>> {
        let answer = GaiResolver::new().call(name);
        Box::pin(async move { answer.await.map(Iterator::collect) })
    }
}

/// What a resolver says, without what may not be dialled.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    resolver: Arc<dyn Resolve>,
    rules: Arc<AddressRules>,
}

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Boxed<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { resolver, rules } = self.clone();
        Box::pin(async move {
            let mut addresses = resolver.resolve(name.clone()).await?;
            let mut refused = None;
            addresses.retain(|address| {
                let checked = rules.check_answer(name.as_str(), address.ip());
                refused = refused.or(checked.err());
                checked.is_ok()
            });
            match refused {
                Some(refused) if addresses.is_empty() => Err(denied(refused)),
                _ => Ok(addresses.into_iter()),
            }
        })
    }
}

fn denied(refused: RefusedAddress) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, refused)
}

/// Opens TCP connections.
#[derive(Debug, Clone)]
pub(super) struct Tcp {
    inner: HttpConnector<Checked>,
    rules: Arc<AddressRules>,
}

impl Tcp {
    pub(super) fn new(rules: &Arc<AddressRules>, limit: std::time::Duration) -> Self {
        Self::with(Arc::new(System), rules, limit)
    }

    pub(super) fn with(
        resolver: Arc<dyn Resolve>,
        rules: &Arc<AddressRules>,
        limit: std::time::Duration,
    ) -> Self {
        let mut inner = HttpConnector::new_with_resolver(Checked {
            resolver,
            rules: Arc::clone(rules),
        });
        inner.enforce_http(false);
        inner.set_nodelay(true);
        inner.set_connect_timeout(Some(limit));
        Self {
            inner,
            rules: Arc::clone(rules),
        }
    }

    /// Whether the host of `to` may be dialled, as far as it is an address; for connections that somebody else dials too.
    ///
    /// # Errors
    /// [`RefusedAddress`], in an error of input and output.
    pub(super) fn check(&self, to: &Uri) -> io::Result<()> {
        // A name is checked behind the resolver.
        let host = to.host().unwrap_or_default();
        self.rules.check_host(host).map_err(denied)
    }
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Boxed<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        // An address goes by the resolver.
        if let Err(refused) = self.check(&to) {
            return Box::pin(async { Err(refused.into()) });
        }
        let connecting = self.inner.call(to);
        Box::pin(async move { Ok(connecting.await?) })
    }
}

#[cfg(test)]
mod tests;
