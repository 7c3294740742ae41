//! The change itself: stop, hand over, begin.

mod ingresses;
mod sinks;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tracing::info;

use self::{
    ingresses::{Stopped, begin_to_open, stop},
    sinks::{begin, leave, retire_in_turn},
};
use super::{
    Hurry,
    prepare::{Plugin, Prepared},
    retire::Leaves,
    wires::{is_fed_anew, keeps_egresses, stays, without_sink_letters},
};
use crate::{
    admin::{Reloaded, SinkView},
    config::{Destination, IngressChange, OnUnrouted, SinkChange},
    fail_point::FailPoint,
    pipeline::{
        Running, StartError,
        egresses::{Key, open_egress},
        endpoints::fit_endpoints,
        live::{LeavingSink, LiveIngress, LiveSink, OpenIngress, Wiring, told},
        start::{Claim, begin_source},
    },
    progress::Ledger,
};

/// How long an egress that goes may take to write what it was given.
const EGRESS_PATIENCE: Duration = Duration::from_secs(5);

impl Running {
    /// Makes of what runs what was prepared; `hurry` if the host is to stop meanwhile.
    ///
    /// # Errors
    /// A part that could be opened a moment ago and cannot any more: what runs is incomplete then, and is to be stopped.
    ///
    /// # Cancel safety
    /// What runs is incomplete then. Nothing is lost: what is unsettled comes again from stored progress.
    pub(super) async fn apply(
        &mut self,
        prepared: Prepared,
        hurry: &Hurry,
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
    async fn change(&mut self, prepared: Prepared, hurry: &Hurry) -> Result<Reloaded, StartError> {
        let Self {
            live: Some(live),
            grace,
            writers,
            sink_tasks,
            leaving_tasks,
            ingress_tasks,
            plugin_tasks,
            intake,
            failed,
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
        let mut stopped = stop(&mut read, stops).await;
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
        let goes = |id: &str| {
            let key = Key::Egress(id.to_owned());
            !stays(&key, &module, &changes.egresses)
        };
        let (mut lost, kept): (Vec<_>, Vec<_>) = live
            .unrouted
            .drain(..)
            .partition(|writer| writer.to.as_deref().is_some_and(goes));
        live.unrouted = kept;
        for writer in &lost {
            writer.let_go.cancel();
        }
        let patience = grace.min(EGRESS_PATIENCE);
        for (place, config) in old.egresses.iter().enumerate() {
            if !changes.egresses.contains(&Some(place)) {
                let key = Key::Egress(config.id.to_string());
                writers.ended(&key, patience, &hurry.is_over).await;
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
                    writers.ended(&key, patience, &hurry.is_over).await;
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
            unrouted: &mut live.unrouted,
            failed,
        };
        // What sinks cannot deliver that there are no more is in their dead letters then, or in their file. Before all that may
        // fail: the next start knows nothing of them.
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
            let view = sink.view.clone();
            let leaving = leave(
                sink,
                left,
                live.sources.clone(),
                egress,
                grace,
                hurry.clone(),
            );
            let (id, failed) = (Arc::clone(&view.id), failed.clone());
            let task = leaving_tasks.spawn(async move { (id, told(failed, leaving).await) });
            live.leaving.push(LeavingSink { view, task });
        }

        // What no router took, and its egress neither: that of the ingress may be another one now.
        for writer in &mut lost {
            if let Ok(held) = (&mut writer.rest).await {
                let source = &writer.source;
                let mut ingresses = module.ingresses.iter();
                let config = ingresses.find(|config| config.id.to_string() == *source.id);
                let to = match config.map(|config| config.on_unrouted) {
                    Some(to @ OnUnrouted::To(Destination::Egress(_))) => to,
                    _ => OnUnrouted::File,
                };
                info!(ingress = %source.id, events = held.len(), "what the egress of unrouted events did not take goes elsewhere");
                wiring.unrouted(source, to, held).await?;
            }
        }
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

        live.host.tidy();

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
        let mut anew = Vec::new();
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
            let claim = match live.claimed.insert(config.id.to_string()) {
                true => Claim::Needed,
                false => Claim::Done,
            };
            anew.push((number, config.clone(), claim));
        }
        let mut opening = begin_to_open(anew, &live.store, &live.stored, grace, hurry);
        while let Some(opened) = opening.join_next().await {
            let (number, open) = opened.expect("opening does not panic")?;
            let place = begin_source(&open, &live.sources, &live.stored);
            let config = &module.ingresses[number];
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
        let has_gone = |sink: &SinkView| {
            let mut gone = live.leaving.iter();
            gone.any(|gone| Arc::ptr_eq(&gone.view.stats, &sink.stats))
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
        self.forget_gone(|sink| sink.task.is_finished());
        let Some(live) = &mut self.live else { return };
        live.unrouted.retain_mut(|writer| !writer.has_ended());
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
        self.writers.forget(&live.module.egresses);
        let mut stored = live.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.retain(|source| {
            let ledger = &source.ledger;
            is_live(ledger) || ledger.unsettled() > 0 || !ledger.advanced().is_empty()
        });
    }
}
