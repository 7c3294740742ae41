//! The plugin host: components that shape requests and handle responses.
//!
//! This file holds what the rest of the host sees: the [`Plugin`] trait, and plain data (that of answers in `answer`).
//! Everything below `plugin/` may use wasmtime; nothing else does.

mod answer;
mod bindings;
mod budget;
mod clock;
mod compile;
mod contract;
mod differences;
mod engine;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod grants;
mod imports;
mod instance;
mod last_words;
mod lift;
mod limiter;
mod load;
mod load_error;
mod loaded;
mod lower;
mod names;
mod output;
mod pool;
pub mod settings;
mod signature;
mod slot;
mod source;
mod tally;
mod versions;

pub use answer::{
    EventVerdict, Handled, Method, PluginError, PluginVerdict, Shaped, ShapedBody, ShapedRequest,
};
pub use compile::{CompileError, compile_for_parent};
pub use contract::VERSION;
pub use differences::differences;
pub use engine::{HostError, PluginHost};
pub use grants::{
    GrantError, Services,
    fetch::{Fetch, FetchError},
    needed_grant,
};
pub use load::Binary;
pub use load_error::LoadError;
pub use loaded::{Candidate, LoadedPlugin};
pub use names::{Names, NamesError};
pub use signature::{MINISIGN_ANNOTATION, MinisignError, MinisignKey};
pub use slot::{Compared, Events, Generation, Judge, Slot, Trial};
pub use source::SourceError;
pub use tally::{Counts, Rates, Share, Tally};
pub use versions::{
    Canary, How, PluginStatus, SwapError, SwapState, Swapped, Swaps, TrialStatus, Version,
};

use std::{future::Future, sync::Arc};

use crate::{event::Event, outcome::Outcome};

/// Shapes batches and judges outcomes. The engine's tests have a scripted one.
pub trait Plugin: Send + Sync + 'static {
    /// From events to requests. What it returns is unchecked: see `delivery::contract`.
    ///
    /// # Errors
    /// When the plugin refuses the batch, traps, runs too long or breaks a limit.
    fn shape(
        &self,
        events: &[Arc<Event>],
    ) -> impl Future<Output = Result<Shaped, PluginError>> + Send;

    /// Whether the plugin exports `handling`.
    fn handles(&self) -> bool;

    /// What it is, for whoever records it.
    fn identity(&self) -> Arc<Identity> {
        Arc::default()
    }

    /// From an outcome to a verdict and results. Called only where [`Plugin::handles`] is true.
    ///
    /// # Errors
    /// When the plugin traps, runs too long or breaks a limit.
    fn handle(
        &self,
        call: CurrentCall,
        outcome: Outcome,
    ) -> impl Future<Output = Result<Handled, PluginError>> + Send;
}

/// What makes one plugin of a sink another than the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The component's SHA-256 digest, in hexadecimal.
    pub digest: String,
    /// `plugin.config` as JSON text.
    pub config: String,
    /// What it was granted.
    pub grants: settings::GrantSettings,
}

/// What the guest's `current-call` functions read.
#[derive(Debug, Clone)]
pub struct CurrentCall {
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The request as `shape` returned it.
    pub request: Arc<ShapedRequest>,
    /// The events of the call, in the order of `request.events`.
    pub events: Arc<[Arc<Event>]>,
}
