//! One life of the pipeline: wired from the real parts, run, and ended as planned.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    outside::{Drain, Guest, Memory, Wire},
    plan::Ending,
    source::Source as Scripted,
    steering::steer,
    world::{Shared, World},
};
use crate::{
    delivery::{
        self, DEFAULT, Endpoint, Endpoints, Sink, SinkEnd, Source, Way, control::Control,
        gate::Gate,
    },
    egress::{self, EgressHandle},
    metrics::IngressStats,
    network::{BaseUrl, HeaderRules},
    pipeline::{
        IngressView, Running, SinkView,
        egresses::Writers,
        progress,
        pump::{Route, Unrouted, pump},
        reload::Reloads,
        summary::Summary,
    },
    plugin::Slot,
    progress::Ledger,
    router::{Condition, Router, Rule, Test},
    shutdown::Shutdown,
};

/// An incarnation that lasts longer has a part that waits for what never comes.
const LIFE: Duration = Duration::from_secs(4 * 3600);

/// What a host may take for its last writes and its last progress.
const LAST_WRITES: Duration = Duration::from_secs(60);

/// How an incarnation came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything that the sources have is settled and stored.
    Clean,
    /// It has crashed, or stopped early: the next one goes on.
    Early,
}

/// Runs one incarnation on a runtime of its own, under a paused clock.
pub(super) fn live(world: &Shared, ending: Option<Ending>, fault_free: bool) -> End {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let end = runtime.block_on(life(world, ending, fault_free));
    world.lock().gone = true;
    drop(runtime);
    end
}

async fn life(world: &Shared, ending: Option<Ending>, fault_free: bool) -> End {
    let violated = {
        let mut world = world.lock();
        world.begin(ending, fault_free);
        world.show_plan();
        world.note(format_args!("begins: {ending:?}, fault-free: {fault_free}"));
        Arc::clone(&world.violated)
    };
    let shutdown = Shutdown::default();
    let running = start(world);
    let controls = running.sinks.iter().map(|sink| sink.control.clone());
    let controls = controls.collect();
    let summary = tokio::select! {
        biased;
        () = violated.notified() => return End::Early,
        summary = running.finish(&shutdown) => summary,
        () = strike(world, ending, &shutdown) => {
            let mut world = world.lock();
            world.note(format_args!("crash"));
            world.seen.count("incarnation: crash");
            return End::Early;
        }
        () = steer(world, controls) => unreachable!("it steers for as long as there is something to steer"),
        () = sleep(LIFE) => {
            let mut world = world.lock();
            world.fail("LIVE", format!("it has not ended after {LIFE:?}"));
            return End::Early;
        }
    };
    judge(world, &summary, &shutdown)
}

/// Ends only if the plan is to crash.
async fn strike(world: &Shared, ending: Option<Ending>, shutdown: &Shutdown) {
    match ending {
        Some(Ending::Crash { at }) => return sleep(at).await,
        Some(Ending::Stop { at, again, .. }) => {
            sleep(at).await;
            {
                let mut world = world.lock();
                world.stopped = Some(Instant::now());
                world.sinks.iter_mut().for_each(|sink| sink.paused = false);
            }
            shutdown.drain.cancel();
            if let Some(again) = again {
                sleep(again).await;
                world.lock().stopped_again = Some(Instant::now());
                shutdown.now.cancel();
            }
        }
        None => {}
    }
    std::future::pending().await
}

