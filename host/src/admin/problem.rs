//! Why a request is not answered as it was meant: problem details (RFC 9457), with a hint.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reload::{NotReloaded, NotReloadedKind};
use crate::{causes::explain, plugin::SwapError};

/// Problem details by RFC 9457; `hint` says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:nozzle:problem:` and a name that does not change.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong, in general.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// What is wrong here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NoHost,
    ForeignHost(String),
    ForeignOrigin(String),
    NoToken(Where),
    WrongToken(Where),
    /// The file of the token cannot be read: nobody is let in.
    TokenGone,
    ReadOnly,
    NotFound,
    WrongMethod(&'static str),
    BodyTooLarge(usize),
    Body,
    Starting,
    NoSink {
        asked: String,
        there: Vec<String>,
    },
    SinkEnded(String),
    /// It is being recorded.
    Recorded(String),
    NoModuleFile,
    Reload(NotReloaded),
    Parameter(String),
    Swap {
        name: &'static str,
        status: StatusCode,
        detail: String,
        hint: Option<String>,
    },
}

impl From<SwapError> for Refusal {
    fn from(error: SwapError) -> Self {
        let (name, status) = match error {
            SwapError::Busy(_) => ("swap-under-way", StatusCode::CONFLICT),
            SwapError::NoPrevious(_) => ("no-version-before", StatusCode::CONFLICT),
            SwapError::Keep { .. } => ("not-remembered", StatusCode::INTERNAL_SERVER_ERROR),
            _ => ("plugin-refused", StatusCode::UNPROCESSABLE_ENTITY),
        };
        Self::Swap {
            name,
            status,
            detail: explain(&error),
            hint: error.hint(),
        }
    }
}

impl From<NotReloaded> for Refusal {
    fn from(error: NotReloaded) -> Self {
        Self::Reload(error)
    }
}

/// Where the right token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// `admin.token` of the module.
    Module,
    /// The file of this start.
    StateDir,
}

impl Where {
    fn hint(self) -> String {
        match self {
            Self::Module => "send `Authorization: Bearer …` with `admin.token` of the module; `nozzle` takes it from --token-file or NOZZLE_ADMIN_TOKEN",
            Self::StateDir => "send `Authorization: Bearer …` with what stands in `admin-token` in the host's state directory; `nozzle` finds it with --state-dir",
        }
        .to_owned()
    }
}

