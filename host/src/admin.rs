//! The admin address of a host: metrics, health, status, and changes to what runs, for those who run it.
//!
//! Whoever reaches it sees ids and numbers, never a secret; records are seen by those alone who may change what runs, and ask for them.
//!
//! # Invariants
//! - It costs delivery nothing: counters are read when somebody asks, and connections are few and short.
//! - Nothing is changed but for those who show a token, or may use the Unix socket; each change leaves a line in the log.
//! - A page of another origin gets no answer, whatever name it has found for this address.
//! - It answers from before the first plugin is loaded until the process ends.

mod access;
mod answer;
pub mod api;
mod audit;
mod client;
mod hosts;
mod listen;
mod openapi;
mod problem;
mod process;
mod record;
mod reload;
mod routes;
mod serve;
pub mod settings;
pub mod status;
mod swap;
mod tls;
mod token;
mod views;

pub use audit::TARGET as AUDIT;
pub use client::{Address, Client, FetchError};
pub use openapi::openapi;
pub use problem::Problem;
pub use record::{AlreadyRecorded, Ask, Recorded, RecordedCase, RecordedEnd, Records};
pub use reload::{
    NotReloaded, NotReloadedKind, Reloaded, ReloadedIngresses, ReloadedSinks, Reloads,
};
pub use serve::{Admin, BindError};
pub use tls::TlsError;
pub use token::{TOKEN_FILE, TokenFile};
pub use views::{EgressView, IngressView, SinkView, Views};

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use self::status::{State, Status};
use crate::{
    event::now_ms,
    metrics::{HostStats, ProcessStats, ReloadResult},
};

/// What a host shows of itself.
#[derive(Debug)]
pub struct Board {
    stats: HostStats,
    process: ProcessStats,
    started_ms: u64,
    /// None until all parts are open.
    views: Mutex<Option<Views>>,
    /// Asks the host to stop, when cancelled.
    drain: CancellationToken,
    /// Reads the module again; none for a run without a module file.
    reloads: OnceLock<Arc<dyn Reloads>>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new(CancellationToken::new())
    }
}

impl Board {
    /// A board of a host that stops as at SIGTERM when `drain` is cancelled.
    pub fn new(drain: CancellationToken) -> Self {
        let (stats, started_ms) = (HostStats::default(), now_ms());
        stats.started.set(Some(started_ms));
        Self {
            stats,
            process: ProcessStats::default(),
            started_ms,
            views: Mutex::default(),
            drain,
            reloads: OnceLock::new(),
        }
    }

    /// All parts are open, and run.
    pub fn running(&self, views: Views) {
        *self.views() = Some(views);
    }

    /// The module that runs can be read again.
    pub fn reloads(&self, reloads: Arc<dyn Reloads>) {
        // A second one would be of a second run.
        self.reloads.get_or_init(|| reloads);
    }

    /// The module was read again.
    pub fn reloaded(&self, result: ReloadResult) {
        self.stats.reloads.count(result);
    }

    /// What runs, and what it counts.
    pub fn status(&self) -> Status {
        let views = self.views();
        Status::of(
            self.started_ms,
            views.as_ref(),
            Self::state(views.as_ref()),
            Self::not_ready(views.as_ref()),
        )
    }

    fn state(views: Option<&Views>) -> State {
        match views {
            None => State::Starting,
            Some(views) if views.is_draining() => State::Draining,
            Some(_) => State::Running,
        }
    }

    /// Why the host is not ready; empty if it is.
    fn not_ready(views: Option<&Views>) -> Vec<String> {
        let Some(views) = views else {
            return vec![
                "starting: plugins are loaded, sources and egresses are opened".to_owned(),
            ];
        };
        let halted = views
            .sinks
            .iter()
            .filter(|sink| sink.stats.halted.get() > 0)
            .map(|sink| format!("the sink `{}` has halted", sink.id));
        let failing = views
            .sinks
            .iter()
            .filter(|sink| sink.stats.plugin_failing.get() > 0)
            .map(|sink| {
                format!(
                    "the plugin of the sink `{}` fails on everything: its events are held",
                    sink.id
                )
            });
        let draining = views
            .is_draining()
            .then(|| "draining: nothing new is read, and the host is about to end".to_owned());
        halted.chain(failing).chain(draining).collect()
    }

    fn views(&self) -> MutexGuard<'_, Option<Views>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