fn judge(world: &Shared, summary: &Summary, shutdown: &Shutdown) -> End {
    let mut world = world.lock();
    let failures = &summary.failures;
    for (sink, reason) in &failures.halted {
        let truth = sink
            .strip_prefix("sim/sink")
            .and_then(|sink| sink.parse::<usize>().ok())
            .and_then(|sink| world.sinks.get(sink));
        if truth.is_none_or(|truth| !truth.may_halt) {
            let what = format!("sink `{sink}` has halted: {}", without_task(reason));
            world.fail(word(reason), what);
        }
        world.seen.count("incarnation: halt");
    }
    for reason in &failures.broken {
        world.fail(word(reason), without_task(reason).to_owned());
    }
    // Whatever else a store meets passes.
    for (failed, is_planned) in [
        (failures.source.is_some(), world.source_failed),
        (failures.store.is_some(), world.taken_over),
    ] {
        if failed && !is_planned {
            world.fail("ENDED", format!("it has ended by itself: {failures:?}"));
        }
    }
    if failures.source.is_some() || failures.store.is_some() || !failures.halted.is_empty() {
        return End::Early;
    }
    hold_against_patience(&mut world, summary.unsettled);
    if shutdown.drain.is_cancelled() {
        let unsettled = summary.unsettled;
        world.note(format_args!("stopped, {unsettled} unsettled"));
        world.seen.count(if unsettled == 0 {
            "incarnation: drained"
        } else {
            "incarnation: out of patience"
        });
        return End::Early;
    }
    if !world.kept {
        // What was delivered since the progress before is delivered again.
        world.seen.count("incarnation: last progress not stored");
        return End::Early;
    }
    if summary.unsettled > 0 {
        let what = format!("{} events are unsettled at the end", summary.unsettled);
        world.fail("LOST", what);
    }
    world.seen.count("incarnation: end of the sources");
    End::Clean
}

/// Told to stop, it uses its time to settle what it has, and no more than that.
fn hold_against_patience(world: &mut World, unsettled: usize) {
    let Some(stopped) = world.stopped else { return };
    let (took, grace) = (stopped.elapsed(), world.grace);
    if unsettled > 0 && took < grace && world.stopped_again.is_none() && !world.pauses {
        let what = format!("it gave up {unsettled} events after {took:?} of {grace:?}");
        world.fail("ENDED", what);
    }
    let over = match world.stopped_again {
        Some(again) => again.elapsed(),
        None => took.saturating_sub(grace),
    };
    if over > LAST_WRITES {
        world.fail("LIVE", format!("it has not ended {over:?} after it should"));
    }
}

fn word(reason: &str) -> &'static str {
    match reason.contains("twice") {
        true => "TWO ENDS",
        false => "PANIC",
    }
}

/// Without the number of the task that panicked, which is another one in each run.
fn without_task(reason: &str) -> &str {
    reason
        .split_once("panicked")
        .map_or(reason, |(_, what)| what)
}

