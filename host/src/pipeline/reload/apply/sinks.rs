//! Sinks that make room, and those that begin with what they have left.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinSet};

use super::Change;
use crate::{
    config::{Changes, Module, SinkChange, SinkConfig},
    delivery::{Intake, Queue, Rest},
    egress::EgressHandle,
    pipeline::{
        StartError,
        live::LiveSink,
        reload::{
            Hurry,
            prepare::Plugin,
            retire::{Leaves, retire},
            wires::{is_fed_anew, keeps_egresses, letters_depth},
        },
        wiring::{Begin, attend},
    },
};

/// A sink that delivers no more.
pub(super) struct Retired {
    pub(super) sink: LiveSink,
    /// What it hands over; none if it has ended by itself.
    pub(super) rest: Option<Rest>,
}

/// The queue of each sink of `module`, and the other end of those that are new. One that is open goes on with its sink.
pub(super) fn queues(
    module: &Module,
    changes: &Changes,
    sinks: &[Option<LiveSink>],
) -> (Vec<Queue>, Vec<Option<Intake>>) {
    let each = changes.sinks.iter().enumerate().map(|(place, change)| {
        let before = change.before().and_then(|place| sinks[place].as_ref());
        let queue = before.and_then(|sink| sink.queue.upgrade());
        let open = queue.filter(|queue| !queue.is_closed());
        let is_kept = matches!(change, SinkChange::Kept(_));
        // There is none, or it has ended with its last ingress: then it is needed only for another one.
        let is_new = open.is_none() && (!is_kept || is_fed_anew(place, module, changes));
        let (queue, intake) = Queue::open();
        (open.unwrap_or(queue), is_new.then_some(intake))
    });
    each.unzip()
}

impl Change<'_> {
    /// Sinks that are started anew have handed over what they hold, and calls of theirs are no more under way. So have those
    /// that are gone, and what they write to with them; the others of those deliver on beside what comes.
    pub(super) async fn retire_sinks(&mut self) {
        let mut leaving: Vec<(usize, Leaves)> = Vec::new();
        for (change, intake) in self.changes.sinks.iter().zip(&self.intakes) {
            match change {
                SinkChange::Restarted(place) => leaving.push((*place, Leaves::ForAnother)),
                SinkChange::Kept(place) if intake.is_some() => {
                    leaving.push((*place, Leaves::ForAnother));
                }
                SinkChange::Kept(_) | SinkChange::Added => {}
            }
        }
        for place in &self.changes.removed_sinks {
            if !keeps_egresses(&self.old.sinks[*place], &self.changes.egresses) {
                leaving.push((*place, Leaves::ForGood));
            }
        }
        let (grace, hurry) = (self.grace, self.hurry);
        self.retired = retire_in_turn(&self.old, &mut self.sinks, &leaving, grace, hurry).await;
        for (place, change) in self.changes.sinks.iter().enumerate() {
            let retired = change.before().and_then(|before| self.retired.get(&before));
            if retired.is_some_and(|retired| retired.rest.is_none())
                && self.intakes[place].is_none()
            {
                // It halted meanwhile, and the host is about to.
                let (queue, intake) = Queue::open();
                self.queues[place] = queue;
                self.intakes[place] = Some(intake);
            }
        }
    }

    /// All sinks of the module deliver: those that go on, with the plugin that the module says now, and the others with what
    /// those before them have left.
    pub(super) async fn begin_sinks(&mut self, plugins: Vec<Plugin>) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        self.live.secrets.know(&module);
        let intakes = std::mem::take(&mut self.intakes).into_iter();
        let parts = module.sinks.iter().zip(plugins.into_iter().zip(intakes));
        for (place, (config, (plugin, intake))) in parts.enumerate() {
            let before = self.changes.sinks[place].before();
            if let Some(kept) = before.and_then(|place| self.sinks[place].take()) {
                if let Plugin::Same(setup) = plugin {
                    kept.plugin.reconfigure(setup).await;
                }
                self.live.sinks.push(kept);
                continue;
            }
            let retired = before.and_then(|place| self.retired.remove(&place));
            let letters = self.wiring().dead_letters(config).await?;
            let tasks = &mut *self.plugin_tasks;
            let begin = begin(config, retired, intake, plugin, letters, tasks).await;
            let begun = self.wiring().sink(config, begin)?;
            self.live.sinks.push(begun);
        }
        self.live.host.tidy();
        Ok(())
    }
}

/// Takes these sinks, by their old places, and what they leave: those whose letters pass the most other sinks go first, as
/// these are to deliver them.
async fn retire_in_turn(
    old: &Module,
    sinks: &mut [Option<LiveSink>],
    leaving: &[(usize, Leaves)],
    grace: Duration,
    hurry: &Hurry,
) -> HashMap<usize, Retired> {
    let mut retired = HashMap::new();
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
            retired.insert(place, Retired { sink, rest });
        }
    }
    retired
}

/// What a sink begins with, after another incarnation of it or as a new one.
async fn begin(
    config: &SinkConfig,
    retired: Option<Retired>,
    intake: Option<Intake>,
    plugin: Plugin,
    dead_letters: EgressHandle,
    tasks: &mut JoinSet<std::io::Result<()>>,
) -> Begin {
    let (before, rest) = match retired {
        Some(Retired { sink, rest }) => (Some(sink), rest),
        None => (None, None),
    };
    let rest = match (rest, intake) {
        (Some(mut rest), Some(intake)) => {
            // Nobody has the old queue any more, but it may not be empty.
            while let Some(chunk) = rest.intake.take_now() {
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
        (Plugin::New(plugin, _turn), before) => {
            if let Some(before) = before {
                before.attends.abort();
            }
            plugin.begins().await;
            let attends = attend(&plugin, tasks);
            (plugin, attends)
        }
        (Plugin::Same(_), None) => unreachable!("a plugin that is there has a sink"),
    };
    let control = before.as_ref().map(|before| before.view.control.clone());
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
        control,
        stats: stats.unwrap_or_default(),
    }
}
