//! The endpoints of a sink, before and after they are opened.
//!
//! # Invariants
//! - A place is the same in [`Endpoints`] and in the sink's [`Way`]s.

use std::sync::Arc;

use super::{
    gate::Gate,
    names::{DEFAULT, Names},
    prepare::Endpoint,
};
use crate::trace::Tracer;

/// What is known of each endpoint before it is opened.
#[derive(Debug, Clone)]
pub struct Endpoints {
    names: Names,
    all: Vec<Endpoint>,
}

impl Endpoints {
    /// These endpoints, at least one, each under a name of its own; that of [`DEFAULT`], if there is one, comes first.
    pub fn new(named: impl IntoIterator<Item = (Arc<str>, Endpoint)>) -> Self {
        let (names, all): (Vec<_>, _) = named.into_iter().unzip();
        Self {
            names: Names::new(names),
            all,
        }
    }

    /// The default endpoint, and no other.
    pub fn only(endpoint: Endpoint) -> Self {
        Self::new([(DEFAULT.into(), endpoint)])
    }

    /// What a plugin may write.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How the endpoint at this place is called where it must be told from others: none for an only one.
    pub fn label(&self, place: usize) -> Option<&Arc<str>> {
        self.labels().get(place)
    }

    /// All of these; none for an only one.
    pub fn labels(&self) -> &[Arc<str>] {
        match self.names.all() {
            [_] => &[],
            several => several,
        }
    }

    pub(super) fn get(&self, place: usize) -> &Endpoint {
        &self.all[place]
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// An endpoint of a sink that is open.
#[derive(Debug)]
pub struct Way<T> {
    /// Makes attempts.
    pub transport: T,
    /// What lets them through: the same for all sinks of the endpoint.
    pub gate: Gate,
    /// Makes the spans of its calls.
    pub tracer: Tracer,
}
