//! What a plugin answers, as it was returned and before it is checked: plain data.

use bytes::Bytes;

use crate::event::Record;

/// A plugin's answer to `shape`, as it was returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shaped {
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// The calls to make.
    pub requests: Vec<ShapedRequest>,
    /// Batch indices that are done without a call.
    pub drop: Vec<u32>,
    /// Batch indices that are dead-lettered, with the reason.
    pub reject: Vec<(u32, String)>,
}

/// One request as the plugin wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapedRequest {
    /// One of the contract's six methods.
    pub method: Method,
    /// One of the endpoints that the sink grants; none for its default one.
    pub endpoint: Option<String>,
    /// A reference, resolved against the endpoint's base URL.
    pub target: String,
    /// Headers of this request alone.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: ShapedBody,
    /// The batch indices that the call delivers.
    pub events: Vec<u32>,
}

/// The methods of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are the methods of RFC 9110, section 9.3"
)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// A body as the plugin wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapedBody {
    /// None.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// prefix, data of the first event, separator, data of the second, …, suffix.
    Joined {
        /// Before the first event's data.
        prefix: Bytes,
        /// Between two events' data.
        separator: Bytes,
        /// After the last event's data.
        suffix: Bytes,
    },
}

/// A plugin's answer to `handle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// What becomes of the call's events.
    pub verdict: PluginVerdict,
    /// Records for the result egress.
    pub results: Vec<Record>,
}

/// The contract's `verdict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginVerdict {
    /// The status policy decides.
    ByStatus,
    /// All delivered.
    Delivered,
    /// The call again; a wish for the wait in milliseconds.
    Retry(Option<u64>),
    /// All dead-lettered.
    Reject(String),
    /// One for each event of the call.
    Each(Vec<EventVerdict>),
}

/// The contract's `event-verdict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventVerdict {
    /// Done.
    Delivered,
    /// Shape and send again.
    Retry,
    /// Dead-lettered with the reason.
    Reject(String),
}

/// How a plugin failed on a call. The instance is gone afterwards, except after [`PluginError::Refused`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// `shape` returned an error.
    #[error("the plugin refused the batch: {0}")]
    Refused(String),
    /// The guest trapped: unreachable code (a panic or an exception), out of bounds, stack overflow.
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    /// The guest ran, or waited in the host, longer than `limits.time`.
    #[error("the plugin ran longer than {0:?} (limits.time)")]
    TimedOut(std::time::Duration),
    /// The guest broke a limit on memory, tables, or what it may pass to the host.
    #[error("the plugin exceeded a limit: {0}")]
    Limit(String),
    /// A new instance could not be made: `configure` refused, or instantiation failed.
    #[error("no new instance of the plugin could be made: {0}")]
    Instance(String),
}
