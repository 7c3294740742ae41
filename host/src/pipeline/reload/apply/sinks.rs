//! Sinks that make room, and those that begin with what they have left.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    config::{Module, SinkConfig},
    delivery::{Rest, SinkEnd, Sources},
    egress::EgressHandle,
    event::Arrival,
    pipeline::{
        live::{Begin, LiveSink, attend},
        reload::{
            Hurry,
            prepare::Plugin,
            retire::{Leaves, retire, write_off},
            wires::letters_depth,
        },
    },
};

/// Takes these sinks, by their old places, and what they leave: those whose letters pass the most other sinks go first.
pub(super) async fn retire_in_turn(
    old: &Module,
    sinks: &mut [Option<LiveSink>],
    leaving: &[(usize, Leaves)],
    grace: Duration,
    hurry: &Hurry,
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
pub(super) async fn begin(
    config: &SinkConfig,
    left: Option<(LiveSink, Option<Rest>)>,
    intake: Option<mpsc::Receiver<Vec<Arrival>>>,
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

/// Lets a sink that there is no more deliver what it has, unless it has done so and `left` something; what it cannot deliver
/// is written to `egress`.
pub(super) async fn leave(
    sink: LiveSink,
    left: Option<Option<Rest>>,
    sources: Sources,
    egress: EgressHandle,
    grace: Duration,
    hurry: Hurry,
) -> SinkEnd {
    let LiveSink {
        attends,
        view,
        rest,
        queue: _,
        plugin: _,
    } = sink;
    attends.abort();
    let left = match left {
        Some(left) => left,
        None => retire(view.clone(), rest, Leaves::ForGood, grace, hurry).await,
    };
    match left {
        Some(rest) => write_off(view, rest, sources, egress).await,
        None => SinkEnd::Done,
    }
}
