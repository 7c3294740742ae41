//! What a seed picks before a run: the records, where they go, and what becomes of each incarnation.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;

use super::settings;
use crate::{
    delivery::{gate::settings::GateSettings, settings::DeliverySettings},
    event::Event,
};

/// Everything that is fixed before a run begins.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) issued: Vec<Issued>,
    pub(super) ingresses: Vec<IngressPlan>,
    pub(super) sinks: Vec<SinkPlan>,
    pub(super) endpoints: Vec<GateSettings>,
    /// Requests that may wait in front of an egress.
    pub(super) egress_depth: usize,
    /// The largest record that the egress of dead letters takes; what is larger goes to a second one.
    pub(super) letter_limit: Option<usize>,
    /// The largest result that the egress of results takes.
    pub(super) result_limit: Option<usize>,
    pub(super) progress_interval: Duration,
    /// How the incarnations before the last one end.
    pub(super) endings: Vec<Ending>,
    /// The time to finish of an incarnation that nobody stops, if a sink halts.
    pub(super) grace: Duration,
    /// Faults stop so long after each start.
    pub(super) calm_after: Duration,
    /// Faults in a hundred, where one may be.
    pub(super) trouble: u32,
}

/// A record as it was issued: the truth that everything is held against.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) ingress: usize,
    pub(super) event: Event,
}

#[derive(Debug, Clone)]
pub(super) struct IngressPlan {
    /// The numbers of the issued records, in the order of each partition.
    pub(super) partitions: Vec<Vec<usize>>,
    /// The sinks that every record goes to.
    pub(super) to: Vec<usize>,
    /// Whether a partition that has been read says so with a position of its own.
    pub(super) says_end: bool,
    /// The longest wait before a read, in milliseconds.
    pub(super) pace: u64,
}

#[derive(Debug, Clone)]
pub(super) struct SinkPlan {
    pub(super) settings: DeliverySettings,
    /// The default one first; the plugin knows the others by their numbers.
    pub(super) endpoints: Vec<usize>,
    pub(super) shape_slots: usize,
    pub(super) manner: Manner,
    /// Whether the plugin judges responses, and whether its results go anywhere.
    pub(super) handles: bool,
    pub(super) results: bool,
    /// Records in a thousand that the plugin always fails on.
    pub(super) cursed: u64,
    /// The longest a `shape` or `handle` takes, in milliseconds.
    pub(super) plugin_ms: u64,
}

/// How a plugin cuts a batch into calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Whole,
    Single,
    /// Runs of about so many records.
    Runs(usize),
    /// Over some calls at random, each key's records in their order.
    Mixed(usize),
    /// In any order, in any number of calls: only where no order is promised.
    Shuffled,
}

/// How an incarnation ends, if its source does not end before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// Everything is dropped at once.
    Crash { at: Duration },
    /// Told to stop, with so much time to finish; and perhaps told again.
    Stop {
        at: Duration,
        grace: Duration,
        again: Option<Duration>,
    },
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

impl Plan {
    pub(super) fn of(rng: &mut Rng) -> Self {
        let mut sinks: Vec<SinkPlan> = (0..rng.usize(1..4)).map(|_| settings::sink(rng)).collect();
        let endpoints = endpoints(rng, &mut sinks);
        let (ingresses, issued) = records(rng, &sinks);
        let endings = (0..rng.usize(0..4)).map(|_| ending(rng)).collect();
        Self {
            issued,
            ingresses,
            sinks,
            endpoints,
            egress_depth: rng.usize(1..6),
            letter_limit: rng.bool().then(|| rng.usize(300..900)),
            result_limit: rng.bool().then(|| rng.usize(40..120)),
            progress_interval: millis(rng, 20..2000),
            endings,
            grace: grace(rng),
            calm_after: Duration::from_secs(rng.u64(2..120)),
            trouble: [0, 3, 10, 30, 60][rng.usize(0..5)],
        }
    }

    pub(super) fn data(&self, event: usize) -> &Bytes {
        &self.issued[event].event.data
    }

    /// How many ingresses lead to a sink, and nothing else does here: each has a place in its queue.
    pub(super) fn feeders(&self, sink: usize) -> usize {
        let ingresses = self.ingresses.iter();
        let to = ingresses.filter(|ingress| ingress.to.contains(&sink));
        to.count().max(1)
    }

