//! Which of an endpoint's URLs a call goes to: pure, driven by the caller's clock.
//!
//! A URL that fails several times in a row is unhealthy: it gets no calls but single probes, after pauses that grow. So is
//! one that asks for a pause itself, at once and for as long. One answer makes it healthy again.
//!
//! # Invariants
//! - While a URL is healthy, an unhealthy one gets one call at a time, and none before its pause is over.
//! - While none is healthy, every one of them is tried in turn.
//! - No failure of an attempt that began before its URL changed its state counts: attempts side by side end late.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that make a URL unhealthy.
const UNHEALTHY_AFTER: u32 = 3;
/// The pause before the first probe; doubled for each one that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer: so long after its return, a URL is in use again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// `endpoint.prefer`: which of the healthy URLs gets a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefer {
    /// The first one in the order of the file.
    #[default]
    First,
    /// Each in turn.
    Spread,
}

/// The URLs of an endpoint, by their place in its settings.
#[derive(Debug)]
pub(super) struct Failover {
    urls: Vec<Url>,
    prefer: Prefer,
    /// Where `spread` goes on.
    next: usize,
}

#[derive(Debug)]
struct Url {
    state: State,
    /// Goes up with every change of the state.
    epoch: u64,
    last_failure: Option<Instant>,
    /// Until when it asks for no calls.
    paused_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Healthy {
        /// In a row.
        failures: u32,
    },
    Unhealthy {
        /// Before the next probe.
        pause: Duration,
        probe_at: Instant,
        is_probed: bool,
    },
}

/// One attempt. It must be settled, or a probe is taken for one that never ends.
#[derive(Debug)]
#[must_use]
pub(super) struct Ticket {
    /// The URL's place.
    pub(super) url: usize,
    epoch: u64,
    is_probe: bool,
}

/// What an attempt says of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answers.
    Answered,
    /// It fails: no complete response, 502, 503 or 504.
    Failed,
    /// It asks for no calls for so long: a 503 with `Retry-After`.
    Paused(Duration),
    /// Nothing: it was not asked.
    Unknown,
}

/// What an attempt has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The URL gets calls again.
    Healthy,
    /// The URL gets no more calls than probes.
    Unhealthy,
}

impl Failover {
    /// So many URLs, all of them healthy.
    pub(super) fn new(urls: usize, prefer: Prefer) -> Self {
        let healthy = || Url {
            state: State::Healthy { failures: 0 },
            epoch: 0,
            last_failure: None,
            paused_until: None,
        };
        Self {
            urls: std::iter::repeat_with(healthy).take(urls).collect(),
            prefer,
            next: 0,
        }
    }

    /// The URL for an attempt that begins now.
    pub(super) fn choose(&mut self, now: Instant) -> Ticket {
        if let Some(url) = self.probe(now) {
            return self.ticket(url, true);
        }
        let count = self.urls.len();
        let first = match self.prefer {
            Prefer::First => 0,
            Prefer::Spread => self.next,
        };
        let in_turn = (0..count).map(|step| (first + step) % count);
        let healthy = in_turn.clone().find(|url| self.is_healthy(*url));
        let paused = |url: usize| self.urls[url].paused_until.filter(|until| *until > now);
        let longest_ago = || in_turn.min_by_key(|url| (paused(*url), self.urls[*url].last_failure));
        let url = healthy.or_else(longest_ago).unwrap_or_default();
        self.next = url + 1;
        self.ticket(url, false)
    }

    /// The attempt has ended.
    pub(super) fn settle(&mut self, ticket: &Ticket, sign: Sign, now: Instant) -> Option<Change> {
        let url = &mut self.urls[ticket.url];
        let is_current = ticket.epoch == url.epoch;
        if matches!(sign, Sign::Failed | Sign::Paused(_)) {
            url.last_failure = Some(now);
        }
        let (state, change) = match (sign, url.state) {
            (Sign::Paused(asked), State::Healthy { .. }) if is_current => {
                let state = url.pause(asked, FIRST_PAUSE, now);
                (state, Some(Change::Unhealthy))
            }
            (Sign::Paused(asked), State::Unhealthy { pause, .. }) if is_current => {
                let pause = (2 * pause).min(LONGEST_PAUSE);
                (url.pause(asked, pause, now), None)
            }
            (Sign::Answered, State::Healthy { .. }) => (State::Healthy { failures: 0 }, None),
            (Sign::Answered, State::Unhealthy { .. }) => {
                (State::Healthy { failures: 0 }, Some(Change::Healthy))
            }
            (Sign::Failed, State::Healthy { failures }) if is_current => {
                let failures = failures + 1;
                if failures < UNHEALTHY_AFTER {
                    (State::Healthy { failures }, None)
                } else {
                    (unhealthy(FIRST_PAUSE, now), Some(Change::Unhealthy))
                }
            }
            (Sign::Failed, State::Unhealthy { pause, .. }) if is_current && ticket.is_probe => {
                (unhealthy((2 * pause).min(LONGEST_PAUSE), now), None)
            }
            (Sign::Unknown, State::Unhealthy { pause, .. }) if is_current && ticket.is_probe => {
                (unhealthy(pause, now), None)
            }
            (Sign::Failed | Sign::Paused(_) | Sign::Unknown, state) => (state, None),
        };
        if sign == Sign::Answered {
            url.paused_until = None;
        }
        url.state = state;
        url.epoch += u64::from(change.is_some());
        change
    }

    /// Until when every URL asks for no calls; none if there is one that does not.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let paused = |url: &Url| url.paused_until.filter(|until| *until > now);
        let all: Option<Vec<Instant>> = self.urls.iter().map(paused).collect();
        all?.into_iter().min()
    }

    /// The URL whose probe is due, if there is a use for it: a healthy one to fall back on, that is not preferred.
    fn probe(&mut self, now: Instant) -> Option<usize> {
        let healthy = (0..self.urls.len()).find(|url| self.is_healthy(*url))?;
        let end = match self.prefer {
            Prefer::First => healthy,
            Prefer::Spread => self.urls.len(),
        };
        self.urls[..end].iter_mut().position(|url| {
            let State::Unhealthy {
                probe_at,
                is_probed,
                ..
            } = &mut url.state
            else {
                return false;
            };
            let due = !*is_probed && *probe_at <= now;
            *is_probed |= due;
            due
        })
    }

    fn ticket(&self, url: usize, is_probe: bool) -> Ticket {
        Ticket {
            url,
            epoch: self.urls[url].epoch,
            is_probe,
        }
    }

    fn is_healthy(&self, url: usize) -> bool {
        matches!(self.urls[url].state, State::Healthy { .. })
    }
}

impl Url {
    /// The state of a URL that asks for a pause; `pause` is what it gets at least.
    fn pause(&mut self, asked: Duration, pause: Duration, now: Instant) -> State {
        let until = now + asked.min(LONGEST_PAUSE);
        self.paused_until = self.paused_until.max(Some(until));
        State::Unhealthy {
            pause,
            probe_at: until.max(now + pause),
            is_probed: false,
        }
    }
}

fn unhealthy(pause: Duration, now: Instant) -> State {
    State::Unhealthy {
        pause,
        probe_at: now + pause,
        is_probed: false,
    }
}

#[cfg(test)]
mod tests;
