//! How a sink delivers: batches, buffer, retries, statuses.

use std::collections::BTreeMap;

use super::{
    Checker,
    sink::{bytes, set},
};
use crate::{
    batch::{BatchBy, BatchSettings},
    config::{
        problem::Problem,
        shape::delivery::{
            BatchYaml, BufferYaml, FailureYaml, FailuresYaml, OnGivenUpYaml, RetryYaml, StatusYaml,
            StrategyYaml,
        },
    },
    delivery::settings::{
        Backoff, BufferSettings, FailureAction, OnGivenUp, RetrySettings, StatusAction,
        StatusPolicy,
    },
    outcome::FailureKind,
};

impl Checker<'_> {
    pub(super) fn retry(&mut self, index: &str, yaml: &RetryYaml) -> RetrySettings {
        let mut settings = RetrySettings::default();
        set(&mut settings.max_delay, yaml.max_delay.map(|span| span.0));
        let initial = yaml
            .initial_delay
            .map_or(std::time::Duration::from_millis(200), |span| span.0);
        if initial > settings.max_delay {
            let mark = self.mark(&["sinks", index, "retry", "initial-delay"]);
            self.problems.push(Problem::new(
                mark,
                "`retry.initial-delay` must not be longer than `retry.max-delay`",
            ));
        }
        settings.backoff = match yaml.strategy {
            StrategyYaml::Exponential => Backoff::Exponential {
                initial,
                multiplier: yaml.multiplier.unwrap_or(2.0),
            },
            StrategyYaml::Fixed | StrategyYaml::None => Backoff::Fixed { delay: initial },
        };
        if yaml
            .multiplier
            .is_some_and(|multiplier| !(1.0..=1e6).contains(&multiplier))
        {
            let mark = self.mark(&["sinks", index, "retry", "multiplier"]);
            let message = "`retry.multiplier` must be at least 1, and at most 1000000";
            self.problems.push(Problem::new(mark, message));
        }
        settings.on_exhausted = given_up(yaml.on_exhausted);
        if yaml.forever && (yaml.max_attempts.is_some() || yaml.strategy == StrategyYaml::None) {
            let mark = self.mark(&["sinks", index, "retry", "forever"]);
            let problem = Problem::new(
                mark,
                "`retry.forever` excludes `max-attempts` and `strategy: none`",
            );
            self.problems.push(problem);
        }
        let unused = match yaml.strategy {
            StrategyYaml::Exponential => None,
            StrategyYaml::Fixed => yaml.multiplier.map(|_| ("multiplier", "strategy: fixed")),
            StrategyYaml::None => (yaml.multiplier.map(|_| ("multiplier", "strategy: none")))
                .or(yaml
                    .max_attempts
                    .map(|_| ("max-attempts", "strategy: none"))),
        };
        if let Some((key, strategy)) = unused {
            let mark = self.mark(&["sinks", index, "retry", key]);
            let message = format!("`retry.{key}` means nothing under `{strategy}`");
            self.problems.push(Problem::new(mark, message));
        }
        settings.max_attempts = match (yaml.forever, yaml.strategy) {
            (true, _) => None,
            (false, StrategyYaml::None) => Some(1),
            (false, _) => Some(yaml.max_attempts.unwrap_or(10)),
        };
        settings
    }

    pub(super) fn status(
        &mut self,
        index: &str,
        yaml: BTreeMap<String, StatusYaml>,
    ) -> StatusPolicy {
        let mut policy = StatusPolicy::default();
        for (key, action) in yaml {
            let action = match action {
                StatusYaml::Delivered => StatusAction::Delivered,
                StatusYaml::Retry => StatusAction::Retry,
                StatusYaml::Reject => StatusAction::Reject,
                StatusYaml::Split => StatusAction::Split,
                StatusYaml::Halt => StatusAction::Halt,
            };
            match key.as_bytes() {
                [class @ b'1'..=b'5', b'x', b'x'] => {
                    policy.classes.insert(class - b'0', action);
                }
                [class @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                    let digits = [class, tens, ones].map(|digit| u16::from(digit - b'0'));
                    let code = digits.iter().fold(0, |code, digit| 10 * code + digit);
                    policy.codes.insert(code, action);
                }
                _ => {
                    let mark = self.mark(&["sinks", index, "status", &key]);
                    let problem = Problem::new(mark, format!("`{key}` is no status"));
                    self.problems
                        .push(problem.hint("write a code such as `409`, or a class such as `4xx`"));
                }
            }
        }
        policy
    }
}

pub(super) fn given_up(yaml: OnGivenUpYaml) -> OnGivenUp {
    match yaml {
        OnGivenUpYaml::DeadLetter => OnGivenUp::DeadLetter,
        OnGivenUpYaml::Halt => OnGivenUp::Halt,
        OnGivenUpYaml::Drop => OnGivenUp::Drop,
    }
}

pub(super) fn failures(yaml: &FailuresYaml) -> BTreeMap<FailureKind, FailureAction> {
    let kinds = [
        (FailureKind::Timeout, yaml.timeout),
        (FailureKind::Connect, yaml.connect),
        (FailureKind::Tls, yaml.tls),
        (FailureKind::Protocol, yaml.protocol),
        (FailureKind::Auth, yaml.auth),
    ];
    let action = |yaml| match yaml {
        FailureYaml::Retry => FailureAction::Retry,
        FailureYaml::Reject => FailureAction::Reject,
        FailureYaml::Halt => FailureAction::Halt,
    };
    kinds
        .into_iter()
        .filter_map(|(kind, yaml)| Some((kind, action(yaml?))))
        .collect()
}

pub(super) fn batch(yaml: BatchYaml) -> BatchSettings {
    let mut settings = BatchSettings::default();
    set(&mut settings.max_records, yaml.max_records);
    set(&mut settings.max_bytes, yaml.max_bytes.and_then(bytes));
    set(&mut settings.max_wait, yaml.max_wait.map(|span| span.0));
    settings.by = if yaml.by.is_some() {
        BatchBy::Key
    } else {
        BatchBy::Any
    };
    settings
}

pub(super) fn buffer(yaml: BufferYaml) -> BufferSettings {
    let mut settings = BufferSettings::default();
    set(&mut settings.max_records, yaml.max_records);
    set(&mut settings.max_bytes, yaml.max_bytes.and_then(bytes));
    settings
}
