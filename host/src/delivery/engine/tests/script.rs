//! A scripted plugin and endpoint, and a sink that runs between them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{
    delivery::{
        DEFAULT, Endpoint, Endpoints, Feeder, Left, Queue, Rest, Sink, SinkEnd, Source, Sources,
        Way,
        control::Control,
        gate::{
            Gate,
            settings::{Concurrency, GateSettings},
        },
        run_on,
        settings::DeliverySettings,
    },
    egress::{EgressHandle, WriteRequest},
    event::{Arrival, Event, Position, Record, Ticket},
    http::{Request, Transport},
    metrics::SinkStats,
    network::{BaseUrl, HeaderRules},
    outcome::{Failure, Outcome, Response},
    plugin::{
        CurrentCall, Handled, Method, Plugin, PluginError, PluginVerdict, Shaped, ShapedBody,
        ShapedRequest, Slot,
    },
    progress::Ledger,
};

/// One attempt, as the endpoint saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Since the sink was started.
    pub(super) at: Duration,
    pub(super) body: String,
}

type Answers = Box<dyn Fn(&str, usize) -> (Duration, Outcome) + Send + Sync>;

/// Answers by body and by the number of times that this body came before.
pub(super) struct Script {
    answers: Answers,
    seen: Arc<Mutex<Vec<Seen>>>,
    started: Instant,
}

impl Transport for Script {
    async fn send(&self, request: Request) -> Outcome {
        let body =
            String::from_utf8(request.body.unwrap_or_default().to_vec()).expect("tests send text");
        let (wait, outcome) = {
            let mut seen = self.seen.lock().expect("no panic");
            let before = seen.iter().filter(|seen| seen.body == body).count();
            seen.push(Seen {
                at: self.started.elapsed(),
                body: body.clone(),
            });
            (self.answers)(&body, before)
        };
        tokio::time::sleep(wait).await;
        outcome
    }
}

type Shape = Box<dyn Fn(&[Arc<Event>]) -> Result<Shaped, PluginError> + Send + Sync>;
type Handle = Box<dyn Fn(&CurrentCall, &Outcome) -> Result<Handled, PluginError> + Send + Sync>;

pub(super) struct ScriptedPlugin {
    pub(super) shape: Shape,
    pub(super) handle: Option<Handle>,
}

impl Plugin for ScriptedPlugin {
    async fn shape(&self, events: &[Arc<Event>]) -> Result<Shaped, PluginError> {
        (self.shape)(events)
    }

    fn handles(&self) -> bool {
        self.handle.is_some()
    }

    async fn handle(&self, call: CurrentCall, outcome: Outcome) -> Result<Handled, PluginError> {
        (self.handle.as_ref().expect("it handles"))(&call, &outcome)
    }
}

pub(super) fn joined(events: impl IntoIterator<Item = u32>) -> ShapedRequest {
    ShapedRequest {
        method: Method::Post,
        endpoint: None,
        target: String::new(),
        headers: Vec::new(),
        body: ShapedBody::Joined {
            prefix: Bytes::new(),
            separator: Bytes::from_static(b","),
            suffix: Bytes::new(),
        },
        events: events.into_iter().collect(),
    }
}

pub(super) fn requests(requests: Vec<ShapedRequest>) -> Shaped {
    Shaped {
        requests,
        ..Shaped::default()
    }
}

/// A call a batch.
pub(super) fn whole() -> ScriptedPlugin {
    let shape = |events: &[Arc<Event>]| Ok(requests(vec![joined(0..events.len() as u32)]));
    ScriptedPlugin {
        shape: Box::new(shape),
        handle: None,
    }
}

/// A call a record.
pub(super) fn single() -> ScriptedPlugin {
    let shape = |events: &[Arc<Event>]| {
        Ok(requests(
            (0..events.len() as u32)
                .map(|index| joined([index]))
                .collect(),
        ))
    };
    ScriptedPlugin {
        shape: Box::new(shape),
        handle: None,
    }
}

pub(super) fn by_status(results: Vec<Record>) -> Result<Handled, PluginError> {
    Ok(Handled {
        verdict: PluginVerdict::ByStatus,
        results,
    })
}

pub(super) fn status(status: u16) -> Outcome {
    answer(status, HeaderMap::new(), "")
}

pub(super) fn answer(status: u16, headers: HeaderMap, body: &'static str) -> Outcome {
    Ok(Response {
        status,
        headers,
        body: Bytes::from_static(body.as_bytes()),
        truncated: false,
    })
}

