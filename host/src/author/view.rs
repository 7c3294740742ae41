//! What a plugin makes of a batch, as a case file says it: expected, or found.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::outcome::Outcome;

/// Names and values; of a name that stands more than once, the values joined by commas.
pub(super) type Texts = BTreeMap<String, String>;

/// What an error or a reason must say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Words {
    /// It contains this.
    Part(String),
    /// It is this.
    Whole(String),
}

impl Words {
    pub(super) fn fit(&self, text: &str) -> bool {
        match self {
            Self::Part(part) => text.contains(part.as_str()),
            Self::Whole(whole) => text == whole,
        }
    }

    /// These, if they fit the text; otherwise the whole text, said in the same way.
    pub(super) fn or_found(&self, text: &str) -> Self {
        match self {
            fitting if fitting.fit(text) => fitting.clone(),
            Self::Part(_) => Self::Part(text.to_owned()),
            Self::Whole(_) => Self::Whole(text.to_owned()),
        }
    }
}

/// `expect`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct View {
    /// In place of everything else.
    pub(super) error: Option<Words>,
    pub(super) requests: Vec<RequestView>,
    pub(super) drop: Vec<u32>,
    /// With the reason.
    pub(super) reject: Vec<(u32, Option<Words>)>,
}

/// One of `requests`. What is none is not compared, but for the endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RequestView {
    pub(super) method: Option<&'static str>,
    pub(super) endpoint: Option<String>,
    pub(super) target: Option<String>,
    pub(super) headers: Option<Texts>,
    pub(super) body: Option<Body>,
    pub(super) events: Option<Vec<u32>>,
    pub(super) responses: Vec<ResponseView>,
}

/// Bytes, as a file says them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Empty,
    Text(String),
    Base64(Bytes),
    Json(Value),
}

/// One of `responses`: what comes of the call, and what `handle` says to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ResponseView {
    pub(super) given: Given,
    pub(super) verdict: Option<VerdictView>,
    pub(super) results: Vec<ResultView>,
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) attempt: u32,
    pub(super) outcome: Outcome,
    /// The body of a response, as the file says it.
    pub(super) body: Option<Body>,
    /// The headers of a response, as the file says them.
    pub(super) headers: Texts,
}

/// `verdict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VerdictView {
    Delivered,
    ByStatus,
    Retry(Option<u64>),
    Reject(Words),
    Each(Vec<EachView>),
}

/// One of `each`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EachView {
    Delivered,
    Retry,
    Reject(Words),
}

/// One of `results`. What is none is not compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ResultView {
    pub(super) key: Option<String>,
    pub(super) attributes: Option<Texts>,
    pub(super) data: Option<Body>,
}

impl Body {
    /// The bytes; JSON is written without spaces.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::Text(text) => text.clone().into(),
            Self::Base64(bytes) => bytes.clone(),
            Self::Json(value) => value.to_string().into(),
        }
    }
}