    /// Whether several sinks send to an endpoint.
    pub(super) fn is_shared(&self, endpoint: usize) -> bool {
        let users = self
            .sinks
            .iter()
            .filter(|sink| sink.endpoints.contains(&endpoint));
        users.count() > 1
    }

    /// Where reading a partition goes, and how many sinks each of its records has.
    pub(super) fn routed(&self, ingress: usize, sink: usize) -> bool {
        self.ingresses[ingress].to.contains(&sink)
    }
}

/// Each sink has an endpoint of its own, or one of another sink; and perhaps a second one, which its plugin may name.
fn endpoints(rng: &mut Rng, sinks: &mut [SinkPlan]) -> Vec<GateSettings> {
    let mut all = Vec::new();
    for sink in sinks {
        for _ in 0..[1, 1, 2][rng.usize(0..3)] {
            let other = rng.usize(0..=2 * all.len());
            if other < all.len() && !sink.endpoints.contains(&other) {
                sink.endpoints.push(other);
            } else {
                sink.endpoints.push(all.len());
                all.push(settings::gate(rng));
            }
        }
    }
    all
}

fn ending(rng: &mut Rng) -> Ending {
    // Most runs take some seconds: an end within them hits what is under way.
    let at = match rng.u8(0..3) {
        0 => millis(rng, 0..500),
        1 => millis(rng, 0..5_000),
        _ => millis(rng, 0..60_000),
    };
    if rng.u8(0..3) < 2 {
        return Ending::Crash { at };
    }
    let grace = grace(rng);
    let again = (rng.u8(0..4) == 0).then(|| millis(rng, 0..4_000));
    Ending::Stop { at, grace, again }
}

fn grace(rng: &mut Rng) -> Duration {
    match rng.bool() {
        true => millis(rng, 0..3_000),
        false => Duration::from_secs(600),
    }
}

fn records(rng: &mut Rng, sinks: &[SinkPlan]) -> (Vec<IngressPlan>, Vec<Issued>) {
    let (mut ingresses, mut issued) = (Vec::new(), Vec::new());
    let keys = rng.usize(1..8);
    for ingress in 0..rng.usize(1..4) {
        let mut to: Vec<usize> = (0..sinks.len()).filter(|_| rng.u8(0..3) > 0).collect();
        if to.is_empty() && rng.u8(0..8) > 0 {
            to.push(rng.usize(0..sinks.len()));
        }
        // Sinks in one order here and in another one there.
        rng.shuffle(&mut to);
        let mut partitions = Vec::new();
        for partition in 0..rng.usize(1..5) {
            let mut own = Vec::new();
            for _ in 0..rng.usize(0..40) {
                own.push(issued.len());
                let event = event(rng, issued.len(), ingress, partition, keys, sinks);
                issued.push(Issued { ingress, event });
            }
            partitions.push(own);
        }
        ingresses.push(IngressPlan {
            partitions,
            to,
            says_end: rng.bool(),
            pace: [0, 5, 50, 300][rng.usize(0..4)],
        });
    }
    (ingresses, issued)
}

fn event(
    rng: &mut Rng,
    number: usize,
    ingress: usize,
    partition: usize,
    keys: usize,
    sinks: &[SinkPlan],
) -> Event {
    let settings = &sinks[rng.usize(0..sinks.len())].settings;
    let (batch, buffer) = (settings.batch.max_bytes, settings.buffer.max_bytes);
    let size = match rng.u8(0..20) {
        0 => 0,
        1 => 1,
        2 => batch - 1,
        3 => batch,
        4 if rng.bool() => batch + 1,
        5 => batch / 4,
        6 => batch / 2,
        7 if rng.u8(0..4) == 0 => buffer,
        _ => rng.usize(4..40),
    };
    // Distinct where there is room for it, and sometimes no text.
    let text = rng.u8(0..4) > 0;
    let mark = format!("{number}:");
    let data: Vec<u8> = mark
        .bytes()
        .chain((0..).map(|n: u32| {
            if text {
                b'a' + (n % 26) as u8
            } else {
                0x80 | n as u8
            }
        }))
        .take(size)
        .collect();
    let key = match rng.u8(0..5) {
        0 => None,
        _ => Some(format!("k{}", rng.usize(0..keys)).into()),
    };
    Event {
        id: format!("sim/in{ingress}/p{partition}:{number}").into(),
        key,
        timestamp_ms: number as u64,
        attributes: if rng.bool() {
            vec![("n".into(), number.to_string().into())]
        } else {
            Vec::new()
        },
        data: data.into(),
    }
}
