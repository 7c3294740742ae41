//! The wasmtime engine: how guests are compiled, interrupted and linked.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use wasmtime::{
    Config, Engine,
    component::{HasSelf, Linker},
};

use super::{bindings, clock::TICK, compile::Compiler, grants::Services, instance::State};
use crate::oci;

/// Why the plugin host could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The cache of compiled plugins cannot be used.
    #[error("the cache of compiled plugins in `{}` cannot be used", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine refuses this machine or its configuration.
    #[error("the WebAssembly engine cannot run here: {0}")]
    Engine(String),
    /// The thread that ends what runs too long could not be started.
    #[error("the epoch thread could not be started")]
    Ticker(#[source] std::io::Error),
}

/// Compiles plugins and makes instances of them. One for a process.
pub struct PluginHost {
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
    /// None: what is compiled is not kept.
    pub(super) compiler: Option<Compiler>,
    /// What each sink keeps of what was compiled.
    used: Mutex<BTreeMap<String, Vec<String>>>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) services: Services,
    /// What was pulled from registries.
    pub(super) packages: Option<oci::Cache>,
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").finish_non_exhaustive()
    }
}

impl PluginHost {
    /// Keeps what was compiled of these components for a sink, by their digests in hexadecimal.
    pub fn keep_for(&self, sink: &str, digests: Vec<String>) {
        self.used().insert(sink.to_owned(), digests);
    }

    /// Lets go of what was compiled for no sink, now that each has said what it keeps.
    pub fn tidy(&self) {
        if let Some(compiler) = &self.compiler {
            let used = self.used();
            let digests: Vec<&str> = used.values().flatten().map(String::as_str).collect();
            compiler.keep(&self.engine, &digests);
        }
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host that keeps compiled plugins in `cache`, so that a second start costs milliseconds.
    ///
    /// # Errors
    /// When the folder cannot be used, or the engine cannot run on this machine.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, HostError> {
        Self::open(cache, None)
    }

    /// The same; plugins are compiled by `program`, which is this one, in processes of their own.
    ///
    /// # Errors
    /// When the folder cannot be used, or the engine cannot run on this machine.
    pub fn compiling_apart(cache: PathBuf, program: PathBuf) -> Result<Self, HostError> {
        Self::open(Some(cache), Some(program))
    }

    fn open(cache: Option<PathBuf>, program: Option<PathBuf>) -> Result<Self, HostError> {
        let fail = |error: wasmtime::Error| HostError::Engine(format!("{error:#}"));
        let compiler = cache.map(|path| {
            Compiler::new(path.clone(), program).map_err(|source| HostError::Cache { path, source })
        });
        let config = engine_config();
        let engine = Engine::new(&config).map_err(fail)?;
        let mut linker = Linker::new(&engine);
        // Guests in Python, JavaScript and Rust import WASI: it is there, with nothing in it.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(fail)?;
        bindings::nozzle::plugin::host::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
            .map_err(fail)?;
        bindings::nozzle::plugin::current_call::add_to_linker::<_, HasSelf<_>>(
            &mut linker,
            |state| state,
        )
        .map_err(fail)?;
        let ticker = Ticker::start(engine.clone()).map_err(HostError::Ticker)?;
        Ok(Self {
            engine,
            linker,
            compiler: compiler.transpose()?,
            used: Mutex::default(),
            ticker: Arc::new(ticker),
            services: Services::default(),
            packages: None,
        })
    }
}

/// What makes machine code of a component, and so what must be the same wherever it is made.
pub(super) fn engine_config() -> Config {
    let mut config = Config::new();
    // No WASI 0.3: without it each call costs a third (docs/decisions/002-plugin-calls-on-fibers.md).
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.wasm_backtrace_max_frames(None);
    config
}

/// A thread of its own, so that epochs go on when every worker runs a guest. Every plugin holds on to it.
pub(super) struct Ticker {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("nozzle-epochs".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // Without its sender the thread ends at once.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
