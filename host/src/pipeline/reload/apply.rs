//! The change itself: stop, hand over, begin.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    prepare::{Plugin, Prepared},
    retire::{Leaves, retire, store_last, write_off},
    wires::{is_fed_anew, keeps_egresses, letters_depth, stays, without_sink_letters},
};
use crate::{
    admin::{Reloaded, SinkView},
    config::{IngressChange, Module, SinkChange, SinkConfig},
    delivery::{Rest, SinkEnd, control::Mode},
    egress::EgressHandle,
    fail_point::FailPoint,
    ingress::AnyIngress,
    pipeline::{
        Running, StartError,
        egresses::{Key, open_egress},
        endpoints::fit_endpoints,
        live::{Begin, LiveIngress, LiveSink, OpenIngress, Wiring, attend},
        start::{Claim, begin_source, open_ingress},
    },
    progress::Ledger,
};

/// How long an egress that goes may take to write what it was given.
const EGRESS_PATIENCE: Duration = Duration::from_secs(5);

/// An ingress that does not read now, by its old place.
struct Stopped {
    live: LiveIngress,
    /// None if it has come to its end.
    ingress: Option<AnyIngress>,
}

impl Running {
    /// Makes of what runs what was prepared; `hurry` when the host is to stop meanwhile.
    ///
    /// # Errors
    /// A part that could be opened a moment ago and cannot any more: what runs is incomplete then, and is to be stopped.
    ///
    /// # Cancel safety
    /// What runs is incomplete then. Nothing is lost: what is unsettled comes again from stored progress.
    pub(in crate::pipeline) async fn apply(
        &mut self,
        prepared: Prepared,
        hurry: &CancellationToken,
    ) -> Result<Reloaded, StartError> {
        let changed = self.change(prepared, hurry).await;
        match changed {
            Ok(_) => self.show(),
            Err(_) => self.show_begun(),
        }
        while self.plugin_tasks.try_join_next().is_some() {}
        changed
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one sequence, whose order is what matters"
    )]
    async fn change(
        &mut self,
        prepared: Prepared,
        hurry: &CancellationToken,
    ) -> Result<Reloaded, StartError> {
        let Self {
            live: Some(live),
            grace,
            writers,
            sink_tasks,
            ingress_tasks,
            plugin_tasks,
            intake,
            gone,
            ..
        } = self
        else {
            return Ok(Reloaded::default());
        };
        let grace = *grace;
        let Prepared {
            module,
            changes,
            plugins,
            endpoints,
            egresses: mut opened,
            reloaded,
        } = prepared;
        let old = Arc::clone(&live.module);

        // Before any ingress stops: a sink ends when nobody has its queue.
        let mut sinks: Vec<Option<LiveSink>> = live.sinks.drain(..).map(Some).collect();
        let (mut queues, mut fresh) = (Vec::new(), Vec::new());
        for (place, change) in changes.sinks.iter().enumerate() {
            let before = change.before().and_then(|place| sinks[place].as_ref());
            let queue = before.and_then(|sink| sink.queue.upgrade());
            let open = queue.filter(|queue| !queue.is_closed());
            let is_kept = matches!(change, SinkChange::Kept(_));
            // There is none, or it has ended with its last ingress: then it is needed only for another one.
            let (queue, intake) = mpsc::channel(1);
            let is_new = open.is_none() && (!is_kept || is_fed_anew(place, &module, &changes));
            queues.push(open.unwrap_or(queue));
            fresh.push(is_new.then_some(intake));
        }

        // What is written on to stays open although nobody writes for a moment.
        let held = writers.hold(|key| stays(key, &module, &changes.egresses));

        // Ingresses stop whose events go elsewhere, or that are read otherwise.
        let mut read: Vec<Option<LiveIngress>> = live.ingresses.drain(..).map(Some).collect();
        let stops = changes.ingresses.iter().filter_map(|change| match change {
            IngressChange::Restarted(place) | IngressChange::Routed(place) => Some(*place),
            IngressChange::Added | IngressChange::Kept(_) => None,
        });
        let stops = stops.chain(changes.removed_ingresses.iter().copied());
        let mut stopped: HashMap<usize, Stopped> = HashMap::new();
        for place in stops.collect::<Vec<_>>() {
            let Some(mut live) = read.get_mut(place).and_then(Option::take) else {
                continue;
            };
            live.stop.cancel();
            let ingress = (&mut live.back).await.ok();
            stopped.insert(place, Stopped { live, ingress });
        }
        FailPoint::ReloadStopped.pass();

        // Those that hand letters to others go first, as these are to deliver them.
        let mut leaving: Vec<(usize, Leaves)> = Vec::new();
        for (change, fresh) in changes.sinks.iter().zip(&fresh) {
            match change {
                SinkChange::Restarted(place) => leaving.push((*place, Leaves::ForAnother)),
                SinkChange::Kept(place) if fresh.is_some() => {
                    leaving.push((*place, Leaves::ForAnother));
                }
                SinkChange::Kept(_) | SinkChange::Added => {}
            }
        }
        // Those that are gone deliver what they have beside the others, unless what they write to goes with them.
        let (waited, apart): (Vec<usize>, Vec<usize>) = (changes.removed_sinks.iter().copied())
            .partition(|place| !keeps_egresses(&old.sinks[*place], &changes.egresses));
        leaving.extend(waited.iter().map(|place| (*place, Leaves::ForGood)));
        let mut rests = retire_in_turn(&old, &mut sinks, &leaving, grace, hurry).await;
        for (place, change) in changes.sinks.iter().enumerate() {
            let left = change.before().and_then(|before| rests.get(&before));
            if matches!(left, Some((_, None))) && fresh[place].is_none() {
                // It halted meanwhile, and the host is about to.
                let (queue, intake) = mpsc::channel(1);
                queues[place] = queue;
                fresh[place] = Some(intake);
            }
        }
        FailPoint::ReloadRetired.pass();

        // Nobody writes any more to the egresses that go.
        let patience = grace.min(EGRESS_PATIENCE);
        for (place, config) in old.egresses.iter().enumerate() {
            if !changes.egresses.contains(&Some(place)) {
                let key = Key::Egress(config.id.to_string());
                writers.ended(&key, patience).await;
            }
        }
        let mut egresses = Vec::new();
        for (place, config) in module.egresses.iter().enumerate() {
            let id = config.id.to_string();
            let key = Key::Egress(id.clone());
            let kept = changes.egresses[place].and_then(|_| writers.find(&key));
            egresses.push(match (kept, opened.remove(&place)) {
                (Some(handle), _) => handle,
                (None, Some(egress)) => writers.spawn(key, id, egress),
                (None, None) => {
                    // One that stays, and that nobody wrote to any more.
                    writers.ended(&key, patience).await;
                    writers.spawn(key, id, open_egress(config).await?)
                }
            });
        }
        live.endpoints = endpoints;
        fit_endpoints(&module, &live.endpoints);

        // The sinks begin, with what those before them have left.
        live.secrets.know(&module);
        let mut wiring = Wiring {
            module: &module,
            state_dir: &live.state_dir,
            tracer: &live.tracer,
            sources: &live.sources,
            endpoints: &live.endpoints,
            egresses: &egresses,
            queues: &queues,
            secrets: &live.secrets,
            writers,
            sink_tasks,
        };
        let parts = module.sinks.iter().zip(&changes.sinks);
        for ((config, change), (plugin, intake)) in parts.zip(plugins.into_iter().zip(fresh)) {
            let before = change.before();
            if let Some(kept) = before.and_then(|place| sinks[place].take()) {
                if let Plugin::Same(setup) = plugin {
                    kept.plugin.reconfigure(setup).await;
                }
                live.sinks.push(kept);
                continue;
            }
            let left = before.and_then(|place| rests.remove(&place));
            let dead_letters = wiring.dead_letters(config).await?;
            let begin = begin(config, left, intake, plugin, dead_letters, plugin_tasks).await;
            live.sinks.push(wiring.sink(config, begin)?);
        }
        FailPoint::ReloadBegun.pass();

        // What sinks cannot deliver that there are no more is in their dead letters then, or in their file.
        for place in &changes.removed_sinks {
            let config = without_sink_letters(&old.sinks[*place], &changes.egresses);
            let egress = wiring.dead_letters(&config).await?;
            let (sink, left) = match sinks[*place].take() {
                Some(sink) => (sink, None),
                None => match rests.remove(place) {
                    Some((sink, rest)) => (sink, Some(rest)),
                    None => continue,
                },
            };
            debug_assert_eq!(left.is_none(), apart.contains(place));
            sink.attends.abort();
            gone.push(sink.view.clone());
            let (view, sources, hurry) = (sink.view, live.sources.clone(), hurry.clone());
            let id = Arc::clone(&view.id);
            let task = wiring.sink_tasks.spawn(async move {
                let id = Arc::clone(&view.id);
                let left = match left {
                    Some(left) => left,
                    None => retire(view.clone(), sink.rest, Leaves::ForGood, grace, hurry).await,
                };
                let end = match left {
                    Some(rest) => write_off(view, rest, sources, egress).await,
                    None => SinkEnd::Done,
                };
                (id, end)
            });
            live.removed.push((id.to_string(), task));
        }
        live.removed.retain(|(_, task)| !task.is_finished());

        // Those first that only take another way: they have waited long enough.
        let mut ingresses: Vec<Option<LiveIngress>> = Vec::new();
        for (config, change) in module.ingresses.iter().zip(&changes.ingresses) {
            ingresses.push(match change {
                IngressChange::Kept(place) => read[*place].take(),
                IngressChange::Routed(place) => match stopped.remove(place) {
                    None => None,
                    Some(Stopped {
                        live,
                        ingress: None,
                    }) => Some(LiveIngress {
                        back: oneshot::channel().1,
                        ..live
                    }),
                    Some(Stopped {
                        live,
                        ingress: Some(ingress),
                    }) => {
                        let open = OpenIngress {
                            ingress,
                            source: live.source,
                            stats: live.view.counted,
                        };
                        let read = wiring.ingress(config, live.place, open, intake, ingress_tasks);
                        Some(read.await?)
                    }
                },
                IngressChange::Added | IngressChange::Restarted(_) => None,
            });
        }
        for place in &changes.removed_ingresses {
            if let Some(stopped) = stopped.remove(place) {
                live.sources.leaves(&stopped.live.source.ledger);
                info!(ingress = %stopped.live.source.id, "the ingress is read no more");
            }
        }
        let changed = module.ingresses.iter().zip(&changes.ingresses).enumerate();
        for (number, (config, change)) in changed {
            let before = match change {
                IngressChange::Added => None,
                IngressChange::Restarted(place) => stopped.remove(place),
                IngressChange::Routed(_) | IngressChange::Kept(_) => continue,
            };
            if let Some(Stopped { live: before, .. }) = before {
                live.sources.leaves(&before.source.ledger);
            }
            let id = config.id.to_string();
            store_last(&id, &live.stored, &live.store, grace, hurry).await;
            let claim = match live.claimed.insert(id) {
                true => Claim::Needed,
                false => Claim::Done,
            };
            let open = open_ingress(config, &live.store, claim).await?;
            let place = begin_source(&open, &live.sources, &live.stored);
            let read = wiring.ingress(config, place, open, intake, ingress_tasks);
            ingresses[number] = Some(read.await?);
        }
        live.ingresses = ingresses.into_iter().flatten().collect();
        live.module = module;
        drop((held, egresses, queues));
        Ok(reloaded)
    }

    /// Where it stopped half-way: what runs as before is still to be told that the host ends.
    fn show_begun(&mut self) {
        let Some(live) = &self.live else { return };
        let gone = &self.gone;
        let has_gone = |sink: &SinkView| {
            let mut gone = gone.iter();
            gone.any(|gone| Arc::ptr_eq(&gone.stats, &sink.stats))
        };
        self.sinks.retain(|sink| {
            let mut begun = live.sinks.iter();
            !has_gone(sink) && !begun.any(|begun| begun.view.id == sink.id)
        });
        let begun = live.sinks.iter().map(|sink| sink.view.clone());
        self.sinks.extend(begun);
    }

    /// What is to be seen of it now.
    fn show(&mut self) {
        let Some(live) = &self.live else { return };
        self.sinks = live.sinks.iter().map(|sink| sink.view.clone()).collect();
        self.ingresses = live
            .ingresses
            .iter()
            .map(|read| read.view.clone())
            .collect();
        let is_live = |ledger: &Arc<Ledger>| {
            let mut live = live.ingresses.iter();
            live.any(|read| Arc::ptr_eq(&read.source.ledger, ledger))
        };
        // Those that are read no more, until all that they gave is settled and stored.
        self.sources
            .retain(|source| !is_live(&source.ledger) && source.ledger.unsettled() > 0);
        let now = live.ingresses.iter().map(|read| read.source.clone());
        self.sources.extend(now);
        let mut stored = live.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.retain(|source| {
            let ledger = &source.ledger;
            is_live(ledger) || ledger.unsettled() > 0 || !ledger.advanced().is_empty()
        });
    }
}

