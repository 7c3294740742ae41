//! The module file changes under a host that runs: what is equal goes on, what is not makes room for what comes.
//!
//! First everything that may fail is tried beside what runs: the file is read and compared, plugins are loaded and
//! rehearsed, endpoints, egresses and ingresses are opened. Whatever fails there has changed nothing. Then ingresses stop
//! whose events go elsewhere, sinks hand over what they hold, and the new parts begin.
//!
//! # Invariants
//! - An event that is not settled is held by somebody, or is read again: a sink hands over its queue and what it has not
//!   settled, an ingress is read on where it stopped, or opened behind its stored progress.
//! - What did not change is not touched: neither its tasks, nor its connections, nor its plugin.

mod apply;
mod heed;
mod prepare;
mod retire;
mod watch;
mod wires;

pub(super) use heed::Applied;
pub(super) use retire::{Hurry, WRITES};
pub use watch::ModuleFile;

use std::sync::Arc;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{error, info, warn};

use self::prepare::Prepared;
use super::{Running, StartError};
use crate::{
    admin::{Board, NotReloaded, NotReloadedKind, Reloaded},
    causes::explain,
    config::{Fixed, Problems},
    metrics::ReloadResult,
    plugin::SwapError,
};

/// Why a module was not reloaded: nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The module file is wrong.
    #[error("the module file has problems: {}", in_a_line(.0))]
    Config(Problems),
    /// It changes what cannot be changed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Fixed(Vec<Fixed>),
    /// A part of it cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A plugin was refused.
    #[error(transparent)]
    Plugin(#[from] SwapError),
    /// A sink that was removed has not come to its end.
    #[error("the sink `{0}` was removed before, and what it has left is not written yet")]
    Leaving(String),
    /// The file was not read to its end, as a task failed.
    #[error("an internal task failed: {0}")]
    Task(tokio::task::JoinError),
}

impl ReloadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(_) => {
                Some("`nozzle check` shows where; the host runs on as it was".to_owned())
            }
            Self::Fixed(_) => Some("start the host anew for that, or take it back".to_owned()),
            Self::Plugin(error) => error.hint(),
            Self::Leaving(_) => {
                Some("see what keeps them from being written, and reload again".to_owned())
            }
            Self::Start(error) => error.hint(),
            Self::Task(_) => None,
        }
    }

    fn told(&self) -> NotReloaded {
        NotReloaded {
            kind: NotReloadedKind::Refused,
            detail: explain(self),
            hint: self.hint(),
        }
    }
}

/// Without the lines of the file: what is written there is for its owner's eyes.
fn in_a_line(problems: &Problems) -> String {
    let shown = problems.problems.iter().map(|problem| {
        let mark = problem.mark;
        let hint = problem.hint.as_ref();
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        match mark.line {
            0 => format!("{}{hint}", problem.message),
            line => format!("{line}:{}: {}{hint}", mark.column, problem.message),
        }
    });
    shown.take(10).collect::<Vec<_>>().join("; ")
}

/// Somebody asks for a reload, and waits for what comes of it.
type Request = oneshot::Sender<Result<Reloaded, NotReloaded>>;

/// What a running module needs to reload itself; by default it cannot.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    from: Option<From>,
    preparing: JoinSet<Result<Prepared, ReloadError>>,
    asked: Option<Request>,
}

#[derive(Debug)]
struct From {
    file: Arc<ModuleFile>,
    requests: mpsc::Receiver<Request>,
    board: Arc<Board>,
}

/// What there is to do.
pub(super) enum Step {
    /// Somebody asks for a reload.
    Asked(Request),
    /// What can be tried beside what runs has been.
    Prepared(Box<Result<Prepared, ReloadError>>),
}

impl Reloads {
    /// What is to be done next; waits for ever if there is nothing.
    ///
    /// # Cancel safety
    /// Nothing is forgotten.
    pub(super) async fn next(&mut self) -> Step {
        if let Some(joined) = self.preparing.join_next().await {
            let prepared = joined.unwrap_or_else(|error| Err(ReloadError::Task(error)));
            return Step::Prepared(Box::new(prepared));
        }
        let request = match &mut self.from {
            Some(from) => from.requests.recv().await,
            None => None,
        };
        match request {
            Some(request) => Step::Asked(request),
            None => std::future::pending().await,
        }
    }

