//! The settings and the plugin of a sink, as a seed picks them: small, so that every limit is met.

use std::{num::NonZeroU64, time::Duration};

use fastrand::Rng;

use super::plan::{Manner, SinkPlan};
use crate::{
    batch::{BatchBy, BatchSettings},
    delivery::{
        gate::settings::{AimdSettings, Concurrency, GateSettings},
        settings::{
            Backoff, BufferSettings, DeliverySettings, FailureAction, InFlightSettings, OnGivenUp,
            OnOutage, Order, ResultsOrder, RetrySettings, StatusAction, StatusPolicy,
            TimeoutSettings,
        },
    },
    outcome::FailureKind,
};

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

pub(super) fn sink(rng: &mut Rng) -> SinkPlan {
    let settings = delivery(rng);
    let manner = match rng.u8(0..5) {
        0 => Manner::Whole,
        1 => Manner::Single,
        2 => Manner::Runs(rng.usize(1..5)),
        3 if settings.order == Order::None => Manner::Shuffled,
        _ if settings.order != Order::Strict => Manner::Mixed(rng.usize(2..6)),
        _ => Manner::Whole,
    };
    let handles = rng.bool();
    SinkPlan {
        settings,
        endpoints: Vec::new(),
        shape_slots: rng.usize(1..4),
        manner,
        handles,
        results: handles && rng.u8(0..4) > 0,
        cursed: pick(rng, &[0, 0, 10, 50]),
        plugin_ms: pick(rng, &[0, 0, 3, 80]),
    }
}

fn delivery(rng: &mut Rng) -> DeliverySettings {
    let max_records = rng.usize(1..16);
    let max_bytes = rng.usize(16..400);
    let batch = BatchSettings {
        max_records,
        max_bytes,
        max_wait: Duration::from_millis(pick(rng, &[1, 50, 700, 5_000])),
        by: pick(rng, &[BatchBy::Any, BatchBy::Key]),
    };
    let buffer = BufferSettings {
        max_records: max_records + rng.usize(1..40),
        max_bytes: max_bytes + pick(rng, &[0, 500, 5_000, 50_000]),
    };
    DeliverySettings {
        batch,
        buffer,
        in_flight: InFlightSettings {
            max_calls: pick(rng, &[1, 2, 3, 8]),
        },
        timeout: TimeoutSettings {
            attempt: Duration::from_millis(rng.u64(50..3_000)),
            total: Duration::from_secs(pick(rng, &[1, 10, 60, 600])),
        },
        retry: retry(rng),
        on_outage: pick(rng, &[OnOutage::Hold, OnOutage::Hold, OnOutage::DeadLetter]),
        status: status(rng),
        order: pick(rng, &[Order::None, Order::Key, Order::Strict]),
        results_order: pick(rng, &[ResultsOrder::Arrival, ResultsOrder::Ingress]),
        on_plugin_error: pick(
            rng,
            &[
                OnGivenUp::DeadLetter,
                OnGivenUp::DeadLetter,
                OnGivenUp::Drop,
                OnGivenUp::Halt,
            ],
        ),
    }
}

pub(super) fn gate(rng: &mut Rng) -> GateSettings {
    GateSettings {
        concurrency: match rng.u8(0..3) {
            0 => Concurrency::Fixed,
            1 => Concurrency::Adaptive,
            _ => Concurrency::Aimd(AimdSettings {
                initial: pick(rng, &[None, Some(1), Some(20)]),
                increase: rng.usize(1..20),
                decrease: pick(rng, &[0.1, 0.5, 0.9]),
                slow_start: rng.bool(),
            }),
        },
        max_calls: pick(rng, &[None, None, Some(1), Some(4)]),
        calls_per_second: pick(rng, &[None, None, None, NonZeroU64::new(20)]),
        bytes_per_second: pick(rng, &[None, None, None, NonZeroU64::new(3_000)]),
    }
}

fn retry(rng: &mut Rng) -> RetrySettings {
    let first = Duration::from_millis(rng.u64(1..400));
    let backoff = if rng.u8(0..3) > 0 {
        Backoff::Exponential {
            initial: first,
            multiplier: f64::from(rng.u32(2..8)) / 2.0,
        }
    } else {
        Backoff::Fixed { delay: first }
    };
    RetrySettings {
        backoff,
        max_attempts: pick(rng, &[None, Some(1), Some(2), Some(4), Some(10)]),
        max_delay: Duration::from_millis(pick(rng, &[100, 1_000, 10_000])),
        on_exhausted: OnGivenUp::DeadLetter,
    }
}

fn status(rng: &mut Rng) -> StatusPolicy {
    let mut policy = StatusPolicy::default();
    let actions = [
        StatusAction::Delivered,
        StatusAction::Retry,
        StatusAction::Reject,
        StatusAction::Split,
    ];
    for code in [202, 401, 404, 409, 413, 500, 503] {
        if rng.u8(0..6) == 0 {
            policy.codes.insert(code, pick(rng, &actions));
        }
    }
    if rng.u8(0..20) == 0 {
        policy.codes.insert(401, StatusAction::Halt);
    }
    for kind in [FailureKind::Timeout, FailureKind::Protocol] {
        if rng.u8(0..10) == 0 {
            policy.failures.insert(kind, FailureAction::Reject);
        }
    }
    for class in [3, 4, 5] {
        if rng.u8(0..8) == 0 {
            policy.classes.insert(class, pick(rng, &actions));
        }
    }
    policy
}
