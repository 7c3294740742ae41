//! What authors get wrong, and what helps.

use crate::plugin::PluginError;

/// Why nothing of what a plugin made would be used in a run, or why it is not what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// `shape` came to no answer.
    #[error("`shape` failed: {0}")]
    Shape(PluginError),
    /// The answer of `shape` breaks the contract.
    #[error("the answer of `shape` cannot be used: {0}")]
    Contract(String),
    /// `handle` came to no answer.
    #[error("{at}: `handle` failed: {error}")]
    Handle {
        /// The response.
        at: String,
        /// How.
        error: PluginError,
    },
    /// The answer of `handle` breaks the contract.
    #[error("{at}: the answer of `handle` cannot be used: {reason}")]
    Verdict {
        /// The response.
        at: String,
        /// How.
        reason: String,
    },
    /// A body that says that it is text, and is none.
    #[error(
        "requests[{number}] says `content-type: {kind}`, and its body is no UTF-8 at byte {byte}"
    )]
    NoText {
        /// The request.
        number: usize,
        /// Its content type.
        kind: String,
        /// The first byte that is wrong.
        byte: usize,
    },
}

impl Mistake {
    /// Whether a body of this content type is no text, and should be.
    pub(super) fn of_body(number: usize, kind: Option<&str>, body: &[u8]) -> Option<Self> {
        let kind = kind?;
        let error = std::str::from_utf8(body).err()?;
        is_text(kind).then(|| Self::NoText {
            number,
            kind: kind.to_owned(),
            byte: error.valid_up_to(),
        })
    }

    /// What the author can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Handle {
                error: PluginError::Trapped(_),
                ..
            } => {
                "an exception or a panic loses the instance, and the call is not judged: read a response with care, and answer `by-status` or \
                 `retry` where it is not what was asked for"
            }
            Self::Shape(error) | Self::Handle { error, .. } => return hint_of(error),
            Self::Contract(_) => {
                "each index of the batch stands in one place: in one request's `events`, in `drop`, or in `reject`; targets and headers \
                 are those that `wit/README.md` allows"
            }
            Self::Verdict { .. } => {
                "`each` has one verdict for each event of the call, in the order of the request's `events`; without a response nothing \
                 is delivered"
            }
            Self::NoText { .. } => {
                "encode text as UTF-8 before it is a body, and look at records that may be none; or say another content type"
            }
        };
        Some(hint.to_owned())
    }
}

fn hint_of(error: &PluginError) -> Option<String> {
    let hint = match error {
        PluginError::Trapped(_) => {
            "an exception or a panic loses the instance, and the batch is halved until the record at fault stands alone: catch it, and \
             reject the event, or return an error"
        }
        PluginError::TimedOut(_) => {
            "look for a loop without an end; a sink raises the limit with `plugin.limits.time`, these tools with `--limit-time`"
        }
        PluginError::Limit(_) => {
            "a sink raises the limit with `plugin.limits`; for memory these tools have `--limit-memory`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn is_text(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("+xml")
        || kind == "application/xml"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_says_that_it_is_text_is_looked_at() {
        let table = [
            (Some("application/json"), &b"{\"a\":\"\xe9\"}"[..], Some(6)),
            (Some("Text/Plain; charset=utf-8"), b"\xff", Some(0)),
            (Some("application/x-ndjson"), "é".as_bytes(), None),
            (Some("application/octet-stream"), b"\xff", None),
            (None, b"\xff", None),
        ];

        for (kind, body, expected) in table {
            let found = Mistake::of_body(0, kind, body);
            let found = found.map(|mistake| match mistake {
                Mistake::NoText { byte, .. } => byte,
                other => panic!("{other}"),
            });
            assert_eq!(found, expected, "{kind:?}");
        }
    }
}
