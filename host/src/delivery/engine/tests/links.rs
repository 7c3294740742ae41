//! `adaptive` against simulated links of delay, knee and limit: the scenarios that Vector holds its adaptive concurrency
//! against (`tests/data/adaptive-concurrency` in vectordotdev/vector), and two that change while they run.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use http::HeaderMap;
use tokio::time::{Instant, sleep};

use super::script::{answer, single, start_over};
use crate::{
    delivery::{
        gate::{
            Gate,
            settings::{Concurrency, GateSettings},
        },
        settings::{Backoff, DeliverySettings},
    },
    http::{Request, Transport},
    metrics::SinkStats,
    outcome::Outcome,
};

/// What an endpoint does with the calls that are beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// It answers 429.
    Defer,
    /// It never answers.
    Drop,
}

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy)]
struct Link {
    name: &'static str,
    /// The time of a call that is alone.
    delay: Duration,
    /// What each other call in flight adds, as a part of `delay`.
    scale: f64,
    /// From so many calls on, each multiplies the delay.
    knee: Option<(u32, f64)>,
    /// The mean of what is added at random, as a part of the delay; exponentially distributed.
    jitter: f64,
    /// Calls in flight, or in a second, beyond which calls are refused.
    limit: Option<u32>,
    rate: Option<u32>,
    /// Calls that it takes at once, and how long each of them takes to leak out (nginx: `limit_req` with `burst`).
    leaks: Option<(u32, Duration)>,
    beyond: Beyond,
    /// The delay is so many times as long from the 15th second on.
    later: f64,
    /// Calls in flight with which it does most, and how many a second are these.
    best: u32,
    capacity: f64,
}

const LINK: Link = Link {
    name: "",
    delay: Duration::from_millis(100),
    scale: 0.0,
    knee: None,
    jitter: 0.0,
    limit: None,
    rate: None,
    leaks: None,
    beyond: Beyond::Defer,
    later: 1.0,
    best: 10,
    capacity: 100.0,
};

#[rustfmt::skip]
const LINKS: &[Link] = &[
    // No knee: as many as `in-flight.max-calls` allows.
    Link { name: "constant", best: 100, capacity: 1000.0, ..LINK },
    Link { name: "jittery, small", jitter: 0.1, best: 20, capacity: 180.0, ..LINK },
    Link { name: "shallow knee", knee: Some((10, 1.1)), ..LINK },
    Link { name: "steep knee", knee: Some((10, 1.5)), ..LINK },
    Link { name: "jittery knee", knee: Some((10, 1.1)), jitter: 0.1, capacity: 91.0, ..LINK },
    Link { name: "slow", scale: 1.0, best: 1, capacity: 10.0, ..LINK },
    Link { name: "defers at high concurrency", limit: Some(5), best: 5, capacity: 50.0, ..LINK },
    Link { name: "drops at high concurrency", limit: Some(5), beyond: Beyond::Drop, best: 5, capacity: 50.0, ..LINK },
    // A rate shows nothing until it is spent: in the first second, there is no telling 10 calls from 20.
    Link { name: "defers at high rate", rate: Some(100), best: 20, ..LINK },
    Link { name: "knee, then slower", knee: Some((10, 1.1)), later: 2.0, capacity: 50.0, ..LINK },
    Link { name: "knee, then faster", knee: Some((10, 1.1)), later: 0.5, capacity: 200.0, ..LINK },
];

#[derive(Debug, Default)]
struct Measured {
    in_flight: u32,
    most_in_flight: u32,
    /// Calls that were answered with success, by second.
    answered: Vec<u32>,
    /// When the calls of the last second began that were not refused, for the rate.
    begun: VecDeque<Instant>,
    refused: u32,
    /// When all that it took has leaked out.
    empty: Option<Instant>,
}

impl Measured {
    fn overflows(&mut self, (burst, each): (u32, Duration), now: Instant) -> bool {
        let empty = self.empty.unwrap_or(now).max(now);
        let overflows = empty > now + each * burst;
        if !overflows {
            self.empty = Some(empty + each);
        }
        overflows
    }
}

