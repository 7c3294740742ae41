//! Whether a version that is tried on a share of the batches takes over, or goes.
//!
//! It goes as soon as it is as good as certain that it does worse than is tolerated; and takes over when it has shaped what it
//! must and does no worse, by what was counted. What lies between is given more batches, up to a bound.

use crate::plugin::{Canary, Counts, Share};

/// Batches before a version is judged: fewer say nothing, unless all it was asked for has failed.
const LEAST: u64 = 10;
/// So many times the batches that it must shape, it may be given while it seems to do worse.
const PATIENCE: u64 = 10;
/// How certain: in standard deviations. A version is looked at after each of its batches, so that even odds of one in a thousand for
/// each look would add up.
const CERTAIN: f64 = 3.0;

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
    if tried.batches < LEAST.min(canary.batches) {
        return Decision::Wait;
    }
    let (old, new) = (serving.rates(), tried.rates());
    let rates = [
        ("fails on", old.failures, new.failures),
        ("rejects", old.rejections, new.rejections),
        ("has tried again", old.retries, new.retries),
    ];
    let seems = |(_, old, new): &&(_, Share, Share)| new.share - old.share > canary.tolerance;
    let worse: Vec<_> = rates.iter().filter(seems).collect();
    let patient = tried.batches < canary.batches.saturating_mul(PATIENCE);
    let certain = worse
        .iter()
        .find(|(_, old, new)| !patient || surely_more(*new, *old) > canary.tolerance);
    match certain {
        Some((what, old, new)) => Decision::RollBack(format!(
            "it {what} {:.1} % of its work, the version that serves {:.1} %, over {} batches",
            100.0 * new.share,
            100.0 * old.share,
            tried.batches
        )),
        // Without a call there is little to go by: then it takes more batches, but not for ever.
        None if worse.is_empty()
            && tried.batches >= canary.batches
            && (tried.attempts > 0 || !patient) =>
        {
            Decision::Promote
        }
        None => Decision::Wait,
    }
}

/// How much greater one share is than another at the least, as far as one can be certain: the lower end of Newcombe's interval
/// for the difference of two proportions (his method 10), which holds for few trials, and for shares of nothing and of all.
fn surely_more(new: Share, old: Share) -> f64 {
    let (least, _) = interval(new);
    // Where nothing was counted, nothing has gone wrong: then the tolerance alone is the measure.
    let most = match old.trials {
        0 => old.share,
        _ => interval(old).1,
    };
    new.share - old.share - (new.share - least).hypot(most - old.share)
}

/// Where the true share lies: Wilson's interval.
fn interval(Share { share, trials }: Share) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let trials = trials.max(1) as f64;
    let square = CERTAIN * CERTAIN / trials;
    let middle = (share + square / 2.0) / (1.0 + square);
    let spread = (share * (1.0 - share) / trials + square / trials / 4.0).sqrt();
    let half = CERTAIN * spread / (1.0 + square);
    (middle - half, middle + half)
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
    fn it_goes_as_soon_as_it_certainly_does_worse_than_is_tolerated() {
        let serving = counts(2_000);
        let failing = Counts {
            batches_failed: 10,
            ..counts(20)
        };
        let rejecting = Counts {
            events_rejected: 100,
            ..counts(20)
        };
        let retried = Counts {
            attempts_retried: 5,
            ..counts(20)
        };

        let decisions = [failing, rejecting, retried].map(|tried| decide(serving, tried, &CANARY));

        let words = [
            "fails on 25.0 %",
            "rejects 50.0 %",
            "has tried again 25.0 %",
        ];
        for (decision, words) in decisions.iter().zip(words) {
            assert!(
                matches!(decision, Decision::RollBack(why) if why.contains(words)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn one_mishap_is_no_proof_and_holds_it_up_until_it_is_outweighed_or_repeated() {
        let serving = counts(2_000);
        let after = |batches, attempts_retried| {
            let tried = Counts {
                attempts_retried,
                ..counts(batches)
            };
            decide(serving, tried, &CANARY)
        };

        assert_eq!(after(20, 1), Decision::Wait, "5 %, by one");
        assert_eq!(after(100, 1), Decision::Promote, "1 %");
        assert_eq!(after(100, 3), Decision::Wait, "3 %");
        assert_eq!(after(300, 3), Decision::Promote, "1 %");
        assert!(matches!(after(400, 12), Decision::RollBack(_)), "3 %");
        assert_eq!(after(999, 11), Decision::Wait, "1.1 %");
        assert!(
            matches!(after(1_000, 11), Decision::RollBack(_)),
            "it was given all that it may be given"
        );
    }

    #[test]
    fn without_work_to_compare_with_the_tolerance_is_the_measure() {
        let failing = Counts {
            attempts_failed: 10,
            ..counts(10)
        };

        let decisions =
            [failing, counts(100)].map(|tried| decide(Counts::default(), tried, &CANARY));

        assert!(matches!(&decisions[0], Decision::RollBack(_)));
        assert_eq!(decisions[1], Decision::Promote);
    }

    /// What becomes of trials of a version whose calls are tried again with a probability of `new`, the other one's with `old`.
    fn rolled_back(old: f64, new: f64) -> usize {
        let mut random = fastrand::Rng::with_seed(7);
        let mut calls = |counts: &mut Counts, calls: u64, retried: f64| {
            for _ in 0..calls {
                counts.batches += 1;
                counts.attempts += 1;
                counts.attempts_retried += u64::from(random.f64() < retried);
            }
        };
        let mut trial = || {
            let (mut serving, mut tried) = (Counts::default(), Counts::default());
            loop {
                calls(&mut serving, 19, old);
                calls(&mut tried, 1, new);
                match decide(serving, tried, &CANARY) {
                    Decision::Wait => {}
                    decision => return matches!(decision, Decision::RollBack(_)),
                }
            }
        };
        (0..1_000).filter(|_| trial()).count()
    }

    #[test]
    fn looked_at_after_each_batch_it_is_seldom_wronged_and_seldom_let_through() {
        // Of 1,000 trials each.
        let as_good = [0.0, 0.05].map(|rate| rolled_back(rate, rate));
        let far_worse = rolled_back(0.05, 0.25);
        let failing = rolled_back(0.0, 0.9);

        assert_eq!(as_good[0], 0);
        assert!(as_good[1] < 50, "{as_good:?}");
        assert!(far_worse > 990, "{far_worse}");
        assert_eq!(failing, 1_000);
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
