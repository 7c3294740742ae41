//! What becomes of the events of a call: pure, from the outcome, the plugin's answer and the policy.

use std::time::Duration;

use super::settings::{FailureAction, StatusAction, StatusPolicy};
use crate::{
    outcome::{Failure, Outcome},
    plugin::{EventVerdict, PluginError, PluginVerdict},
};

/// What the engine keeps of an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A complete response with this status.
    Status(u16),
    /// None.
    Failed(Failure),
}

impl Seen {
    /// Reduces an outcome to what judging needs.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Ok(response) => Self::Status(response.status),
            Err(failure) => Self::Failed(failure.clone()),
        }
    }

    /// Whether this is the endpoint's failure, not the event's: no complete response, 429, 502, 503 or 504.
    pub fn is_endpoint_failure(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::Failed(_) => true,
        }
    }

    /// The status, where there is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Failed(_) => None,
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the endpoint answered {status}"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// The judgement of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every event is settled.
    Delivered,
    /// The same request again. The wait is the plugin's wish.
    Retry(Option<Duration>),
    /// Every event is dead-lettered.
    Reject(Rejected),
    /// Every event is shaped again, in two halves; a single one is dead-lettered.
    Split,
    /// The sink stops.
    Halt,
    /// One verdict for each event of the call.
    Each(Vec<EventVerdict>),
    /// The plugin failed on the outcome: nothing it said is used.
    PluginFailed(String),
}

impl Verdict {
    /// Whether an event of the call is tried again (Flink: a request with failed entries scales down).
    pub fn retries(&self) -> bool {
        match self {
            Self::Retry(_) => true,
            Self::Each(each) => each.contains(&EventVerdict::Retry),
            _ => false,
        }
    }

    /// Whether an event of the call is given up on as undeliverable.
    pub fn rejects(&self) -> bool {
        match self {
            Self::Reject(_) => true,
            Self::Each(each) => each
                .iter()
                .any(|verdict| matches!(verdict, EventVerdict::Reject(_))),
            _ => false,
        }
    }

    /// For traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry(_) => "retry",
            Self::Reject(_) => "reject",
            Self::Split => "split",
            Self::Halt => "halt",
            Self::Each(_) => "each",
            Self::PluginFailed(_) => "plugin failed",
        }
    }
}

/// Who rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// The status policy.
    ByStatus,
    /// The plugin, with its reason.
    ByPlugin(String),
}

/// Judges a call. `handled` is none where the plugin does not export `handling`.
pub fn judge(
    seen: &Seen,
    handled: Option<Result<PluginVerdict, PluginError>>,
    events: usize,
    policy: &StatusPolicy,
) -> Verdict {
    let failed = matches!(seen, Seen::Failed(_));
    let unanswered = || {
        Verdict::PluginFailed("the plugin judged `delivered`, but no response arrived".to_owned())
    };
    match handled {
        None | Some(Ok(PluginVerdict::ByStatus)) => by_status(seen, policy),
        Some(Ok(PluginVerdict::Delivered)) if failed => unanswered(),
        Some(Ok(PluginVerdict::Delivered)) => Verdict::Delivered,
        Some(Ok(PluginVerdict::Retry(wish))) => Verdict::Retry(wish.map(Duration::from_millis)),
        Some(Ok(PluginVerdict::Reject(reason))) => Verdict::Reject(Rejected::ByPlugin(reason)),
        Some(Ok(PluginVerdict::Each(each))) if each.len() != events => {
            Verdict::PluginFailed(format!(
                "the plugin returned {} verdicts for {events} events",
                each.len()
            ))
        }
        Some(Ok(PluginVerdict::Each(each)))
            if failed && each.contains(&EventVerdict::Delivered) =>
        {
            unanswered()
        }
        Some(Ok(PluginVerdict::Each(each))) => Verdict::Each(each),
        Some(Err(error)) => Verdict::PluginFailed(error.to_string()),
    }
}

fn by_status(seen: &Seen, policy: &StatusPolicy) -> Verdict {
    let status = match seen {
        Seen::Status(status) => status,
        Seen::Failed(failure) => {
            let action = policy.failures.get(&failure.kind());
            return match action.copied().unwrap_or(FailureAction::Retry) {
                FailureAction::Retry => Verdict::Retry(None),
                FailureAction::Reject => Verdict::Reject(Rejected::ByStatus),
                FailureAction::Halt => Verdict::Halt,
            };
        }
    };
    match action(*status, policy) {
        StatusAction::Delivered => Verdict::Delivered,
        StatusAction::Retry => Verdict::Retry(None),
        StatusAction::Reject => Verdict::Reject(Rejected::ByStatus),
        StatusAction::Split => Verdict::Split,
        StatusAction::Halt => Verdict::Halt,
    }
}

