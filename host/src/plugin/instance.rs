//! Instances: a store each, made when needed, thrown away at the first trap.
//!
//! # Invariants
//! - One instance for each store: a trap poisons the whole store, so nothing else may live in it.
//! - An instance is owned by the call that uses it. It comes back to the pool only after a call that ended
//!   well; a call that fails, or whose future is dropped, takes it along.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{sync::Semaphore, time::Instant};
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{InstancePre, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    CurrentCall, Handled, PluginError,
    bindings::exports::nozzle::plugin::{handling, shaping},
    budget::Budget,
    clock::{Clock, TICK},
    grants::{Granted, Session},
    last_words::LastWords,
    limiter::Limiter,
    lower::Scratch,
    output::{GuestLog, GuestOutput, clean},
    settings::PluginLimits,
};
use crate::metrics::{Buckets, PluginFailure, PluginStats, PluginTime};

/// What a guest's imports work with.
pub(super) struct State {
    wasi: WasiCtx,
    wasi_http: WasiHttpCtx,
    pub(super) table: ResourceTable,
    pub(super) grants: Session,
    limiter: Limiter,
    pub(super) log: Arc<GuestLog>,
    words: LastWords,
    /// The call whose outcome is being handled.
    pub(super) call: Option<CurrentCall>,
    clock: Arc<Clock>,
    budget: Arc<Budget>,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.grants.hooks,
            table: &mut self.table,
            ctx: &mut self.wasi_http,
        }
    }
}

/// Resources of WASI that one instance may hold.
const MAX_HANDLES: usize = 10_000;

/// A guest that is configured and idle, or that one call owns.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) shaping: shaping::Guest,
    pub(super) handling: Option<handling::Guest>,
    pub(super) scratch: Scratch,
    /// Calls that it has answered.
    calls: u64,
    /// The memory with which it is thrown away, in bytes: half way from what it had when it was configured to the limit.
    grown: usize,
    _alive: Alive,
}

/// Counts an instance for as long as it is there.
struct Alive(Arc<PluginStats>);

impl Alive {
    fn new(stats: &Arc<PluginStats>) -> Self {
        stats.instances_made.add(1);
        stats.instances.add(1);
        Self(Arc::clone(stats))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.instances.sub(1);
    }
}

/// Makes and keeps the instances of one plugin.
pub(super) struct Pool {
    pre: InstancePre<State>,
    shaping: shaping::GuestIndices,
    handling: Option<handling::GuestIndices>,
    config: String,
    limits: PluginLimits,
    granted: Arc<Granted>,
    log: Arc<GuestLog>,
    idle: Mutex<Vec<Instance>>,
    slots: Semaphore,
    budget: Arc<Budget>,
    stats: Arc<PluginStats>,
}

/// Why an instance could not be made.
#[derive(Debug)]
pub(super) enum MakeError {
    /// What it exports has other types than the contract: known only once it is instantiated.
    Unfit(wasmtime::Error),
    /// It could not be instantiated, or trapped in `configure`.
    Failed(PluginError),
    /// `configure` returned an error.
    Refused(String),
}

impl Pool {
    pub(super) fn new(
        pre: InstancePre<State>,
        shaping: shaping::GuestIndices,
        handling: Option<handling::GuestIndices>,
        config: String,
        limits: PluginLimits,
        granted: Arc<Granted>,
        log: Arc<GuestLog>,
    ) -> Self {
        let slots = Semaphore::new(limits.instances.max(1));
        let budget = Arc::new(Budget::new(limits.cpu_millis));
        let stats = Arc::clone(log.stats());
        Self {
            pre,
            shaping,
            handling,
            config,
            limits,
            granted,
            log,
            idle: Mutex::default(),
            slots,
            budget,
            stats,
        }
    }

    /// Instances of the same plugin that write to a store of their own; these, if there is none to spare.
    pub(super) fn rehearsal(self: &Arc<Self>) -> Arc<Self> {
        let Some(granted) = self.granted.rehearsal() else {
            return Arc::clone(self);
        };
        Arc::new(Self {
            pre: self.pre.clone(),
            shaping: self.shaping.clone(),
            handling: self.handling.clone(),
            config: self.config.clone(),
            limits: self.limits.clone(),
            granted: Arc::new(granted),
            log: Arc::clone(&self.log),
            idle: Mutex::default(),
            slots: Semaphore::new(self.limits.instances.max(1)),
            budget: Arc::clone(&self.budget),
            stats: Arc::clone(&self.stats),
        })
    }

    /// What it counts.
    pub(super) fn stats(&self) -> &Arc<PluginStats> {
        &self.stats
    }

    pub(super) fn handles(&self) -> bool {
        self.handling.is_some()
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
        self.stats.failures.count(failure);
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
        let clock = self.start_clock(&mut instance.store);
        let started = Instant::now();
        let worked = clock.limit(work(&mut instance)).await;
        time.record(started.elapsed());
        match worked {
            Some(Ok(result)) => {
                instance.calls += 1;
                if self.is_worn(&instance) {
                    self.stats.recycled.add(1);
                } else {
                    self.lock().push(instance);
                }
                Ok(result)
            }
            Some(Err(error)) => Err(self.classify(&error, &instance.store)),
            None => Err(PluginError::TimedOut(self.limits.time)),
        }
    }

