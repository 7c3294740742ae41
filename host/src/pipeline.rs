//! Wires a module together, starts it, drains it: the only part that knows all others.

mod egresses;
mod endpoints;
mod grants;
mod letters;
mod live;
pub mod plugins;
mod progress;
mod pump;
mod record;
mod relay;
mod reload;
#[cfg(test)]
mod simulation;
mod start;
mod summary;
mod unrouted;
mod wiring;

pub use endpoints::{endpoints_of, try_endpoint};
pub use grants::services;
pub use reload::{ModuleFile, ReloadError};
pub use start::{StartError, start};
pub use summary::{Failures, SinkSummary, Summary};

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use self::{
    egresses::Writers,
    live::{LeavingSink, Live},
    progress::Progress,
    reload::{Applied, Hurry, Reloads},
};

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admin::{IngressView, SinkView, TokenFile, Views},
    auth::Secret,
    delivery::{SinkEnd, Source},
    ingress::IngressError,
    metrics::{ProgressStats, TraceStats},
    shutdown::Shutdown,
    trace,
};

/// What a run is told beside its module.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where progress, the lock, the cache of compiled plugins and default dead letters live.
    pub state_dir: PathBuf,
    /// How long what was read may be delivered, tried again too, once the host stops: it was told to, or a part of it has failed.
    pub grace: Duration,
    /// This program, which compiles plugins in processes of their own when it is called so. None: within this one.
    pub program: Option<PathBuf>,
}

/// A module that runs.
#[derive(Debug)]
pub struct Running {
    ingresses: Vec<IngressView>,
    sinks: Vec<SinkView>,
    /// Sinks that reloads have removed, and that have come to their end.
    gone: Vec<SinkSummary>,
    /// Those of the ingresses, and of those that a reload has stopped and that have events without an end.
    sources: Vec<Source>,
    ingress_tasks: IngressTasks,
    sink_tasks: SinkTasks,
    /// One for each sink that a reload has removed, until all that it held has its end.
    leaving_tasks: SinkTasks,
    /// They attend to the plugins, and to the module file.
    plugin_tasks: JoinSet<io::Result<()>>,
    /// Stores progress; none when somebody waits for its end.
    progress: Option<Progress>,
    /// Stops intake.
    intake: CancellationToken,
    /// Cancelled when a task has failed, even if nobody has seen its end yet.
    failed: CancellationToken,
    /// Tells the progress task to store what is settled, and to end.
    last_progress: CancellationToken,
    writers: Writers,
    progress_stats: Arc<ProgressStats>,
    trace_stats: Arc<TraceStats>,
    /// Sends spans until the sinks are gone.
    traces: Option<trace::Exporter>,
    grace: Duration,
    /// None in the simulation, which has none.
    held: Option<Held>,
    /// What a reload changes; none in the simulation.
    live: Option<Live>,
    reloads: Reloads,
}

/// One for each ingress that is read.
type IngressTasks = JoinSet<Result<(), IngressError>>;

/// One for each sink, and for each ingress whose unrouted events are written.
type SinkTasks = JoinSet<(Arc<str>, SinkEnd)>;

/// What a module that runs holds on to.
#[derive(Debug)]
struct Held {
    /// It goes before the lock: behind that, another host may have written its own.
    token: Option<TokenFile>,
    /// For as long as the host uses the state directory.
    state_dir: crate::progress::state_dir::StateDir,
}

impl Running {
    /// What can be seen of it from outside, for as long as it runs and after.
    pub fn views(&self) -> Views {
        Views {
            ingresses: self.ingresses.clone(),
            sinks: self.sinks.clone(),
            egresses: match &self.live {
                Some(live) => self.writers.views(&live.module.egresses),
                None => Vec::new(),
            },
            progress: Arc::clone(&self.progress_stats),
            traces: Arc::clone(&self.trace_stats),
            draining: self.intake.clone(),
        }
    }

    /// What must be shown to change what runs, where the module has no token and the operating system no guard.
    pub fn token(&self) -> Option<Secret> {
        let token = self.held.as_ref()?.token.as_ref();
        token.map(|token| token.secret().clone())
    }

    /// Nothing more is read; a sink that is paused need not wait for somebody to let it go on.
    fn stop_intake(&self) {
        self.intake.cancel();
        for sink in &self.sinks {
            sink.control.stop();
        }
    }

    /// Waits, not for long, until what removed sinks can deliver no more is in their dead letters: nobody reads it again for
    /// them. Gives those that failed, and why.
    async fn let_leave(&mut self) -> Vec<(Arc<str>, String)> {
        let mut halted = Vec::new();
        let all = async {
            while let Some(joined) = self.leaving_tasks.join_next().await {
                if let Ok((id, SinkEnd::Halted(reason))) = joined {
                    halted.push((id, reason));
                }
            }
        };
        if tokio::time::timeout(reload::WRITES, all).await.is_err() {
            warn!("dead letters of sinks that were removed are not written in time");
        }
        halted
    }

    /// Keeps no more than the numbers of these sinks, which were removed.
    fn forget_gone(&mut self, which: impl Fn(&LeavingSink) -> bool) {
        let Some(live) = &mut self.live else { return };
        let (forgotten, left) = live.leaving.drain(..).partition(which);
        live.leaving = left;
        let forgotten: Vec<LeavingSink> = forgotten;
        for sink in &forgotten {
            let numbers = SinkSummary::of(&sink.view);
            match self.gone.iter_mut().find(|gone| gone.id == numbers.id) {
                Some(gone) => *gone = gone.clone().and(numbers),
                None => self.gone.push(numbers),
            }
        }
    }

