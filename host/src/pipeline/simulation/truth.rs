//! What the world knows of the records at one sink, in one incarnation.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::delivery::settings::DeliverySettings;

/// A sink, as the world sees it.
#[derive(Debug)]
pub(super) struct SinkTruth {
    /// By issued number.
    pub(super) fates: Vec<Option<Fate>>,
    /// In the order of arrival.
    pub(super) arrived: Vec<usize>,
    /// Records and bytes of memory in the last chunks that it was handed, the latest first.
    pub(super) chunks: VecDeque<(usize, usize)>,
    pub(super) in_flight: usize,
    pub(super) no_instance_until: Instant,
    /// Failures of `handle` since it last succeeded, and whether it has since: what happens in one moment may be seen in
    /// any order.
    pub(super) handler_run: u32,
    pub(super) handler_worked: Option<Instant>,
    /// A status or a plugin's failure allows it to stop.
    pub(super) may_halt: bool,
    /// It was told to pause, and acts by it.
    pub(super) paused: bool,
    /// The first event of the last result that left.
    pub(super) last_result: usize,
    /// The numbers that the engine reports of itself.
    pub(super) stats: std::sync::Arc<crate::metrics::SinkStats>,
}

/// An endpoint, as all of its sinks see it.
#[derive(Debug)]
pub(super) struct EndpointTruth {
    /// Its weather, and until when.
    pub(super) weather: (Weather, Instant),
    /// Since when no call may go, and until when, as `Retry-After` asks.
    pub(super) paused: Option<(Instant, Instant)>,
    /// Calls, by sink.
    pub(super) in_flight: Vec<usize>,
    pub(super) outage: OutageTruth,
}

impl EndpointTruth {
    pub(super) fn new(sinks: usize) -> Self {
        Self {
            weather: (Weather::Fine, Instant::now()),
            paused: None,
            in_flight: vec![0; sinks],
            outage: OutageTruth::default(),
        }
    }
}

/// What an endpoint has answered, as the rule of `on-outage` sees it.
#[derive(Debug, Default)]
pub(super) struct OutageTruth {
    pub(super) last_answer: Option<Instant>,
    pub(super) failures: u32,
    /// Since when it is down.
    pub(super) down_since: Option<Instant>,
    pub(super) probes: u32,
    pub(super) next_probe: Option<Instant>,
}

/// How an endpoint behaves for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    Mixed,
    Down,
    Throttling,
    Slow,
    Refusing,
}

impl SinkTruth {
    pub(super) fn new(events: usize) -> Self {
        let now = Instant::now();
        Self {
            fates: (0..events).map(|_| None).collect(),
            arrived: Vec::new(),
            chunks: VecDeque::new(),
            in_flight: 0,
            no_instance_until: now,
            handler_run: 0,
            handler_worked: None,
            may_halt: false,
            paused: false,
            last_result: 0,
            stats: std::sync::Arc::default(),
        }
    }

    /// A record comes to the sink.
    pub(super) fn arrive(&mut self, event: usize) {
        self.fates[event] = Some(Fate::new(self.arrived.len()));
        self.arrived.push(event);
    }
}

/// What has become of one record at one sink.
#[derive(Debug)]
pub(super) struct Fate {
    /// Its place in the order of arrival.
    pub(super) seq: usize,
    pub(super) state: State,
    /// Attempts made, and those that count against `retry.max-attempts`.
    pub(super) attempts: u32,
    pub(super) counted: u32,
    /// As `counted`, with those that are not counted if the plugin fails on everything.
    pub(super) counted_most: u32,
    /// Whether `timeout.total` holds: an attempt failed that was no outage's.
    pub(super) timed: bool,
    pub(super) first: Option<Instant>,
    /// The plugin has it before it, or a call that carries it is under way.
    pub(super) busy: bool,
    /// A later one went under `order`, as this one may have been given up on: it must have been.
    pub(super) passed_by: bool,
    /// The call that carried it last.
    pub(super) call: Option<usize>,
    /// The results that must be durable before it is settled.
    pub(super) owed: BTreeSet<usize>,
    pub(super) letter: Letter,
}

/// Whether a record has its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open(Why),
    Delivered,
    Dropped,
    /// It gets a dead letter, with this cause.
    Doomed(&'static str),
}

/// Why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was not attempted yet, or not judged.
    New,
    /// Its whole call is to be tried again.
    CallAgain,
    /// It alone is to be shaped and tried again.
    ShapeAgain,
    /// It is to be shaped again in a smaller batch.
    Halved,
    /// The plugin failed on the outcome of a call that carried nothing else.
    HandlerFailed,
    /// `shape` failed on it alone: it ends with this cause, or is held while the plugin fails on everything.
    ShapeFailed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    None,
    /// It is on its way to the egress.
    Sent,
    Durable,
}

impl Fate {
    fn new(seq: usize) -> Self {
        Self {
            seq,
            state: State::Open(Why::New),
            attempts: 0,
            counted: 0,
            counted_most: 0,
            timed: false,
            first: None,
            busy: false,
            passed_by: false,
            call: None,
            owed: BTreeSet::new(),
            letter: Letter::None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether its attempts are over: it must not be tried again.
    pub(super) fn is_spent(&self, settings: &DeliverySettings) -> bool {
        let tried = matches!(
            self.state,
            State::Open(Why::CallAgain | Why::ShapeAgain | Why::HandlerFailed)
        );
        tried
            && settings
                .retry
                .max_attempts
                .is_some_and(|max| self.counted >= max)
    }

    /// Whether its attempts may be over.
    pub(super) fn may_be_spent(&self, settings: &DeliverySettings) -> bool {
        let max = settings.retry.max_attempts;
        self.is_spent(settings)
            || matches!(
                self.state,
                State::Open(Why::CallAgain | Why::ShapeAgain | Why::HandlerFailed)
            ) && max.is_some_and(|max| self.counted_most >= max)
    }

    /// Whether its time may be over: what outages have taken of it is not known here.
    pub(super) fn may_be_late(&self, settings: &DeliverySettings) -> bool {
        let tried = matches!(
            self.state,
            State::Open(Why::CallAgain | Why::ShapeAgain | Why::HandlerFailed)
        );
        let elapsed = self.first.map_or(Duration::ZERO, |first| first.elapsed());
        tried
            && self.timed
            && settings.retry.max_attempts.is_some()
            && elapsed >= settings.timeout.total
    }

    /// Whether it may be given up on now.
    pub(super) fn may_give_up(&self, settings: &DeliverySettings) -> bool {
        matches!(self.state, State::Open(Why::ShapeFailed(_)))
            || self.may_be_spent(settings)
            || self.may_be_late(settings)
    }

    /// Whether its progress may be stored: it has an end, and what had to be written is durable.
    pub(super) fn is_settled(&self, settings: &DeliverySettings) -> bool {
        use crate::delivery::settings::OnGivenUp;
        let written = self.owed.is_empty();
        match self.state {
            State::Delivered | State::Dropped => written,
            State::Doomed(_) => written && self.letter == Letter::Durable,
            State::Open(Why::HandlerFailed) => {
                settings.on_plugin_error == OnGivenUp::Drop && self.may_give_up(settings)
            }
            State::Open(Why::ShapeFailed(_)) => settings.on_plugin_error == OnGivenUp::Drop,
            State::Open(_) => false,
        }
    }
}
