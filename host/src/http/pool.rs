//! The connections that are kept to one URL, all of which show the same client certificate.
//!
//! # Invariants
//! - When the certificate has changed, no request begins on a connection that was opened before: one that is in steady use
//!   would never be idle for long enough to be closed. What is under way on it comes to its end.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::{Builder, Client};
use rustls::sign::CertifiedKey;

use super::{connector::Connector, tls::Identity};

/// Sends requests over connections that it keeps.
pub(super) type Connections = Client<Connector, Full<Bytes>>;

/// Connections of one client certificate after another.
#[derive(Debug)]
pub(super) struct Pool {
    builder: Builder,
    connector: Connector,
    /// None for an endpoint that asks for no certificate.
    identity: Option<Identity>,
    current: RwLock<(Option<Arc<CertifiedKey>>, Connections)>,
}

impl Pool {
    pub(super) fn new(builder: Builder, connector: Connector, identity: Option<Identity>) -> Self {
        let shown = identity.as_ref().map(|identity| identity.current());
        let connections = builder.build(connector.clone());
        Self {
            builder,
            connector,
            identity,
            current: RwLock::new((shown, connections)),
        }
    }

    /// Those for a request that begins now.
    pub(super) fn connections(&self) -> Connections {
        let shown = self.identity.as_ref().map(|identity| identity.current());
        let is_same = |before: &Option<Arc<CertifiedKey>>| match (before, &shown) {
            (Some(before), Some(shown)) => Arc::ptr_eq(before, shown),
            _ => true,
        };
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if is_same(&current.0) {
                return current.1.clone();
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !is_same(&current.0) {
            *current = (shown, self.builder.build(self.connector.clone()));
        }
        current.1.clone()
    }
}
