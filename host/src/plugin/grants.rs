//! What a plugin is granted beyond its input: what is linked for it, and what stands behind WASI.
//!
//! # Invariants
//! - Without a grant nothing is linked but WASI, with nothing in it: no variables, no files, no network, clocks that stand
//!   still, and the same random numbers for each instance.
//! - What a grant opens is opened for one sink.

pub(super) mod fetch;
mod keyvalue;
pub(super) mod settings;
mod still;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use self::{
    fetch::{Fetch, Hooks},
    keyvalue::{Entries, Store},
    settings::GrantSettings,
    still::Sequence,
};
use super::{engine::PluginHost, instance::State, output::GuestLog};

/// Why what is granted cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A folder.
    #[error("the folder `{}` of `grants.files` cannot be opened: {reason}", path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The store.
    #[error("the store of `grants.keyvalue` in `{}` cannot be opened: {reason}", path.display())]
    Keyvalue {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The engine.
    #[error("what is granted cannot be linked: {0}")]
    Link(String),
}

/// What grants are made of.
#[derive(Debug, Default)]
pub struct Services {
    fetch: Option<Arc<dyn Fetch>>,
    /// Where stores are kept; without, in memory.
    stores: Option<PathBuf>,
    /// Those that are open, by sink: two versions of a plugin have one.
    open: Mutex<HashMap<String, Weak<Entries>>>,
}

impl Services {
    /// `fetch` makes the requests of `grants.http`; `stores` is a folder for those of `grants.keyvalue`, which are gone with the
    /// process without one.
    pub fn new(fetch: Arc<dyn Fetch>, stores: Option<PathBuf>) -> Self {
        Self {
            fetch: Some(fetch),
            stores,
            open: Mutex::default(),
        }
    }

    fn entries(&self, settings: &GrantSettings) -> Result<Option<Arc<Entries>>, GrantError> {
        let Some(grant) = settings.keyvalue else {
            return Ok(None);
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = open.get(&settings.sink).and_then(Weak::upgrade) {
            entries.limit(grant);
            return Ok(Some(entries));
        }
        let name = format!("{}.redb", settings.sink.replace('/', "_"));
        let path = self.stores.as_ref().map(|folder| folder.join(name));
        let entries = Entries::open(path.as_deref(), grant);
        let entries = Arc::new(entries.map_err(|reason| GrantError::Keyvalue {
            path: path.unwrap_or_default(),
            reason,
        })?);
        entries.keep();
        open.insert(settings.sink.clone(), Arc::downgrade(&entries));
        Ok(Some(entries))
    }
}

/// What one plugin is granted, opened: each instance gets its own of it.
#[derive(Clone)]
pub(super) struct Granted {
    settings: GrantSettings,
    sequence: Sequence,
    fetch: Option<Arc<dyn Fetch>>,
    store: Option<Store>,
}

impl Granted {
    /// What WASI has for an instance, but for its output.
    pub(super) fn context(&self, builder: &mut WasiCtxBuilder) -> Result<(), GrantError> {
        let settings = &self.settings;
        if !settings.clock {
            still::clocks(builder);
        }
        if !settings.random {
            self.sequence.give(builder);
        }
        for variable in &settings.env {
            builder.env(&variable.name, &variable.value);
        }
        for folder in &settings.files {
            let opened = builder.preopened_dir(&folder.path, &folder.guest, FsPerms::ReadOnly);
            opened.map_err(|error| GrantError::Files {
                path: folder.path.clone(),
                reason: error.root_cause().to_string(),
            })?;
        }
        Ok(())
    }

    /// The same, without a way to write what lasts; none if there is no such way. Requests by `grants.http` are made: a plugin
    /// that asks for what it needs could not be rehearsed without an answer (docs/swapping.md).
    pub(super) fn rehearsal(&self) -> Option<Self> {
        let store = self.store.as_ref()?.rehearsed();
        Some(Self {
            store: Some(store),
            ..self.clone()
        })
    }

    /// What an instance works with beside WASI.
    pub(super) fn session(&self, log: &Arc<GuestLog>) -> Session {
        let parts = self.settings.http.clone().zip(self.fetch.clone());
        Session {
            hooks: Hooks::new(parts, Arc::clone(log)),
            store: self.store.clone(),
        }
    }
}

/// The grants of one instance.
pub(super) struct Session {
    pub(super) hooks: Hooks,
    store: Option<Store>,
}

impl Session {
    /// The sink's store, if it is granted.
    fn store(&self) -> Option<Store> {
        self.store.clone()
    }

    /// A call of the plugin begins.
    pub(super) fn call_begins(&mut self) {
        self.hooks.call_begins();
    }
}

impl PluginHost {
    /// The same host, which can grant what plugins are to have.
    #[must_use]
    pub fn offering(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// What is linked for a plugin with these grants, and what is behind it.
    pub(super) fn grant(
        &self,
        settings: &GrantSettings,
    ) -> Result<(Linker<State>, Arc<Granted>), GrantError> {
        let link = |error: wasmtime::Error| GrantError::Link(format!("{error:#}"));
        let mut linker = self.linker.clone();
        if settings.http.is_some() {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(link)?;
        }
        if settings.keyvalue.is_some() {
            keyvalue::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)
                .map_err(link)?;
        }
        let granted = Granted {
            sequence: Sequence::of(&settings.sink),
            settings: settings.clone(),
            fetch: self.services.fetch.clone(),
            store: self.services.entries(settings)?.map(Store::Lasting),
        };
        // What cannot be opened is known before the first instance.
        granted.context(&mut WasiCtxBuilder::new())?;
        Ok((linker, Arc::new(granted)))
    }
}

/// The line of a module file that grants what a plugin imports; none if that needs no grant.
pub fn needed_grant(import: &str) -> Option<&'static str> {
    Needed::by(import).map(Needed::line)
}

/// A grant that an import needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    /// `grants.http`.
    Http,
    /// `grants.keyvalue`.
    Keyvalue,
}

impl Needed {
    /// The grant that offers `import`, if there is one.
    pub(super) fn by(import: &str) -> Option<Self> {
        let http = ["wasi:http/outgoing-handler@0.2.", "wasi:http/types@0.2."];
        if http.iter().any(|name| import.starts_with(name)) {
            return Some(Self::Http);
        }
        (import == "wasi:keyvalue/store@0.2.0-draft").then_some(Self::Keyvalue)
    }

    /// Whether it is among `settings`.
    pub(super) fn is_given(self, settings: &GrantSettings) -> bool {
        match self {
            Self::Http => settings.http.is_some(),
            Self::Keyvalue => settings.keyvalue.is_some(),
        }
    }

    /// The line of the module file that gives it.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Http => "grants: { http: [HOST] }",
            Self::Keyvalue => "grants: { keyvalue: {} }",
        }
    }
}