    /// Waits until the plugin's share of processors is not spent.
    async fn share(&self) {
        let mut waited = false;
        while let Some(until) = self.budget.wait(Instant::now()) {
            if !std::mem::replace(&mut waited, true) {
                self.stats.throttled.add(1);
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Whether an instance is thrown away between two calls: what leaks never comes to its limit, and no call fails.
    fn is_worn(&self, instance: &Instance) -> bool {
        let limit = self.limits.recycle_after;
        limit.is_some_and(|limit| instance.calls >= limit)
            || instance.store.data().limiter.memory() > instance.grown
    }

    /// What `handle` gave, unless it is more than it may be.
    pub(super) fn bounded(&self, handled: Handled) -> Result<Handled, PluginError> {
        let (results, max) = (handled.results.len(), self.limits.results);
        if results <= max {
            return Ok(handled);
        }
        self.stats.failures.count(PluginFailure::Limit);
        Err(PluginError::Limit(format!(
            "it gave {results} results for one response, more than {max} (`limits.results`)"
        )))
    }

    /// Makes an instance and configures it.
    pub(super) async fn make(&self) -> Result<Instance, MakeError> {
        let words = LastWords::default();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(GuestOutput::stdout(Arc::clone(&self.log)));
        wasi.stderr(GuestOutput::stderr(Arc::clone(&self.log), words.clone()));
        let given = self.granted.context(&mut wasi);
        given.map_err(|error| MakeError::Failed(PluginError::Instance(error.to_string())))?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let state = State {
            wasi: wasi.build(),
            wasi_http: WasiHttpCtx::new(),
            table,
            grants: self.granted.session(&self.log),
            limiter: Limiter::new(self.limits.memory),
            log: Arc::clone(&self.log),
            words,
            call: None,
            clock: Arc::new(Clock::new(self.limits.time)),
            budget: Arc::clone(&self.budget),
        };
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.limits.output);
        store.epoch_deadline_callback(|store| {
            let state = store.data();
            state.budget.charge(Instant::now());
            state.log.stats().cpu.add(TICK);
            Ok(if state.clock.tick() {
                UpdateDeadline::Yield(1)
            } else {
                UpdateDeadline::Interrupt
            })
        });
        let clock = self.start_clock(&mut store);
        let made = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let (shaping, handling) = match self.typed(&mut store, &instance) {
                Ok(exports) => exports,
                Err(error) => return Ok(Err(MakeError::Unfit(error))),
            };
            let configured = shaping.call_configure(&mut store, &self.config).await?;
            let exports = configured.map(|()| (shaping, handling));
            Ok(exports.map_err(|reason| MakeError::Refused(clean(&reason))))
        };
        let made = clock.limit(made).await;
        let timed_out = || MakeError::Failed(PluginError::TimedOut(self.limits.time));
        let (shaping, handling) = made
            .ok_or_else(timed_out)?
            .map_err(|error| MakeError::Failed(self.classify(&error, &store)))??;
        let memory = store.data().limiter.memory();
        Ok(Instance {
            store,
            shaping,
            handling,
            scratch: Scratch::default(),
            calls: 0,
            grown: memory + self.limits.memory.saturating_sub(memory) / 2,
            _alive: Alive::new(&self.stats),
        })
    }

    /// The exports of an instance, if they have the contract's types.
    fn typed(
        &self,
        store: &mut Store<State>,
        instance: &wasmtime::component::Instance,
    ) -> wasmtime::Result<(shaping::Guest, Option<handling::Guest>)> {
        let shaping = self.shaping.load(&mut *store, instance)?;
        let handling = self.handling.as_ref();
        let handling = handling.map(|indices| indices.load(store, instance));
        Ok((shaping, handling.transpose()?))
    }

    /// Linear memory of an instance that is idle, in bytes: of the largest one.
    pub(super) fn memory(&self) -> usize {
        let idle = self.lock();
        let memory = |instance: &Instance| instance.store.data().limiter.memory();
        idle.iter().map(memory).max().unwrap_or(0)
    }

    /// How many instances it has, idle or at work.
    pub(super) fn size(&self) -> usize {
        let most = self.limits.instances;
        let at_work = most.saturating_sub(self.slots.available_permits());
        // One that ends its work is both for a moment.
        (at_work + self.lock().len()).min(most)
    }

    /// Keeps an instance that was made ahead.
    pub(super) fn put(&self, instance: Instance) {
        self.lock().push(instance);
    }

    fn start_clock(&self, store: &mut Store<State>) -> Arc<Clock> {
        store.data_mut().limiter.start();
        store.data_mut().grants.call_begins();
        store.data().words.call_begins();
        store.set_epoch_deadline(1);
        let clock = &store.data().clock;
        clock.start();
        Arc::clone(clock)
    }

    /// What a failed call was, in words for its author.
    fn classify(&self, error: &wasmtime::Error, store: &Store<State>) -> PluginError {
        let limits = &self.limits;
        if let Some(refused) = store.data().limiter.refused() {
            return PluginError::Limit(refused.text(limits.memory));
        }
        let text = error.root_cause().to_string();
        if text.contains("fuel allocated for hostcalls") {
            let output = limits.output;
            return PluginError::Limit(format!(
                "it passed more than {output} bytes to the host at once (`limits.output`)"
            ));
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => PluginError::TimedOut(limits.time),
            trap => {
                let trap = trap.map_or(text, ToString::to_string);
                PluginError::Trapped(match store.data().words.text() {
                    Some(words) => format!("{trap}; it said: {words}"),
                    None => trap,
                })
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> PluginError {
    PluginError::Instance("the plugin is being replaced".to_owned())
}