    /// Waits until every source has ended and every event has its end; or, once it was told to stop or a part of it has failed,
    /// until what was there is drained, or its grace period is over. Then stores progress.
    pub async fn finish(mut self, shutdown: &Shutdown) -> Summary {
        let mut failure = None;
        let mut kept = None;
        let (mut halted, mut broken) = (Vec::new(), Vec::new());
        let mut progress = (self.progress.take()).expect("nobody else waits for its end");
        let intake = self.intake.clone();
        let mut patience = std::pin::pin!(patience(&intake, shutdown, self.grace));
        let hurry = Hurry {
            stops: shutdown.drain.child_token(),
            is_over: CancellationToken::new(),
        };
        let (mut told, mut stops) = (false, false);
        loop {
            tokio::select! {
                biased;
                // Also where a reload that was under way has seen to the intake already: sinks that are paused wait.
                () = shutdown.drain.cancelled(), if !told => {
                    told = true;
                    self.stop_intake();
                }
                () = intake.cancelled(), if !stops => {
                    stops = true;
                    info!(grace = ?self.grace, "stopping: intake has ended, calls in flight go on");
                }
                Some(joined) = self.ingress_tasks.join_next() => match joined {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        self.stop_intake();
                        failure.get_or_insert(error);
                    }
                    Err(error) => {
                        self.stop_intake();
                        broken.push(format!("an internal task failed: {error}"));
                    }
                },
                joined = either(&mut self.sink_tasks, &mut self.leaving_tasks) => match joined {
                    Some(Ok((_, SinkEnd::Done | SinkEnd::Paused))) => {}
                    Some(Ok((id, SinkEnd::Halted(reason)))) => {
                        // The others deliver what they have; nothing new is read.
                        self.stop_intake();
                        halted.push((id, reason));
                    }
                    Some(Err(error)) => {
                        self.stop_intake();
                        broken.push(format!("an internal task failed: {error}"));
                    }
                    None => break,
                },
                joined = &mut progress => {
                    self.stop_intake();
                    kept = Some(joined);
                    break;
                }
                step = self.reloads.next() => {
                    let Some(prepared) = self.begin_reload(step) else { continue };
                    let applying = self.apply_heeding(prepared, &mut progress, patience.as_mut(), &hurry);
                    match Box::pin(applying).await {
                        Applied::Done(applied) => if let Some(reason) = self.end_reload(applied) {
                            self.stop_intake();
                            broken.push(reason);
                        },
                        Applied::TakenOver(joined) => {
                            kept = Some(joined);
                            break;
                        }
                        Applied::TooLate => {}
                    }
                    if hurry.is_over.is_cancelled() {
                        warn!("the grace period is over in the middle of a reload; calls in flight are dropped");
                        break;
                    }
                }
                () = &mut patience => {
                    warn!("the grace period is over; calls in flight are dropped");
                    break;
                }
            }
        }
        // The sinks may have ended before an ingress's own end was seen here: it may be a failure.
        self.stop_intake();
        self.reloads.end().await;
        hurry.is_over.cancel();
        if kept.is_none() {
            halted.extend(self.let_leave().await);
        }
        while let Some(joined) = self.ingress_tasks.join_next().await {
            if let Ok(Err(error)) = joined {
                failure.get_or_insert(error);
            }
        }
        self.sink_tasks.shutdown().await;
        self.leaving_tasks.shutdown().await;
        self.plugin_tasks.shutdown().await;
        self.forget_gone(|_| true);
        self.live = None;
        // The sinks held the last handles: the egresses write what they have, then end.
        self.writers.finish(Duration::from_secs(1)).await;
        self.last_progress.cancel();
        let kept = match kept {
            Some(kept) => kept,
            None => progress::stored_at_last(progress, shutdown).await,
        };
        let store = match kept {
            Ok(kept) => kept.err(),
            Err(error) => {
                warn!(%error, "the last progress was not stored: what was settled since is delivered again");
                None
            }
        };
        // Last: whoever waits for it has nothing else to lose.
        if let Some(traces) = self.traces.take() {
            traces.finish().await;
        }
        if let Some(held) = &self.held {
            held.state_dir.leave();
        }
        Summary::new(
            &self.ingresses,
            &self.sinks,
            self.gone,
            &self.sources,
            Failures {
                source: failure,
                store,
                halted,
                broken,
            },
            shutdown.drain.is_cancelled(),
        )
    }
}

/// The next end of a task of either; none if there are none.
async fn either(
    one: &mut SinkTasks,
    other: &mut SinkTasks,
) -> Option<Result<(Arc<str>, SinkEnd), JoinError>> {
    tokio::select! {
        Some(joined) = one.join_next() => Some(joined),
        Some(joined) = other.join_next() => Some(joined),
        else => None,
    }
}

/// Ends when what was read has had long enough to be delivered.
async fn patience(intake: &CancellationToken, shutdown: &Shutdown, grace: Duration) {
    intake.cancelled().await;
    tokio::select! {
        () = tokio::time::sleep(grace) => {}
        () = shutdown.now.cancelled() => {}
    }
}