pub(super) fn refused() -> Outcome {
    Err(Failure::Connect("connection refused".to_owned()))
}

/// A sink that runs.
pub(super) struct Running {
    pub(super) control: Control,
    pub(super) stats: Arc<SinkStats>,
    pub(super) ledger: Arc<Ledger>,
    /// What feeds it; none when nothing more comes.
    pub(super) feeder: Option<Feeder>,
    pub(super) letters: Arc<Mutex<Vec<Value>>>,
    pub(super) results: Arc<Mutex<Vec<String>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<SinkEnd>,
    left: Arc<Mutex<Option<Rest>>>,
    /// While it is set, no letter is written.
    stuck: Arc<AtomicBool>,
    next: u64,
}

/// A sink whose endpoint is given all that `in-flight` allows.
pub(super) fn start(
    settings: DeliverySettings,
    plugin: ScriptedPlugin,
    answers: impl Fn(&str, usize) -> (Duration, Outcome) + Send + Sync + 'static,
) -> Running {
    let gate = GateSettings {
        concurrency: Concurrency::Fixed,
        ..GateSettings::default()
    };
    let gate = Gate::new(&gate, [&settings], Instant::now());
    start_at(&gate, settings, plugin, answers)
}

/// A sink of the endpoint behind `gate`.
pub(super) fn start_at(
    gate: &Gate,
    settings: DeliverySettings,
    plugin: ScriptedPlugin,
    answers: impl Fn(&str, usize) -> (Duration, Outcome) + Send + Sync + 'static,
) -> Running {
    let seen = Arc::new(Mutex::default());
    let script = Script {
        answers: Box::new(answers),
        seen: Arc::clone(&seen),
        started: Instant::now(),
    };
    let mut running = start_over(gate, settings, plugin, script);
    running.seen = seen;
    running
}

/// The same over any transport, whose attempts are not noted.
pub(super) fn start_over(
    gate: &Gate,
    settings: DeliverySettings,
    plugin: impl Plugin,
    transport: impl Transport,
) -> Running {
    let endpoint = (DEFAULT, gate.clone(), transport);
    start_to([endpoint], settings, Slot::new(plugin))
}

/// The same with several endpoints, by name.
pub(super) fn start_to<T: Transport>(
    endpoints: impl IntoIterator<Item = (&'static str, Gate, T)>,
    settings: DeliverySettings,
    plugin: Arc<Slot<impl Plugin>>,
) -> Running {
    let (mut named, mut ways) = (Vec::new(), Vec::new());
    for (name, gate, transport) in endpoints {
        let url = format!("http://{name}.test/");
        let endpoint = Endpoint {
            base: BaseUrl::new(&url.parse().expect("a URL")).expect("a base"),
            headers: HeaderRules::default(),
            compression: None,
            call_ids: vec![HeaderName::from_static("idempotency-key")],
            attempt_header: Some(HeaderName::from_static("x-attempt")),
        };
        named.push((name.into(), endpoint));
        ways.push(Way {
            transport,
            gate,
            tracer: Default::default(),
        });
    }
    let (dead_letters, letters_queue) = EgressHandle::channel(4);
    let (results, results_queue) = EgressHandle::channel(4);
    let ledger = Arc::new(Ledger::default());
    let stats = Arc::new(SinkStats::default());
    let (control, controlled) = Control::new();
    let sink = Sink {
        id: "t/sink".into(),
        settings,
        endpoints: Endpoints::new(named),
        ways,
        plugin,
        shape_slots: 2,
        results: Some(results),
        dead_letters,
        sources: Sources::from(vec![Source {
            id: "t/in".into(),
            ledger: Arc::clone(&ledger),
            relays: false,
        }]),
        stats: Arc::clone(&stats),
        tracer: Default::default(),
        control: controlled,
        tap: Default::default(),
    };
    let (queue, intake) = Queue::open();
    let left = Arc::new(Mutex::new(None));
    let leaves = Arc::clone(&left);
    let running = async move {
        match run_on(sink, Rest::of(intake)).await {
            Left::Ended(end) => end,
            Left::HandedOver(rest) => {
                *leaves.lock().expect("no panic") = Some(rest);
                SinkEnd::Done
            }
        }
    };
    let stuck = Arc::new(AtomicBool::new(false));
    Running {
        control,
        stats,
        ledger,
        feeder: Some(queue.feeder()),
        letters: collect(letters_queue, Arc::clone(&stuck), |data| {
            serde_json::from_slice(data).expect("a letter is JSON")
        }),
        results: collect(results_queue, Arc::default(), |data| {
            String::from_utf8_lossy(data).into_owned()
        }),
        seen: Arc::default(),
        task: tokio::spawn(running),
        left,
        stuck,
        next: 0,
    }
}

/// An egress in memory.
fn collect<R: Send + 'static>(
    mut queue: mpsc::Receiver<WriteRequest>,
    stuck: Arc<AtomicBool>,
    read: fn(&[u8]) -> R,
) -> Arc<Mutex<Vec<R>>> {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&records);
    tokio::spawn(async move {
        while let Some(request) = queue.recv().await {
            while stuck.load(SeqCst) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            sink.lock()
                .expect("no panic")
                .extend(request.records.iter().map(|record| read(&record.data)));
            // A sink that was cut off waits no more.
            if request.done.send(()).is_err() {
                continue;
            }
        }
    });
    records
}

