//! Whether a version that is tried on a share of the batches takes over, or goes.

use crate::plugin::{Canary, Counts};

/// Batches before a version is judged: fewer say nothing, unless all it was asked for has failed.
const LEAST: u64 = 10;

/// What becomes of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Too little is known yet.
    Wait,
    /// It serves from now on.
    Promote,
    /// It goes, and why.
    RollBack(String),
}

/// Decides by what both versions did since the trial began.
pub(super) fn decide(serving: Counts, tried: Counts, canary: &Canary) -> Decision {
    let enough = LEAST.min(canary.batches);
    if tried.batches < enough {
        return Decision::Wait;
    }
    let (old, new) = (serving.rates(), tried.rates());
    let rates = [
        ("fails on", old.failures, new.failures),
        ("rejects", old.rejections, new.rejections),
        ("has tried again", old.retries, new.retries),
    ];
    for (what, old, new) in rates {
        if new > old + canary.tolerance {
            return Decision::RollBack(format!(
                "it {what} {:.1} % of its work, the version that serves {:.1} %, over {} batches",
                100.0 * new,
                100.0 * old,
                tried.batches
            ));
        }
    }
    if tried.batches >= canary.batches && tried.attempts > 0 {
        Decision::Promote
    } else {
        Decision::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: Canary = Canary {
        share: 0.05,
        batches: 100,
        tolerance: 0.01,
    };

    fn counts(batches: u64) -> Counts {
        Counts {
            batches,
            events: 10 * batches,
            attempts: batches,
            ..Counts::default()
        }
    }

    #[test]
    fn it_takes_over_after_as_many_batches_as_it_must_shape() {
        let serving = counts(2_000);

        let decisions = [9, 99, 100].map(|batches| decide(serving, counts(batches), &CANARY));

        let expected = [Decision::Wait, Decision::Wait, Decision::Promote];
        assert_eq!(decisions, expected);
    }

    #[test]
    fn it_goes_as_soon_as_it_does_worse_than_is_tolerated() {
        let serving = counts(2_000);
        let failing = Counts {
            batches_failed: 1,
            ..counts(20)
        };
        let rejecting = Counts {
            events_rejected: 10,
            ..counts(20)
        };
        let retried = Counts {
            attempts_retried: 5,
            ..counts(20)
        };

        let decisions = [failing, rejecting, retried].map(|tried| decide(serving, tried, &CANARY));

        let words = ["fails on 2.5 %", "rejects 5.0 %", "has tried again 25.0 %"];
        for (decision, words) in decisions.iter().zip(words) {
            assert!(
                matches!(decision, Decision::RollBack(why) if why.contains(words)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn what_happens_to_both_is_not_its_fault() {
        let trouble = |batches| Counts {
            attempts_retried: batches / 2,
            ..counts(batches)
        };

        let decision = decide(trouble(2_000), trouble(100), &CANARY);

        assert_eq!(decision, Decision::Promote);
    }

    #[test]
    fn a_trial_of_few_batches_is_judged_by_them() {
        let canary = Canary {
            batches: 2,
            ..CANARY
        };

        let decisions = [1, 2].map(|batches| decide(counts(9), counts(batches), &canary));

        assert_eq!(decisions, [Decision::Wait, Decision::Promote]);
    }
}
