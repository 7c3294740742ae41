//! Instances, and how they are made: a store each, as a trap poisons the whole store, so nothing else may live in it.

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{InstancePre, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{
    CurrentCall, PluginError,
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
use crate::metrics::PluginStats;

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
/// Random bytes that are made at a time.
const MAX_RANDOM: u64 = 1024 * 1024;

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

impl Instance {
    /// A call begins.
    pub(super) fn begins(&mut self) -> Arc<Clock> {
        start_clock(&mut self.store)
    }

    /// A call has ended well.
    pub(super) fn answered(&mut self) {
        self.calls += 1;
    }

    /// A call has failed: why, in words for the plugin's author.
    pub(super) fn failed(&self, error: &wasmtime::Error, limits: &PluginLimits) -> PluginError {
        classify(error, &self.store, limits)
    }

    /// Whether it is thrown away between two calls: what leaks never comes to its limit, and no call fails.
    pub(super) fn is_worn(&self, limits: &PluginLimits) -> bool {
        let most = limits.recycle_after;
        most.is_some_and(|most| self.calls >= most) || self.memory() > self.grown
    }

    /// Its linear memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.store.data().limiter.memory()
    }
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

/// What the instances of one plugin are made of.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) pre: InstancePre<State>,
    pub(super) shaping: shaping::GuestIndices,
    pub(super) handling: Option<handling::GuestIndices>,
    pub(super) config: String,
    pub(super) limits: PluginLimits,
    pub(super) granted: Arc<Granted>,
    pub(super) log: Arc<GuestLog>,
    /// What all of them may use of processors.
    pub(super) budget: Arc<Budget>,
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

impl Recipe {
    /// Makes an instance and configures it.
    pub(super) async fn make(&self) -> Result<Instance, MakeError> {
        let words = LastWords::default();
        let mut wasi = WasiCtx::builder();
        // Made byte by byte, while nobody else has the thread.
        wasi.max_random_size(MAX_RANDOM);
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
            let (ticks, may_go_on) = state.clock.tick();
            state.budget.charge(Instant::now(), ticks);
            state.log.stats().cpu.add(TICK * ticks);
            Ok(if may_go_on {
                UpdateDeadline::Yield(1)
            } else {
                UpdateDeadline::Interrupt
            })
        });
        let clock = start_clock(&mut store);
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
            .map_err(|error| MakeError::Failed(classify(&error, &store, &self.limits)))??;
        let memory = store.data().limiter.memory();
        Ok(Instance {
            store,
            shaping,
            handling,
            scratch: Scratch::default(),
            calls: 0,
            grown: memory + self.limits.memory.saturating_sub(memory) / 2,
            _alive: Alive::new(self.stats()),
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

    /// What is counted of them.
    pub(super) fn stats(&self) -> &Arc<PluginStats> {
        self.log.stats()
    }
}

/// A call begins: its time and what it may use are counted from now.
fn start_clock(store: &mut Store<State>) -> Arc<Clock> {
    store.data_mut().limiter.start();
    store.data_mut().grants.call_begins();
    store.data().words.call_begins();
    store.set_epoch_deadline(1);
    let clock = &store.data().clock;
    clock.start();
    Arc::clone(clock)
}

/// What a failed call was, in words for its author.
fn classify(error: &wasmtime::Error, store: &Store<State>, limits: &PluginLimits) -> PluginError {
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