/// How far each partition is settled.
pub(super) fn positions(ledger: &Ledger) -> Vec<Position> {
    let advanced = ledger.advanced().into_iter();
    advanced.map(|advanced| advanced.position).collect()
}

impl Running {
    /// Sends events; `key:data` has a key.
    pub(super) async fn send<'a>(&mut self, records: impl IntoIterator<Item = &'a str>) {
        let records: Vec<&str> = records.into_iter().collect();
        let first = self.next;
        let positions = (first..).map(|n| (0, Position::Count(n + 1)));
        let ordinals = self.ledger.begin(positions.take(records.len()), 1);
        let arrival = |(record, ordinal): (&str, u64)| {
            let (key, data) = match record.split_once(':') {
                Some((key, data)) => (Some(key.into()), data),
                None => (None, record),
            };
            let event = Event {
                id: format!("t/in:{ordinal}").into(),
                key,
                timestamp_ms: 0,
                attributes: Vec::new(),
                data: Bytes::copy_from_slice(data.as_bytes()),
            };
            Arrival {
                event: Arc::new(event),
                ticket: Ticket {
                    ingress: 0,
                    partition: 0,
                    ordinal,
                },
            }
        };
        self.next += records.len() as u64;
        let arrivals = records.into_iter().zip(ordinals).map(arrival).collect();
        let feeder = self.feeder.as_ref().expect("more comes");
        let place = feeder.place().await.expect("the sink runs");
        place.put(arrivals);
    }

    /// What the endpoint has seen so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// No letter is written any more.
    pub(super) fn stop_letters(&self) {
        self.stuck.store(true, SeqCst);
    }

    /// What waits is written, and what comes.
    pub(super) fn go_on_with_letters(&self) {
        self.stuck.store(false, SeqCst);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end, which does not come by the intake; gives what was handed over, too.
    pub(super) async fn left(mut self) -> (Finished, Option<Rest>) {
        let end = (&mut self.task).await.expect("no panic");
        self.task = tokio::spawn(async { end });
        let left = Arc::clone(&self.left);
        let finished = self.finish().await;
        let rest = left.lock().expect("no panic").take();
        (finished, rest)
    }

    /// Ends the intake, waits for the end, and gives what came of it.
    pub(super) async fn finish(self) -> Finished {
        drop(self.feeder);
        let end = self.task.await.expect("no panic");
        let seen = self.seen.lock().expect("no panic").clone();
        let letters = self.letters.lock().expect("no panic").clone();
        let results = self.results.lock().expect("no panic").clone();
        Finished {
            end,
            seen,
            letters,
            results,
            stats: self.stats,
            ledger: self.ledger,
        }
    }
}

pub(super) struct Finished {
    pub(super) end: SinkEnd,
    pub(super) seen: Vec<Seen>,
    pub(super) letters: Vec<Value>,
    pub(super) results: Vec<String>,
    pub(super) stats: Arc<SinkStats>,
    pub(super) ledger: Arc<Ledger>,
}

impl Finished {
    pub(super) fn bodies(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.body.as_str()).collect()
    }

    /// The cause and data of each dead letter.
    pub(super) fn dead(&self) -> Vec<(&str, &str)> {
        let text = |value: &Value| -> &str {
            value.as_str().map_or("", |text| Box::leak(Box::from(text)))
        };
        self.letters
            .iter()
            .map(|letter| (text(&letter["cause"]), text(&letter["event"]["data"])))
            .collect()
    }

    /// delivered, dropped, dead-lettered
    pub(super) fn ends(&self) -> (u64, u64, u64) {
        (
            self.stats.delivered.get(),
            self.stats.dropped.get(),
            self.stats.dead_lettered.get(),
        )
    }
}