/// Wires the real parts together, as `pipeline::start` does.
fn start(world: &Shared) -> Running {
    let (plan, grace) = {
        let world = world.lock();
        (world.plan.clone(), world.grace)
    };
    let egress_stop = CancellationToken::new();
    let mut egress_tasks = JoinSet::new();
    let mut egress = |egress: usize, limit| {
        let (handle, queue) = EgressHandle::channel(plan.egress_depth);
        let drain = Drain {
            world: world.clone(),
            egress,
        };
        let id = format!("sim/out{egress}");
        egress_tasks.spawn(egress::task::run(
            id,
            drain,
            queue,
            egress_stop.clone(),
            Arc::default(),
        ));
        handle.limited(limit)
    };
    let results = egress(0, plan.result_limit);
    let mut letters = egress(1, plan.letter_limit);
    if plan.letter_limit.is_some() {
        letters = letters.with_overflow(egress(2, None));
    }
    let sources: Vec<Source> = (0..plan.ingresses.len())
        .map(|ingress| Source {
            id: format!("sim/in{ingress}").into(),
            ledger: Arc::new(Ledger::default()),
            relays: false,
        })
        .collect();

    let gates: Vec<Gate> = plan
        .endpoints
        .iter()
        .enumerate()
        .map(|(number, gate)| {
            let users = plan.sinks.iter();
            let users = users.filter(|sink| sink.endpoints.contains(&number));
            Gate::new(gate, users.map(|sink| &sink.settings), Instant::now())
        })
        .collect();
    let mut sink_tasks = JoinSet::new();
    let (mut views, mut queues) = (Vec::new(), Vec::new());
    for (number, of) in plan.sinks.iter().enumerate() {
        let id: Arc<str> = format!("sim/sink{number}").into();
        let stats = Arc::clone(&world.lock().sinks[number].stats);
        let (control, controlled) = Control::new();
        let way = |endpoint: &usize| Way {
            transport: Wire {
                world: world.clone(),
                sink: number,
                endpoint: *endpoint,
            },
            gate: gates[*endpoint].clone(),
            tracer: Default::default(),
        };
        let sink = Sink {
            id: Arc::clone(&id),
            settings: of.settings.clone(),
            endpoints: Endpoints::new(of.endpoints.iter().enumerate().map(named)),
            ways: of.endpoints.iter().map(way).collect(),
            plugin: Slot::new(Guest {
                world: world.clone(),
                sink: number,
                handles: of.handles,
            }),
            shape_slots: of.shape_slots,
            results: of.results.then(|| results.clone()),
            dead_letters: letters.clone(),
            sources: sources.clone().into(),
            stats: Arc::clone(&stats),
            tracer: Default::default(),
            control: controlled,
            tap: Default::default(),
        };
        let (queue, intake) = delivery::Queue::open();
        queues.push(queue);
        views.push(SinkView {
            id: Arc::clone(&id),
            stats,
            plugin: Arc::default(),
            swaps: None,
            records: None,
            control,
        });
        let world = world.clone();
        sink_tasks.spawn(async move {
            let end = delivery::run(sink, intake).await;
            if end == SinkEnd::Done {
                world.lock().sink_is_done(number);
            }
            (id, end)
        });
    }

    let intake = CancellationToken::new();
    let mut ingress_tasks = JoinSet::new();
    let mut ingresses = Vec::new();
    for (number, (of, source)) in plan.ingresses.iter().zip(&sources).enumerate() {
        let buffers = of
            .to
            .iter()
            .map(|sink| plan.sinks[*sink].settings.buffer.max_records);
        let stats = Arc::new(IngressStats::default());
        let route = Route {
            ingress: u16::try_from(number).expect("a few ingresses"),
            ledger: Arc::clone(&source.ledger),
            counts: false,
            capacity: buffers.min().unwrap_or(1),
            sinks: of.to.iter().map(|sink| queues[*sink].feeder()).collect(),
            router: router(of.to.len(), (number + plan.egress_depth) % 2 == 1),
            unrouted: Unrouted::Drop,
            stats: Arc::clone(&stats),
        };
        ingresses.push(IngressView {
            id: Arc::clone(&source.id),
            counted: stats,
            ledger: Arc::clone(&source.ledger),
        });
        let pumping = pump(Scripted::new(world.clone(), number), route, intake.clone());
        ingress_tasks.spawn(async move { pumping.await.map(drop) });
    }
    let last_progress = CancellationToken::new();
    let store = Memory {
        world: world.clone(),
    };
    let progress = tokio::spawn(progress::keep(
        Arc::new(tokio::sync::Mutex::new(store)),
        Arc::new(Mutex::new(sources.clone())),
        plan.progress_interval,
        last_progress.clone(),
        Arc::default(),
    ));
    Running {
        ingresses,
        sinks: views,
        progress_stats: Arc::default(),
        trace_stats: Arc::default(),
        traces: None,
        sources,
        ingress_tasks,
        sink_tasks,
        leaving_tasks: JoinSet::new(),
        progress: Some(progress),
        intake,
        failed: CancellationToken::new(),
        last_progress,
        writers: Writers::of(egress_tasks, egress_stop),
        grace,
        held: None,
        plugin_tasks: JoinSet::new(),
        gone: Vec::new(),
        live: None,
        reloads: Reloads::default(),
    }
}

/// An endpoint, by the name that it has in its sink.
fn named((place, number): (usize, &usize)) -> (Arc<str>, Endpoint) {
    let name = match place {
        0 => DEFAULT.into(),
        _ => format!("e{number}").into(),
    };
    let url = format!("http://e{number}.test/");
    let endpoint = Endpoint {
        base: BaseUrl::new(&url.parse().expect("a URL")).expect("a base"),
        headers: HeaderRules::default(),
        compression: None,
        call_ids: Vec::new(),
        attempt_header: None,
    };
    (name, endpoint)
}

/// To every sink; asked of each event where there is a condition, which all of them meet.
fn router(sinks: usize, conditional: bool) -> Router {
    if !conditional {
        return Router::to_all(sinks);
    }
    let of_no_event = Condition::Key(Test::Equals("of no event".to_owned()));
    let rule = |sink| Rule {
        to: vec![sink],
        when: Some(Condition::Not(Box::new(of_no_event.clone()))),
    };
    Router::new((0..sinks).map(rule).collect(), sinks)
}