#[derive(Clone)]
struct Endpoint {
    link: Link,
    started: Instant,
    measured: Arc<Mutex<Measured>>,
    rng: Arc<Mutex<fastrand::Rng>>,
}

fn count(counts: &mut Vec<u32>, second: usize) -> u32 {
    counts.resize(counts.len().max(second + 1), 0);
    counts[second] += 1;
    counts[second]
}

impl Endpoint {
    fn new(link: Link) -> Self {
        Self {
            link,
            started: Instant::now(),
            measured: Arc::default(),
            rng: Arc::new(Mutex::new(fastrand::Rng::with_seed(4711))),
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn second(&self) -> usize {
        usize::try_from(self.started.elapsed().as_secs()).expect("a short run")
    }

    fn delay(&self, in_flight: u32) -> Duration {
        let Link {
            scale,
            knee,
            jitter,
            later,
            ..
        } = self.link;
        let mut factor = 1.0 + scale * f64::from(in_flight - 1);
        if let Some((start, exponent)) = knee {
            factor *= exponent.powf(f64::from(in_flight.saturating_sub(start)));
        }
        if self.second() >= 15 {
            factor *= later;
        }
        let dice = self.rng.lock().expect("no panic").f64();
        self.link
            .delay
            .mul_f64(factor * (1.0 - jitter * (1.0 - dice).ln()))
    }
}

impl Transport for Endpoint {
    async fn send(&self, _: Request) -> Outcome {
        let (in_flight, refused) = {
            let mut measured = self.measured();
            let now = Instant::now();
            while (measured.begun.front())
                .is_some_and(|begun| now - *begun >= Duration::from_secs(1))
            {
                measured.begun.pop_front();
            }
            let rate = u32::try_from(measured.begun.len()).expect("few");
            let refused = self
                .link
                .limit
                .is_some_and(|limit| measured.in_flight >= limit)
                || self.link.rate.is_some_and(|limit| rate >= limit)
                || (self.link.leaks).is_some_and(|leaks| measured.overflows(leaks, now));
            if refused {
                measured.refused += 1;
            } else {
                measured.begun.push_back(now);
                measured.in_flight += 1;
                measured.most_in_flight = measured.most_in_flight.max(measured.in_flight);
            }
            (measured.in_flight.max(1), refused)
        };
        if refused && self.link.beyond == Beyond::Drop {
            std::future::pending::<()>().await;
        }
        // An attempt that is given up on is one that the endpoint gives up on too.
        let working = (!refused).then(|| Working(self.clone()));
        sleep(self.delay(in_flight)).await;
        drop(working);
        if refused {
            return answer(429, HeaderMap::new(), "");
        }
        count(&mut self.measured().answered, self.second());
        answer(200, HeaderMap::new(), "")
    }
}

/// A call that the endpoint works on.
struct Working(Endpoint);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.measured().in_flight -= 1;
    }
}

/// Runs for 50 s with more to send than the link takes.
async fn run(link: Link, concurrency: Concurrency, max_calls: usize) -> Endpoint {
    let mut settings = DeliverySettings::default();
    settings.batch.max_records = 50;
    settings.in_flight.max_calls = max_calls;
    settings.timeout.attempt = Duration::from_secs(1);
    settings.retry.max_attempts = None;
    settings.retry.backoff = Backoff::Fixed {
        delay: Duration::from_millis(500),
    };
    run_with(link, concurrency, settings).await.0
}

/// Gives what the sink has counted, too.
async fn run_with(
    link: Link,
    concurrency: Concurrency,
    settings: DeliverySettings,
) -> (Endpoint, Arc<SinkStats>) {
    let gate = GateSettings {
        concurrency,
        ..GateSettings::default()
    };
    let gate = Gate::new(&gate, [&settings], Instant::now());
    let endpoint = Endpoint::new(link);
    let mut sink = start_over(&gate, settings, single(), endpoint.clone());
    let over = endpoint.started + Duration::from_secs(50);
    while Instant::now() < over {
        let more = sink.send(["x"; 50]);
        if tokio::time::timeout_at(over, more).await.is_err() {
            break;
        }
    }
    (endpoint, Arc::clone(&sink.stats))
}