/// Takes these sinks, by their old places, and what they leave: those whose letters pass the most other sinks go first.
async fn retire_in_turn(
    old: &Module,
    sinks: &mut [Option<LiveSink>],
    leaving: &[(usize, Leaves)],
    grace: Duration,
    hurry: &CancellationToken,
) -> HashMap<usize, (LiveSink, Option<Rest>)> {
    let mut rests = HashMap::new();
    for depth in (0..=old.sinks.len()).rev() {
        let mut retiring = JoinSet::new();
        for (place, leaves) in leaving {
            let is_next = letters_depth(old, *place) == depth;
            let Some(mut sink) = sinks[*place].take_if(|_| is_next) else {
                continue;
            };
            let rest = std::mem::replace(&mut sink.rest, oneshot::channel().1);
            let leaves = retire(sink.view.clone(), rest, *leaves, grace, hurry.clone());
            let place = *place;
            retiring.spawn(async move { (place, sink, leaves.await) });
        }
        while let Some(left) = retiring.join_next().await {
            let (place, sink, rest) = left.expect("waiting does not panic");
            rests.insert(place, (sink, rest));
        }
    }
    rests
}

/// What a sink begins with, after another incarnation of it or as a new one.
async fn begin(
    config: &SinkConfig,
    left: Option<(LiveSink, Option<Rest>)>,
    intake: Option<mpsc::Receiver<Vec<crate::event::Arrival>>>,
    plugin: Plugin,
    dead_letters: EgressHandle,
    tasks: &mut JoinSet<std::io::Result<()>>,
) -> Begin {
    let (before, rest) = match left {
        Some((before, rest)) => (Some(before), rest),
        None => (None, None),
    };
    let rest = match (rest, intake) {
        (Some(mut rest), Some(intake)) => {
            // Nobody has the old queue any more, but it may not be empty.
            while let Ok(chunk) = rest.intake.try_recv() {
                rest.arrivals.extend(chunk);
            }
            Some(Rest { intake, ..rest })
        }
        (rest, intake) => rest.or_else(|| intake.map(Rest::of)),
    };
    let mut rest = rest.expect("who hands over has a queue, and who does not gets one");
    let (plugin, attends) = match (plugin, &before) {
        (Plugin::Same(setup), Some(before)) => {
            before.plugin.reconfigure(setup).await;
            (Arc::clone(&before.plugin), before.attends.clone())
        }
        (Plugin::New(plugin), before) => {
            if let Some(before) = before {
                before.attends.abort();
            }
            let attends = attend(&plugin, tasks);
            (plugin, attends)
        }
        (Plugin::Same(_), None) => unreachable!("a plugin that is there has a sink"),
    };
    let mode = before.as_ref().map(|before| before.view.control.mode());
    let names: Vec<&str> = config.endpoints.iter().map(|(name, _)| &**name).collect();
    let stats = before.map(|before| before.view.stats);
    // Its numbers go on, unless they are by the name of endpoints that it has no more.
    let stats = stats.filter(|stats| stats.has_endpoints(&names));
    if stats.is_none() {
        rest.counted = 0;
    }
    Begin {
        plugin,
        attends,
        dead_letters,
        rest,
        control: mode.filter(|mode| *mode != Mode::Run),
        stats: stats.unwrap_or_default(),
    }
}
