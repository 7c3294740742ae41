//! What passes through a sink, recorded as cases: who is asked for it, and what is answered.

use std::{fmt::Debug, pin::Pin, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::Refusal;

/// Batches of a recording, if nothing is said, and at most.
const BATCHES: usize = 10;
const MAX_BATCHES: usize = 100;
/// How long a recording takes, if nothing is said, and at most.
const SECONDS: u64 = 60;
const MAX_SECONDS: u64 = 1200;

/// Records a sink that runs.
pub trait Records: Debug + Send + Sync {
    /// Records the next batches, until all of their calls have their end or the time is over.
    ///
    /// # Errors
    /// When somebody records already.
    ///
    /// # Cancel safety
    /// The recording ends, and nothing of it stays.
    fn record(
        &self,
        ask: Ask,
    ) -> Pin<Box<dyn Future<Output = Result<Recorded, AlreadyRecorded>> + Send + '_>>;
}

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// 1 to 100.
    pub batches: usize,
    /// At most 20 minutes.
    pub within: Duration,
}

/// Somebody records already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyRecorded;

/// What was recorded of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Recorded {
    /// The sink's id.
    pub sink: String,
    /// A case for each batch, in the order in which they were shaped.
    pub cases: Vec<RecordedCase>,
    /// Why it has ended.
    pub ended: RecordedEnd,
    /// What is not there, in words; empty if nothing is missing.
    pub left_out: Vec<String>,
}

/// A batch that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RecordedCase {
    /// The generation of the plugin that shaped it.
    pub generation: u64,
    /// The SHA-256 digest of that plugin, in hexadecimal.
    pub digest: String,
    /// Whether secrets or headers were taken out: then it may not pass as it is.
    pub altered: bool,
    /// The case as a file of `nozzle plugin test`.
    pub text: String,
}

/// Why a recording has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedEnd {
    /// As many batches as were asked for have passed.
    Complete,
    /// There was no room for more: 16 MiB in all.
    Full,
    /// The time was over.
    Time,
    /// The sink has ended, or was started anew by a reload.
    SinkEnded,
}

/// The parameters: their names, their schemas, and what they are for.
pub(super) fn parameters() -> [(&'static str, Value, &'static str); 2] {
    let whole = |most: u64| json!({ "type": "integer", "minimum": 1, "maximum": most });
    [
        (
            "batches",
            whole(MAX_BATCHES as u64),
            "Batches to record. Default: 10.",
        ),
        (
            "seconds",
            whole(MAX_SECONDS),
            "How long the answer may take. Then it has what has passed until then. Default: 60.",
        ),
    ]
}

/// Reads the parameters.
pub(super) fn ask(query: Option<&str>) -> Result<Ask, Refusal> {
    let (mut batches, mut seconds) = (BATCHES, SECONDS);
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let wrong = || Refusal::Parameter(format!("`{name}={value}`"));
        let number: Option<u64> = value.parse().ok();
        let within = |most| number.filter(|number| (1..=most).contains(number));
        match &*name {
            "batches" => {
                let number = within(MAX_BATCHES as u64).ok_or_else(wrong)?;
                batches = usize::try_from(number).unwrap_or(MAX_BATCHES);
            }
            "seconds" => seconds = within(MAX_SECONDS).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
    }
    Ok(Ask {
        batches,
        within: Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_bounds() {
        let asked = |query| {
            ask(query)
                .map(|ask| (ask.batches, ask.within.as_secs()))
                .ok()
        };
        let table = [
            (None, Some((10, 60))),
            (Some("batches=100&seconds=1200"), Some((100, 1200))),
            (Some("batches=0"), None),
            (Some("batches=101"), None),
            (Some("seconds=1201"), None),
            (Some("seconds=1m"), None),
            (Some("for=1"), None),
        ];

        for (query, expected) in table {
            assert_eq!(asked(query), expected, "{query:?}");
        }
    }
}