    /// Whoever asks from now on hears that the host ends; nothing that was opened beside what runs is open then.
    pub(super) async fn end(&mut self) {
        self.preparing.shutdown().await;
        self.answer(Err(ending()));
        self.from = None;
    }

    fn answer(&mut self, result: Result<Reloaded, NotReloaded>) {
        if let Some(asked) = self.asked.take() {
            if let (Some(from), Some(counted)) = (&self.from, counted(&result)) {
                from.board.reloaded(counted);
            }
            // Whoever asked may be gone: it is done, and in the log.
            drop(asked.send(result));
        }
    }
}

fn ending() -> NotReloaded {
    NotReloaded {
        kind: NotReloadedKind::Ending,
        detail: "the host is about to end".to_owned(),
        hint: None,
    }
}

impl Running {
    /// Reads the module again when its file changes, at SIGHUP, and when the admin API is told so; `board` shows what
    /// runs then.
    pub fn reload_from(&mut self, file: ModuleFile, board: &Arc<Board>) {
        let (reloader, requests) = watch::Reloader::new();
        let file = Arc::new(file);
        let reloader = Arc::new(reloader);
        self.plugin_tasks
            .spawn(watch::watch(Arc::clone(&file), Arc::clone(&reloader)));
        board.reloads(reloader);
        self.reloads.from = Some(From {
            file,
            requests,
            board: Arc::clone(board),
        });
    }

    /// Begins to do what is to be done; gives what is to be applied then.
    pub(super) fn begin_reload(&mut self, step: Step) -> Option<Prepared> {
        match step {
            Step::Asked(request) if self.intake.is_cancelled() => {
                drop(request.send(Err(ending())));
                None
            }
            Step::Asked(request) => {
                let (live, from) = (self.live.as_ref()?, self.reloads.from.as_ref()?);
                let task = prepare::prepare(Arc::clone(&from.file), prepare::Before::of(live));
                self.reloads.preparing.spawn(task);
                self.reloads.asked = Some(request);
                None
            }
            Step::Prepared(prepared) => match *prepared {
                Ok(_) if self.intake.is_cancelled() => {
                    self.reloads.answer(Err(ending()));
                    None
                }
                Ok(prepared) => Some(prepared),
                Err(error) => {
                    let told = error.told();
                    let NotReloaded { detail, hint, .. } = &told;
                    error!(
                        error = detail,
                        hint, "the module was not reloaded; the host runs on as it was"
                    );
                    self.reloads.answer(Err(told));
                    None
                }
            },
        }
    }

    /// Says what came of it.
    pub(super) fn end_reload(&mut self, applied: Result<Reloaded, StartError>) -> Option<String> {
        match applied {
            Ok(reloaded) => {
                match reloaded.changed {
                    true => info!(changed = reloaded.words(), "the module was reloaded"),
                    false => info!("the module was read again, and is as it was"),
                }
                if let Some(from) = &self.reloads.from {
                    from.board.running(self.views());
                }
                self.reloads.answer(Ok(reloaded));
                None
            }
            Err(error) => {
                let told = ReloadError::Start(error).told();
                warn!(
                    error = told.detail,
                    "the reload could not be completed: the host ends, and a start goes on where it stopped"
                );
                let reason = format!("the reload could not be completed: {}", told.detail);
                self.reloads.answer(Err(NotReloaded {
                    kind: NotReloadedKind::Failed,
                    ..told
                }));
                Some(reason)
            }
        }
    }
}

/// How a reload is counted; one that nobody has begun is not.
fn counted(result: &Result<Reloaded, NotReloaded>) -> Option<ReloadResult> {
    match result {
        Ok(reloaded) if reloaded.changed => Some(ReloadResult::Accepted),
        Ok(_) => Some(ReloadResult::Unchanged),
        Err(error) => match error.kind {
            NotReloadedKind::Refused => Some(ReloadResult::Refused),
            NotReloadedKind::Failed => Some(ReloadResult::Failed),
            NotReloadedKind::Ending => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_is_counted_by_why() {
        let of = |kind| counted(&Err(NotReloaded { kind, ..ending() }));

        let refused = of(NotReloadedKind::Refused);
        let failed = of(NotReloadedKind::Failed);
        let ending = of(NotReloadedKind::Ending);

        assert!(matches!(refused, Some(ReloadResult::Refused)));
        assert!(matches!(failed, Some(ReloadResult::Failed)));
        assert!(ending.is_none(), "the host ends: nothing was wrong with it");
    }
}
