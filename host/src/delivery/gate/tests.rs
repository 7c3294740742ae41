//! The gate by itself: what it lets through, what it learns, and whom it tells.

mod limits;
mod outages;
mod paces;
mod sharing;

use super::{settings::AimdSettings, *};
use crate::delivery::settings::RetrySettings;

const ONE: Load = Load {
    events: 1,
    bytes: 100,
};
const LATENCY: Duration = Duration::from_millis(100);

fn sink(max_calls: usize, batch: usize) -> DeliverySettings {
    let mut settings = DeliverySettings::default();
    settings.in_flight.max_calls = max_calls;
    settings.batch.max_records = batch;
    settings
}

fn settings(concurrency: Concurrency) -> GateSettings {
    GateSettings {
        concurrency,
        ..GateSettings::default()
    }
}

fn aimd() -> Concurrency {
    Concurrency::Aimd(AimdSettings {
        slow_start: false,
        ..AimdSettings::default()
    })
}

fn gate(settings: &GateSettings, sinks: &[DeliverySettings], now: Instant) -> Gate {
    Gate::new(settings, sinks, now)
}

/// Of one sink with calls of ten events, 20 calls at most.
fn alone(settings: &GateSettings, now: Instant) -> Entrance {
    gate(settings, &[sink(20, 10)], now).enter(OnOutage::Hold)
}

fn two(gate: &Gate) -> [Entrance; 2] {
    [(); 2].map(|()| gate.enter(OnOutage::Hold))
}

fn at(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

fn admit(entrance: &mut Entrance, now: Instant, load: Load) -> Admission {
    entrance.admit(now, load, &RetrySettings::default())
}

/// How many calls go at once.
fn go(entrance: &mut Entrance, now: Instant, load: Load) -> usize {
    (0..1000)
        .take_while(|_| admit(entrance, now, load) == Admission::Go)
        .count()
}

/// An attempt that was admitted at this time, and was answered.
fn answered(began: Instant, load: Load) -> Attempt {
    Attempt {
        load,
        began,
        before: began,
        latency: LATENCY,
        failed: false,
        throttled: false,
        retried: false,
        pause: None,
    }
}

fn failed(began: Instant, load: Load) -> Attempt {
    Attempt {
        failed: true,
        ..answered(began, load)
    }
}

fn throttled(began: Instant, load: Load) -> Attempt {
    Attempt {
        throttled: true,
        ..failed(began, load)
    }
}

/// Five calls that go and fail, one after the other: the endpoint is down.
fn outage(entrance: &mut Entrance, now: Instant) {
    for _ in 0..5 {
        assert_eq!(admit(entrance, now, ONE), Admission::Go);
        entrance.ended(now, &failed(now, ONE));
    }
}