impl Refusal {
    /// A name that does not change, for programs and for the audit log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NoHost => "no-host",
            Self::ForeignHost(_) => "foreign-host",
            Self::ForeignOrigin(_) => "foreign-origin",
            Self::NoToken(_) => "no-token",
            Self::WrongToken(_) => "wrong-token",
            Self::TokenGone => "token-unreadable",
            Self::ReadOnly => "read-only",
            Self::NotFound => "no-such-path",
            Self::WrongMethod(_) => "wrong-method",
            Self::BodyTooLarge(_) => "body-too-large",
            Self::Body => "body",
            Self::Starting => "starting",
            Self::NoSink { .. } => "no-such-sink",
            Self::SinkEnded(_) => "sink-ended",
            Self::Recorded(_) => "recording-under-way",
            Self::Parameter(_) => "parameter",
            Self::NoModuleFile => "no-module-file",
            Self::Reload(error) => match error.kind {
                NotReloadedKind::Refused => "module-refused",
                NotReloadedKind::Ending => "ending",
                NotReloadedKind::Failed => "reload-failed",
            },
            Self::Swap { name, .. } => name,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoHost | Self::Body | Self::Parameter(_) => StatusCode::BAD_REQUEST,
            Self::Swap { status, .. } => *status,
            Self::NoModuleFile => StatusCode::CONFLICT,
            Self::Reload(error) => match error.kind {
                NotReloadedKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
                NotReloadedKind::Ending => StatusCode::CONFLICT,
                NotReloadedKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::ForeignHost(_) | Self::ForeignOrigin(_) | Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::NoToken(_) | Self::WrongToken(_) => StatusCode::UNAUTHORIZED,
            Self::TokenGone | Self::Starting => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound | Self::NoSink { .. } => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SinkEnded(_) | Self::Recorded(_) => StatusCode::CONFLICT,
        }
    }

    pub(super) fn problem(&self) -> Problem {
        let (title, detail, hint) = self.words();
        Problem {
            kind: format!("urn:nozzle:problem:{}", self.name()),
            title: title.to_owned(),
            status: self.status().as_u16(),
            detail,
            hint,
        }
    }

    fn words(&self) -> (&'static str, Option<String>, Option<String>) {
        let some = |text: &str| Some(text.to_owned());
        match self {
            Self::NoHost => (
                "the request names no host, or more than one",
                None,
                some("send one `Host` header"),
            ),
            Self::ForeignHost(host) => (
                "the host is not this one",
                Some(format!(
                    "`{host}` is no IP address, not `localhost`, and not in `admin.hosts`"
                )),
                some("name the address by its IP, or add the name to `admin.hosts` of the module"),
            ),
            Self::ForeignOrigin(origin) => (
                "the request comes from a page of another origin",
                Some(format!("`{origin}` is not the origin of this address")),
                some("ask without an `Origin` header: this is for programs, not for pages"),
            ),
            Self::NoToken(place) => ("a token is needed", None, Some(place.hint())),
            Self::WrongToken(place) => ("the token is not the right one", None, Some(place.hint())),
            Self::TokenGone => (
                "the token cannot be read, so nobody is let in",
                None,
                some("see the log of the host: a file of `admin.token` is gone, or cannot be read"),
            ),
            Self::ReadOnly => (
                "nothing can be changed here",
                some("the module says `admin.read-only`"),
                some("ask by an address that is not read-only"),
            ),
            Self::NotFound => (
                "there is no such path",
                None,
                some("`/v1/openapi.json` describes all of them"),
            ),
            Self::WrongMethod(allowed) => (
                "the path has no such method",
                None,
                Some(format!("it has {allowed}")),
            ),
            Self::BodyTooLarge(most) => (
                "the body is too large",
                Some(format!("it may have {most} bytes")),
                None,
            ),
            Self::Body => ("a body is not expected", None, some("send none")),
            Self::Starting => (
                "the host is starting",
                some("plugins are loaded, sources and egresses are opened"),
                some("ask again when `/ready` says 200"),
            ),
            Self::NoSink { asked, there } => {
                let there: Vec<String> = there.iter().map(|id| format!("`{id}`")).collect();
                let hint = match there.len() {
                    1 => format!("there is {}", there.concat()),
                    _ => format!("there are {}", there.join(", ")),
                };
                (
                    "there is no such sink",
                    Some(format!("no sink is called `{asked}`")),
                    Some(hint),
                )
            }
            Self::Parameter(parameter) => (
                "a parameter makes no sense",
                Some(format!("{parameter} is not understood")),
                some("`/v1/openapi.json` describes the parameters"),
            ),
            Self::Swap { detail, hint, .. } => (
                "the version that serves goes on",
                Some(detail.clone()),
                hint.clone(),
            ),
            Self::NoModuleFile => (
                "there is no module file to read again",
                some("the host was started with flags"),
                some("start it with a module file"),
            ),
            Self::Reload(error) => (
                match error.kind {
                    NotReloadedKind::Refused => "the module that runs goes on",
                    NotReloadedKind::Ending => "the host is about to end",
                    NotReloadedKind::Failed => "the reload failed on the way: the host ends",
                },
                Some(error.detail.clone()),
                error.hint.clone(),
            ),
            Self::Recorded(id) => (
                "the sink is being recorded",
                Some(format!("somebody else records `{id}`")),
                some("wait until that is done: at most 20 minutes"),
            ),
            Self::SinkEnded(id) => (
                "the sink has ended",
                Some(format!("`{id}` has halted, or has delivered all there was")),
                some("see `/v1/sinks` and the log of the host"),
            ),
        }
    }
}
