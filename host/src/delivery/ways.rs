//! The endpoints of a sink, and the names by which its plugin knows them.
//!
//! # Invariants
//! - A place is the same in [`Endpoints`] and in the sink's [`Way`]s.

use std::{fmt, sync::Arc};

use super::{gate::Gate, prepare::Endpoint};
use crate::trace::Tracer;

/// The name of the endpoint that a request goes to which names none.
pub const DEFAULT: &str = "default";

/// The names that a plugin may write. One of them may be [`DEFAULT`], which then comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<Arc<str>>);

impl Names {
    /// The place of the endpoint that a request names; none if there is no such one.
    pub fn place(&self, name: Option<&str>) -> Option<usize> {
        let Some(name) = name else {
            return (&**self.0.first()? == DEFAULT).then_some(0);
        };
        self.0.iter().position(|other| **other == *name)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}`{name}`")?;
        }
        Ok(())
    }
}

/// What is known of each endpoint before it is opened.
#[derive(Debug, Clone)]
pub struct Endpoints {
    names: Names,
    all: Vec<Endpoint>,
}

impl Endpoints {
    /// These endpoints, at least one, each under a name of its own; that of [`DEFAULT`], if there is one, comes first.
    pub fn new(named: impl IntoIterator<Item = (Arc<str>, Endpoint)>) -> Self {
        let (names, all) = named.into_iter().unzip();
        Self {
            names: Names(names),
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
        match &*self.names.0 {
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
