//! Sinks that make room: for their next incarnation, or for good.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admin::SinkView,
    dead_letter::{CauseKind, DeadLetter},
    delivery::{Rest, SinkEnd, Source, Sources, control::Mode},
    egress::EgressHandle,
    event::{Arrival, Record},
    pipeline::progress::{self, Shared, Stored},
    progress::{AnyStore, store::StoreError},
};

/// How often it is looked whether something has come about.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// How long writes may take when nothing else is under way.
pub(in crate::pipeline) const WRITES: Duration = Duration::from_secs(5);

/// That the host is to end, for those who make room.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Hurry {
    /// It stops: what another incarnation can deliver is handed over at once.
    pub(in crate::pipeline) stops: CancellationToken,
    /// It waits no more: calls under way are given up.
    pub(in crate::pipeline) is_over: CancellationToken,
}

/// What becomes of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Its next incarnation goes on with its queue.
    ForAnother,
    /// Nothing comes any more.
    ForGood,
}

/// Lets a sink deliver what it has, for `grace` at most, and takes what is left then. None if it ended by itself.
///
/// What gets nothing through is not waited for: a sink that is paused, and one whose endpoint is down if another one is to
/// go on, perhaps with another endpoint. Calls under way come to their end, as nobody would know what became of them, unless
/// the host waits no more. That it stops hurries nobody who has no other incarnation: what is left would get no other chance.
pub(super) async fn retire(
    view: SinkView,
    mut rest: oneshot::Receiver<Rest>,
    leaves: Leaves,
    grace: Duration,
    hurry: Hurry,
) -> Option<Rest> {
    let control = &view.control;
    let hurried = match leaves {
        Leaves::ForAnother => &hurry.stops,
        Leaves::ForGood => &hurry.is_over,
    };
    info!(sink = %view.id, "the sink delivers what it has, and makes room");
    if leaves == Leaves::ForAnother {
        control.leave();
    }
    tokio::select! {
        biased;
        left = &mut rest => return left.ok(),
        () = hurried.cancelled() => {}
        () = sleep(grace) => {}
        () = gets_nothing_through(&view, leaves) => {}
    }
    control.hand_over();
    tokio::select! {
        biased;
        left = &mut rest => return said(&view, left.ok()),
        () = hurried.cancelled() => {}
        () = sleep(WRITES.min(grace)) => {}
    }
    control.cut_off();
    tokio::select! {
        biased;
        left = &mut rest => return said(&view, left.ok()),
        () = hurry.is_over.cancelled() => {}
    }
    control.give_up();
    said(&view, rest.await.ok())
}

fn said(view: &SinkView, rest: Option<Rest>) -> Option<Rest> {
    let events = rest.as_ref().map_or(0, |rest| rest.arrivals.len());
    info!(sink = %view.id, events, "the sink hands over what it could not deliver");
    rest
}

async fn gets_nothing_through(view: &SinkView, leaves: Leaves) {
    let stats = &view.stats;
    loop {
        let is_stuck = stats.down.get() > 0 || stats.plugin_failing.get() > 0;
        if (is_stuck && leaves == Leaves::ForAnother) || view.control.mode() == Mode::Pause {
            return;
        }
        sleep(LOOK).await;
    }
}

/// How it stands with the events of an ingress that is to be opened anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// How far it came is stored: its progress is that of what comes from now on.
    Stored,
    /// The host stops first: it is to be opened no more, and what of it is settled until the end is stored then.
    Unsettled,
}

/// Waits until all events of an ingress that is to be opened anew have their end, for `grace` at most, and stores how far
/// it came; one that was removed before may have such events, too.
///
/// # Errors
/// When another host has taken over the ingress: it is not to be read here any more.
pub(super) async fn store_last(
    id: &str,
    stored: &Stored,
    store: &Shared<AnyStore>,
    grace: Duration,
    hurry: &Hurry,
) -> Result<Before, StoreError> {
    let stored = || stored.lock().unwrap_or_else(PoisonError::into_inner);
    let own: Vec<_> = {
        let stored = stored();
        let own = stored.iter().filter(|source| *source.id == *id);
        own.cloned().collect()
    };
    if unsettled(&own) > 0 {
        let events = unsettled(&own);
        info!(ingress = %id, events, "the ingress is opened anew when what it has read is settled");
    }
    tokio::select! {
        biased;
        () = settled(&own) => {}
        () = hurry.stops.cancelled() => return Ok(Before::Unsettled),
        () = sleep(grace) => {
            let events = unsettled(&own);
            warn!(ingress = %id, events, "events of the ingress are not settled in time: they are read again, and may be delivered twice");
        }
    }
    // Before the store is free: nobody is to store it once more, behind what is read then.
    let mut store = store.lock().await;
    match progress::save(&mut *store, &own).await {
        Err(error @ StoreError::TakenOver { .. }) => return Err(error),
        Err(error) => {
            warn!(ingress = %id, %error, "progress could not be stored: what is settled since is read again");
        }
        Ok(()) => {}
    }
    stored().retain(|source| *source.id != *id);
    Ok(Before::Stored)
}

fn unsettled(sources: &[Source]) -> usize {
    let open = sources.iter().map(|source| source.ledger.unsettled());
    open.sum()
}

async fn settled(sources: &[Source]) {
    while unsettled(sources) > 0 {
        sleep(LOOK).await;
    }
}

/// Writes what a sink that was removed has left as dead letters: that is the end of these events.
pub(super) async fn write_off(
    view: SinkView,
    mut rest: Rest,
    sources: Sources,
    egress: EgressHandle,
) -> SinkEnd {
    // Nobody can tell it anything any more.
    rest.control = None;
    let mut events = 0;
    let mut arrivals: Vec<Arrival> = rest.arrivals.into();
    let counted = arrivals.len().min(rest.counted);
    view.stats.read.add(arrivals.len() - counted);
    loop {
        if !arrivals.is_empty() {
            let letters = arrivals.iter().map(|arrival| {
                let ingress = sources.ingress_of(arrival);
                letter(&ingress, &view.id, arrival)
            });
            if let Err(closed) = egress.write(letters.collect()).await {
                return SinkEnd::Halted(format!("dead letters cannot be written: {closed}"));
            }
            events += arrivals.len();
            view.stats.dead_lettered.add(arrivals.len());
            sources.settle(arrivals.iter().map(|arrival| arrival.ticket));
        }
        match rest.intake.take().await {
            Some(more) => {
                view.stats.read.add(more.len());
                arrivals = more;
            }
            None => break,
        }
    }
    if events > 0 {
        warn!(sink = %view.id, events, "what the removed sink could not deliver is in its dead letters");
    }
    SinkEnd::Done
}

fn letter(ingress: &Arc<str>, sink: &str, arrival: &Arrival) -> Record {
    DeadLetter {
        event: &arrival.event,
        ingress,
        sink: Some(sink),
        endpoint: None,
        cause: CauseKind::SinkRemoved,
        message: "its sink was taken out of the module before it was delivered",
        given_up: std::time::SystemTime::now(),
        attempts: 0,
        first_attempt: None,
        last_attempt: None,
        last_response: None,
    }
    .to_record()
}
