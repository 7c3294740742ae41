//! What an endpoint answers: by its weather, which changes by chance.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{truth::Weather, world::World};
use crate::outcome::{Failure, Outcome, Response};

/// Each sink has one millisecond of so many in which it learns of an endpoint that others use too.
const SLOT: u64 = 4;

impl World {
    /// What comes of an attempt, and after how long.
    pub(super) fn answer_of(&mut self, sink: usize, endpoint: usize) -> (Duration, Outcome) {
        let (takes, outcome) = self.any_answer(sink, endpoint);
        if !self.plan.is_shared(endpoint) {
            return (takes, outcome);
        }
        let limit = self.plan.sinks[sink].settings.timeout.attempt;
        let in_time = takes.min(limit - Duration::from_millis(SLOT));
        (self.in_slot(sink, in_time), outcome)
    }

    /// At least so long, until an instant that belongs to the sink alone: what two sinks learn of one endpoint in the same
    /// instant has no order that the world could know.
    pub(super) fn in_slot(&self, sink: usize, takes: Duration) -> Duration {
        let end = (self.started.elapsed() + takes).as_millis() as u64;
        takes + Duration::from_millis((SLOT + sink as u64 - end % SLOT) % SLOT)
    }

    fn any_answer(&mut self, sink: usize, endpoint: usize) -> (Duration, Outcome) {
        let limit = self.plan.sinks[sink].settings.timeout.attempt.as_millis() as u64;
        let quick = Duration::from_millis(self.rng.u64(1..30.min(limit)));
        if self.calm() {
            return (quick, self.response(200, None));
        }
        let weather = self.weather(endpoint);
        let takes = match (weather, self.rng.u8(0..10)) {
            (Weather::Fine, _) => quick,
            (Weather::Slow, dice) => Duration::from_millis(match dice {
                0 => limit - 1,
                1 => limit,
                2 => limit + 1,
                3 | 4 => limit * 2,
                _ => self.rng.u64(1..limit * 2),
            }),
            (_, 0) => Duration::from_millis(self.rng.u64(1..limit * 2)),
            (_, _) => Duration::from_millis(self.rng.u64(1..200.min(limit))),
        };
        let dice = self.rng.usize(0..12);
        let outcome = match weather {
            Weather::Fine | Weather::Slow => self.response(200, None),
            Weather::Down => match dice {
                0 => self.response(502, None),
                1 => self.response(504, None),
                2 => self.response(503, None),
                3..6 => Err(Failure::Protocol("broken".to_owned())),
                _ => Err(Failure::Connect("refused".to_owned())),
            },
            Weather::Throttling if dice < 8 => {
                let asks = (dice < 5).then(|| self.rng.u64(0..20));
                self.response(if dice.is_multiple_of(2) { 429 } else { 503 }, asks)
            }
            Weather::Refusing if dice < 8 => {
                let status = [400, 401, 404, 409, 413, 413, 422, 301][dice];
                self.response(status, None)
            }
            Weather::Mixed => match dice {
                0 => Err(Failure::Connect("refused".to_owned())),
                1 => Err(Failure::Tls("broken".to_owned())),
                2..8 => {
                    let status = [500, 503, 429, 413, 408, 404][dice - 2];
                    self.response(status, None)
                }
                _ => self.response(200, None),
            },
            _ => self.response(if dice == 9 { 202 } else { 204 }, None),
        };
        (takes, outcome)
    }

    /// The weather at an endpoint: it changes by chance.
    fn weather(&mut self, endpoint: usize) -> Weather {
        let now = Instant::now();
        if self.endpoints[endpoint].weather.1 <= now {
            let all = [
                Weather::Fine,
                Weather::Mixed,
                Weather::Down,
                Weather::Throttling,
                Weather::Slow,
                Weather::Refusing,
            ];
            let next = if self.rng.u32(0..60) < self.plan.trouble * 2 {
                all[self.rng.usize(0..all.len())]
            } else {
                Weather::Fine
            };
            let lasts = Duration::from_millis(self.rng.u64(50..30_000));
            self.endpoints[endpoint].weather = (next, now + lasts);
            self.note(format_args!(
                "endpoint {endpoint}: weather {next:?} for {lasts:?}"
            ));
        }
        self.endpoints[endpoint].weather.0
    }

    fn response(&mut self, status: u16, retry_after: Option<u64>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        let body = if self.rng.bool() {
            Bytes::from(vec![b'b'; self.rng.usize(0..80)])
        } else {
            Bytes::new()
        };
        Ok(Response {
            status,
            headers,
            body,
            truncated: false,
        })
    }
}
