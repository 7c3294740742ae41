//! Which version of a plugin shapes the next batch: replaced while its sink runs.
//!
//! # Invariants
//! - A batch is shaped by one generation, and the calls of its answer are judged by the same one, however long they take:
//!   each holds on to it. When the last such call has ended, the generation's instances and code are gone.
//! - Changing what serves takes no lock that a batch waits for.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};

use super::{CurrentCall, Handled, Plugin, PluginError, Shaped, Tally};
use crate::{event::Event, outcome::Outcome};

/// The events of a batch, in order.
pub type Events = Arc<[Arc<Event>]>;

/// One version of a sink's plugin.
#[derive(Debug)]
pub struct Generation<P> {
    /// 1 for the first one that a state directory saw for this sink.
    pub number: u64,
    /// The version itself.
    pub plugin: P,
    /// How it does.
    pub tally: Tally,
}

/// Handles the outcomes of calls that a generation shaped, whatever has come after it.
pub trait Judge: Send + Sync {
    /// Its number.
    fn number(&self) -> u64;

    /// How it does.
    fn tally(&self) -> &Tally;

    /// See [`Plugin::handles`].
    fn handles(&self) -> bool;

    /// See [`Plugin::handle`].
    fn handle(
        &self,
        call: CurrentCall,
        outcome: Outcome,
    ) -> Pin<Box<dyn Future<Output = Result<Handled, PluginError>> + Send + '_>>;
}

impl<P: Plugin> Judge for Generation<P> {
    fn number(&self) -> u64 {
        self.number
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn handles(&self) -> bool {
        self.plugin.handles()
    }

    fn handle(
        &self,
        call: CurrentCall,
        outcome: Outcome,
    ) -> Pin<Box<dyn Future<Output = Result<Handled, PluginError>> + Send + '_>> {
        Box::pin(self.plugin.handle(call, outcome))
    }
}

impl std::fmt::Debug for dyn Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "generation {}", self.number())
    }
}

/// A version that is tried beside the one that serves.
#[derive(Debug)]
pub enum Trial<P> {
    /// It is given this share of the batches, from 0 to 1.
    Canary(Arc<Generation<P>>, f64),
    /// It is given copies, and nothing of it is sent. A batch for which the queue has no room is left out.
    Shadow(mpsc::Sender<Compared>),
}

/// A batch, and what the serving generation made of it.
#[derive(Debug)]
pub struct Compared {
    /// The batch.
    pub events: Events,
    /// The answer.
    pub shaped: Shaped,
}

impl<P> Clone for Trial<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Canary(generation, share) => Self::Canary(Arc::clone(generation), *share),
            Self::Shadow(queue) => Self::Shadow(queue.clone()),
        }
    }
}

#[derive(Debug)]
struct Serving<P> {
    main: Arc<Generation<P>>,
    trial: Option<Trial<P>>,
}

/// A sink's plugin, whatever version it is at.
#[derive(Debug)]
pub struct Slot<P> {
    serving: ArcSwap<Serving<P>>,
    last: Mutex<Option<Events>>,
    /// The number of the generation that serves.
    number: watch::Sender<u64>,
}

impl<P: Plugin> Slot<P> {
    /// A slot that `plugin` serves, as generation 1.
    pub fn new(plugin: P) -> Arc<Self> {
        Self::with(1, plugin)
    }

    /// A slot that `plugin` serves as the generation of this number.
    pub fn with(number: u64, plugin: P) -> Arc<Self> {
        let main = Arc::new(Generation {
            number,
            plugin,
            tally: Tally::default(),
        });
        Arc::new(Self {
            serving: ArcSwap::from_pointee(Serving { main, trial: None }),
            last: Mutex::default(),
            number: watch::Sender::new(number),
        })
    }

    /// The generation that serves.
    pub fn main(&self) -> Arc<Generation<P>> {
        Arc::clone(&self.serving.load().main)
    }

    /// The generation for the next batch: the one that serves, or one that is tried.
    pub fn next(&self) -> Arc<Generation<P>> {
        let serving = self.serving.load();
        match &serving.trial {
            Some(Trial::Canary(generation, share)) if fastrand::f64() < *share => {
                Arc::clone(generation)
            }
            _ => Arc::clone(&serving.main),
        }
    }

    /// From the next batch on, `generation` serves, and nothing is tried.
    pub fn serve(&self, generation: Arc<Generation<P>>) {
        let number = generation.number;
        self.serving.store(Arc::new(Serving {
            main: generation,
            trial: None,
        }));
        self.number.send_replace(number);
    }

    /// Ends when another generation than this one serves.
    ///
    /// # Cancel safety
    /// A change is not missed: it is told by the number.
    pub async fn replaced(&self, number: u64) {
        let mut serving = self.number.subscribe();
        // The sender lives in this slot.
        drop(serving.wait_for(|serving| *serving != number).await);
    }

    /// Tries a version beside the one that serves, or ends that.
    pub fn try_out(&self, trial: Option<Trial<P>>) {
        self.serving.rcu(|serving| Serving {
            main: Arc::clone(&serving.main),
            trial: trial.clone(),
        });
    }

    /// A batch comes: the last one is kept, so that a new version can be rehearsed on it.
    pub fn comes(&self, events: &Events) {
        *self.lock() = Some(Arc::clone(events));
    }

    /// The last batch that came.
    pub fn last_batch(&self) -> Option<Events> {
        self.lock().clone()
    }

    /// Where copies of batches and answers go, if a version is compared.
    pub fn shadow(&self) -> Option<mpsc::Sender<Compared>> {
        match &self.serving.load().trial {
            Some(Trial::Shadow(queue)) => Some(queue.clone()),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Events>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