#[tokio::test(start_paused = true)]
async fn adaptive_reaches_what_an_endpoint_can_do_and_builds_no_queue() {
    for link in LINKS {
        let max_calls = if link.knee.is_none()
            && link.limit.is_none()
            && link.rate.is_none()
            && link.scale == 0.0
        {
            usize::try_from(link.best).expect("small")
        } else {
            200
        };
        let endpoint = run(*link, Concurrency::Adaptive, max_calls).await;

        let measured = endpoint.measured();
        // A link that changes is given as long from then on.
        let second = if link.later == 1.0 { 25 } else { 40 };
        let last: u32 = measured.answered.iter().skip(second).take(5).sum();
        let rate = f64::from(last) / 5.0;
        let Link {
            name,
            best,
            capacity,
            ..
        } = *link;
        assert!(rate >= 0.9 * capacity, "{name}: {rate}/s of {capacity}/s");
        assert!(
            measured.most_in_flight <= 2 * best,
            "{name}: {} in flight, where {best} are best",
            measured.most_in_flight
        );
    }
}

#[tokio::test(start_paused = true)]
async fn adaptive_does_not_grow_while_the_source_is_slow() {
    let settings = DeliverySettings::default();
    let gate = GateSettings {
        concurrency: Concurrency::Adaptive,
        ..GateSettings::default()
    };
    let gate = Gate::new(&gate, [&settings], Instant::now());
    let endpoint = Endpoint::new(LINK);
    let mut settings = settings;
    settings.batch.max_records = 1;
    let mut sink = start_over(&gate, settings, single(), endpoint.clone());

    for _ in 0..200 {
        sink.send(["x"]).await;
        sleep(Duration::from_millis(100)).await;
    }

    assert!(endpoint.measured().most_in_flight <= 2);
    assert!(sink.stats.concurrency_limit.get() <= 3);
}

#[tokio::test(start_paused = true)]
async fn aimd_stays_about_the_rate_that_the_endpoint_takes() {
    let link = LINKS
        .iter()
        .find(|link| link.name == "defers at high concurrency");
    let aimd = crate::delivery::gate::settings::AimdSettings {
        increase: 1,
        ..Default::default()
    };

    let endpoint = run(*link.expect("it is there"), Concurrency::Aimd(aimd), 200).await;

    let measured = endpoint.measured();
    let last: u32 = measured.answered.iter().skip(20).take(20).sum();
    assert!(last >= 900, "{last} of 1000");
    let all: u32 = measured.answered.iter().sum();
    assert!(measured.refused < all, "{} refused", measured.refused);
}

/// At 4 ms a call, one call after the other is 250 a second: no number of calls side by side is few enough.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_takes_less_than_one_call_after_the_other_costs_no_event_and_few_calls() {
    for rate in [1, 10, 100] {
        let leaks = Duration::from_secs(1) / rate;
        for concurrency in [Concurrency::default(), Concurrency::Adaptive] {
            let link = Link {
                delay: Duration::from_millis(4),
                leaks: Some((5, leaks)),
                ..LINK
            };
            let mut settings = DeliverySettings::default();
            settings.batch.max_records = 1;

            let (endpoint, stats) = run_with(link, concurrency, settings).await;

            let measured = endpoint.measured();
            let last: u32 = measured.answered.iter().skip(10).take(40).sum();
            let name = format!("{rate}/s, {concurrency:?}");
            assert_eq!(stats.dead_lettered.get(), 0, "{name}");
            assert!(
                f64::from(last) >= 0.9 * f64::from(40 * rate),
                "{name}: {last} in 40 s"
            );
            let all: u32 = measured.answered.iter().sum();
            assert!(
                // Beside those that it takes to find the pace.
                f64::from(measured.refused) < 0.25 * f64::from(all) + 30.0,
                "{name}: {} refused of {all}",
                measured.refused
            );
        }
    }
}