/// What a status means: the policy's line for the code, then for its class, then the default.
pub fn action(status: u16, policy: &StatusPolicy) -> StatusAction {
    let class = u8::try_from(status / 100).unwrap_or(u8::MAX);
    let configured = policy
        .codes
        .get(&status)
        .or_else(|| policy.classes.get(&class));
    configured.copied().unwrap_or(match status {
        200..=299 => StatusAction::Delivered,
        // What is no status of HTTP is taken for a 5xx (RFC 9110, section 15).
        408 | 425 | 429 | 500.. => StatusAction::Retry,
        413 => StatusAction::Split,
        _ => StatusAction::Reject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FailureKind;

    fn status(status: u16) -> Seen {
        Seen::Status(status)
    }

    fn plugin(verdict: PluginVerdict) -> Option<Result<PluginVerdict, PluginError>> {
        Some(Ok(verdict))
    }

    #[test]
    fn a_status_means_what_the_table_says() {
        use StatusAction::{Delivered, Reject, Retry, Split};
        let table = [
            (200, Delivered),
            (204, Delivered),
            (299, Delivered),
            (100, Reject),
            (301, Reject),
            (304, Reject),
            (400, Reject),
            (401, Reject),
            (403, Reject),
            (404, Reject),
            (408, Retry),
            (409, Reject),
            (410, Reject),
            (413, Split),
            (422, Reject),
            (425, Retry),
            (429, Retry),
            (500, Retry),
            (502, Retry),
            (503, Retry),
            (504, Retry),
            (599, Retry),
            (600, Retry),
            (999, Retry),
        ];

        for (code, expected) in table {
            assert_eq!(action(code, &StatusPolicy::default()), expected, "{code}");
        }
    }

    #[test]
    fn a_code_wins_over_its_class_and_both_over_the_default() {
        let policy = StatusPolicy {
            codes: [(409, StatusAction::Delivered)].into(),
            classes: [(4, StatusAction::Halt)].into(),
            ..StatusPolicy::default()
        };

        assert_eq!(action(409, &policy), StatusAction::Delivered);
        assert_eq!(action(401, &policy), StatusAction::Halt);
        assert_eq!(action(500, &policy), StatusAction::Retry);
    }

    /// Flink: `ifException`.
    #[test]
    fn a_failure_is_tried_again_unless_its_kind_says_otherwise() {
        let policy = StatusPolicy {
            failures: [
                (FailureKind::Tls, FailureAction::Halt),
                (FailureKind::Timeout, FailureAction::Reject),
            ]
            .into(),
            ..StatusPolicy::default()
        };
        let verdict = |failure| judge(&Seen::Failed(failure), None, 1, &policy);

        assert_eq!(verdict(Failure::Connect("x".into())), Verdict::Retry(None));
        assert_eq!(verdict(Failure::Tls("x".into())), Verdict::Halt);
        assert_eq!(
            verdict(Failure::Timeout),
            Verdict::Reject(Rejected::ByStatus)
        );
    }

    #[test]
    fn a_401_is_never_delivered_silently() {
        let verdict = judge(&status(401), None, 1, &StatusPolicy::default());

        assert_eq!(verdict, Verdict::Reject(Rejected::ByStatus));
    }

    #[test]
    fn a_plugin_cannot_deliver_what_was_not_answered() {
        let failed = Seen::Failed(Failure::Timeout);
        let policy = StatusPolicy::default();
        let each = vec![EventVerdict::Retry, EventVerdict::Delivered];

        let all = judge(&failed, plugin(PluginVerdict::Delivered), 2, &policy);
        let some = judge(&failed, plugin(PluginVerdict::Each(each)), 2, &policy);

        assert!(matches!(all, Verdict::PluginFailed(_)));
        assert!(matches!(some, Verdict::PluginFailed(_)));
    }

    #[test]
    fn verdicts_that_do_not_match_the_events_are_refused_whole() {
        let policy = StatusPolicy::default();
        let each = PluginVerdict::Each(vec![EventVerdict::Delivered]);

        let verdict = judge(&status(200), plugin(each), 2, &policy);

        let expected = "the plugin returned 1 verdicts for 2 events";
        assert_eq!(verdict, Verdict::PluginFailed(expected.to_owned()));
    }

    #[test]
    fn a_handler_that_traps_on_a_2xx_does_not_deliver() {
        let trapped = Some(Err(PluginError::Trapped("unreachable".to_owned())));

        let verdict = judge(&status(200), trapped, 1, &StatusPolicy::default());

        assert!(matches!(verdict, Verdict::PluginFailed(_)));
    }

    #[test]
    fn what_is_the_endpoints_failure() {
        for code in [429, 502, 503, 504] {
            assert!(status(code).is_endpoint_failure(), "{code}");
        }
        for code in [200, 400, 401, 408, 413, 500, 501] {
            assert!(!status(code).is_endpoint_failure(), "{code}");
        }
        assert!(Seen::Failed(Failure::Timeout).is_endpoint_failure());
    }

    #[test]
    fn a_plugin_that_answers_by_the_contract_decides() {
        let policy = StatusPolicy::default();
        let wish = Some(Duration::from_millis(70));
        let each = vec![EventVerdict::Retry, EventVerdict::Reject("no".to_owned())];
        let mixed = vec![EventVerdict::Delivered, EventVerdict::Retry];
        let timeout = Seen::Failed(Failure::Timeout);
        let table = [
            (status(500), PluginVerdict::Delivered, Verdict::Delivered),
            (status(500), PluginVerdict::ByStatus, Verdict::Retry(None)),
            (
                status(200),
                PluginVerdict::Retry(Some(70)),
                Verdict::Retry(wish),
            ),
            (
                status(200),
                PluginVerdict::Retry(None),
                Verdict::Retry(None),
            ),
            (
                timeout.clone(),
                PluginVerdict::Retry(Some(70)),
                Verdict::Retry(wish),
            ),
            (
                status(200),
                PluginVerdict::Reject("no".to_owned()),
                Verdict::Reject(Rejected::ByPlugin("no".to_owned())),
            ),
            (
                status(200),
                PluginVerdict::Each(mixed.clone()),
                Verdict::Each(mixed),
            ),
            (
                timeout,
                PluginVerdict::Each(each.clone()),
                Verdict::Each(each),
            ),
        ];

        for (seen, answer, expected) in table {
            let verdict = judge(&seen, plugin(answer), 2, &policy);

            assert_eq!(verdict, expected, "{seen}");
        }
    }

    #[test]
    fn a_status_that_splits_or_halts_does_so() {
        let policy = StatusPolicy {
            codes: [(409, StatusAction::Halt)].into(),
            ..StatusPolicy::default()
        };

        assert_eq!(judge(&status(413), None, 2, &policy), Verdict::Split);
        assert_eq!(judge(&status(409), None, 2, &policy), Verdict::Halt);
        assert_eq!(judge(&status(200), None, 2, &policy), Verdict::Delivered);
        assert_eq!(judge(&status(500), None, 2, &policy), Verdict::Retry(None));
    }

    /// The gate slows down for the first, and whoever looks at a trace reads the names.
    #[test]
    fn a_verdict_says_what_is_tried_again_what_is_given_up_on_and_its_name() {
        let reject = || EventVerdict::Reject("no".to_owned());
        let table = [
            (Verdict::Delivered, (false, false, "delivered")),
            (Verdict::Retry(None), (true, false, "retry")),
            (Verdict::Reject(Rejected::ByStatus), (false, true, "reject")),
            (Verdict::Split, (false, false, "split")),
            (Verdict::Halt, (false, false, "halt")),
            (
                Verdict::PluginFailed(String::new()),
                (false, false, "plugin failed"),
            ),
            (
                Verdict::Each(vec![EventVerdict::Delivered]),
                (false, false, "each"),
            ),
            (
                Verdict::Each(vec![EventVerdict::Delivered, EventVerdict::Retry]),
                (true, false, "each"),
            ),
            (
                Verdict::Each(vec![EventVerdict::Delivered, reject()]),
                (false, true, "each"),
            ),
        ];

        for (verdict, expected) in table {
            let found = (verdict.retries(), verdict.rejects(), verdict.name());
            assert_eq!(found, expected, "{verdict:?}");
        }
    }

    #[test]
    fn what_is_kept_of_an_outcome_is_its_status_or_its_failure() {
        let response = crate::outcome::Response {
            status: 503,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::from_static(b"busy"),
            truncated: false,
        };

        let answered = Seen::of(&Ok(response));
        let failed = Seen::of(&Err(Failure::Connect("refused".to_owned())));

        assert_eq!((answered.status(), failed.status()), (Some(503), None));
        assert_eq!(answered.to_string(), "the endpoint answered 503");
        assert_eq!(failed.to_string(), "could not connect: refused");
    }
}
