//! A span, as plain data.

use std::time::SystemTime;

use super::Context;

/// What kind of work a span stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Inside the host.
    #[default]
    Internal,
    /// A request to somebody else.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset,
    /// With what is known beyond the attributes.
    Error(String),
}

/// A piece of work, and where it stands among others.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) context: Context,
    pub(super) parent: Option<u64>,
    pub(super) started: SystemTime,
    pub(super) ended: SystemTime,
    /// Each name once.
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) links: Vec<Context>,
    pub(super) status: Status,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            name: "",
            kind: Kind::default(),
            context: Context::default(),
            parent: None,
            started: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            links: Vec::new(),
            status: Status::Unset,
        }
    }
}

impl Span {
    pub(super) fn new(
        name: &'static str,
        kind: Kind,
        context: Context,
        parent: Option<&Context>,
    ) -> Self {
        let now = SystemTime::now();
        Self {
            name,
            kind,
            context,
            parent: parent.map(|parent| parent.span),
            started: now,
            ended: now,
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.attributes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name, value)),
        }
    }

    pub(super) fn fail(&mut self, reason: &str) {
        self.status = Status::Error(reason.to_owned());
    }

    pub(super) fn succeed(&mut self) {
        self.status = Status::Unset;
    }
}

/// The name of an attempt's span: the method, as the conventions for HTTP say.
pub(super) fn of_method(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::HEAD => "HEAD",
        http::Method::POST => "POST",
        http::Method::PUT => "PUT",
        http::Method::PATCH => "PATCH",
        http::Method::DELETE => "DELETE",
        _ => "HTTP",
    }
}
