//! The instances of one plugin: made when needed, kept while they are idle, thrown away at the first trap.
//!
//! # Invariants
//! - An instance is owned by the call that uses it. It comes back only after a call that ended well; a call that fails, or
//!   whose future is dropped, takes it along.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::Semaphore, time::Instant};

use super::{
    Handled, PluginError,
    instance::{Instance, MakeError, Recipe},
};
use crate::metrics::{Buckets, PluginFailure, PluginStats, PluginTime};

/// Makes and keeps the instances of one plugin.
pub(super) struct Pool {
    recipe: Recipe,
    idle: Mutex<Vec<Instance>>,
    slots: Semaphore,
}

impl Pool {
    pub(super) fn new(recipe: Recipe) -> Self {
        Self {
            slots: Semaphore::new(recipe.limits.instances.max(1)),
            idle: Mutex::default(),
            recipe,
        }
    }

    /// Instances of the same plugin that write to a store of their own; these, if there is none to spare.
    pub(super) fn rehearsal(self: &Arc<Self>) -> Arc<Self> {
        let Some(granted) = self.recipe.granted.rehearsal() else {
            return Arc::clone(self);
        };
        Arc::new(Self::new(Recipe {
            granted: Arc::new(granted),
            ..self.recipe.clone()
        }))
    }

    /// What it counts.
    pub(super) fn stats(&self) -> &Arc<PluginStats> {
        self.recipe.stats()
    }

    pub(super) fn handles(&self) -> bool {
        self.recipe.handling.is_some()
    }

    /// Makes an instance and configures it.
    pub(super) async fn make(&self) -> Result<Instance, MakeError> {
        self.recipe.make().await
    }

    /// Runs `work` with an instance, once one is free; counts in `time` how long it took.
    pub(super) async fn with<R>(
        &self,
        time: &Buckets<PluginTime>,
        work: impl AsyncFnOnce(&mut Instance) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let answer = self.answer(time, work).await;
        let failure = match &answer {
            Ok(_) | Err(PluginError::Refused(_)) => return answer,
            Err(PluginError::Trapped(_)) => PluginFailure::Trapped,
            Err(PluginError::TimedOut(_)) => PluginFailure::TimedOut,
            Err(PluginError::Limit(_)) => PluginFailure::Limit,
            Err(PluginError::Instance(_)) => PluginFailure::Instance,
        };
        self.stats().failures.count(failure);
        answer
    }

    async fn answer<R>(
        &self,
        time: &Buckets<PluginTime>,
        work: impl AsyncFnOnce(&mut Instance) -> wasmtime::Result<R>,
    ) -> Result<R, PluginError> {
        let _slot = self.slots.acquire().await.map_err(|_| gone())?;
        self.share().await;
        let idle = self.lock().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.make().await.map_err(|error| match error {
                MakeError::Unfit(error) => PluginError::Instance(error.to_string()),
                MakeError::Failed(error) => PluginError::Instance(error.to_string()),
                MakeError::Refused(reason) => {
                    PluginError::Instance(format!("`configure` refused: {reason}"))
                }
            })?,
        };
        let clock = instance.begins();
        let started = Instant::now();
        let worked = clock.limit(work(&mut instance)).await;
        time.record(started.elapsed());
        match worked {
            Some(Ok(result)) => {
                instance.answered();
                if instance.is_worn(&self.recipe.limits) {
                    self.stats().recycled.add(1);
                } else {
                    self.lock().push(instance);
                }
                Ok(result)
            }
            Some(Err(error)) => Err(instance.failed(&error, &self.recipe.limits)),
            None => Err(PluginError::TimedOut(self.recipe.limits.time)),
        }
    }

    /// Waits until the plugin's share of processors is not spent.
    async fn share(&self) {
        let mut waited = false;
        while let Some(until) = self.recipe.budget.wait(Instant::now()) {
            if !std::mem::replace(&mut waited, true) {
                self.stats().throttled.add(1);
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// What `handle` gave, unless it is more than it may be.
    pub(super) fn bounded(&self, handled: Handled) -> Result<Handled, PluginError> {
        let (results, max) = (handled.results.len(), self.recipe.limits.results);
        if results <= max {
            return Ok(handled);
        }
        self.stats().failures.count(PluginFailure::Limit);
        Err(PluginError::Limit(format!(
            "it gave {results} results for one response, more than {max} (`limits.results`)"
        )))
    }

    /// Linear memory of an instance that is idle, in bytes: of the largest one.
    pub(super) fn memory(&self) -> usize {
        let idle = self.lock();
        idle.iter().map(Instance::memory).max().unwrap_or(0)
    }

    /// How many instances it has, idle or at work.
    pub(super) fn size(&self) -> usize {
        let most = self.recipe.limits.instances;
        let at_work = most.saturating_sub(self.slots.available_permits());
        // One that ends its work is both for a moment.
        (at_work + self.lock().len()).min(most)
    }

    /// Keeps an instance that was made ahead.
    pub(super) fn put(&self, instance: Instance) {
        self.lock().push(instance);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> PluginError {
    PluginError::Instance("the plugin is being replaced".to_owned())
}
