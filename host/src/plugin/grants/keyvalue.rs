//! wasi:keyvalue for plugins: a store for each sink, with bounds.
//!
//! It is for caches and for what was seen before. What is written is durable within a second: after a crash it may lack the last one.
//!
//! # Invariants
//! - The bounds hold after each write; a write beyond them changes nothing.
//! - A store has one sink, whose instances and versions share it.
//! - What is only rehearsed writes to a store of its own, which is thrown away.

mod entries;
mod overlay;

use std::{ops::ControlFlow, sync::Arc};

use wasmtime::component::Resource;

use self::{
    bindings::wasi::keyvalue::store::{self, Error, KeyResponse},
    overlay::Overlay,
};
use crate::plugin::instance::State;

pub(super) use self::entries::Entries;

pub(super) use bindings::wasi::keyvalue::store::add_to_linker;

mod bindings {
    wasmtime::component::bindgen!({
        inline: r#"
            package nozzle:grants;

            world grants {
                import wasi:keyvalue/store@0.2.0-draft;
            }

            package wasi:keyvalue@0.2.0-draft {
                interface store {
                    variant error {
                        no-such-store,
                        access-denied,
                        other(string)
                    }
                    record key-response {
                        keys: list<string>,
                        cursor: option<u64>
                    }
                    open: func(identifier: string) -> result<bucket, error>;
                    resource bucket {
                        get: func(key: string) -> result<option<list<u8>>, error>;
                        set: func(key: string, value: list<u8>) -> result<_, error>;
                        delete: func(key: string) -> result<_, error>;
                        exists: func(key: string) -> result<bool, error>;
                        list-keys: func(cursor: option<u64>) -> result<key-response, error>;
                    }
                }
            }
        "#,
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
    });
}

/// The longest key, in bytes.
const MAX_KEY: usize = 4 * 1024;
/// Keys in one answer of `list-keys`.
const PAGE: usize = 1000;

/// What a guest's handle stands for.
#[expect(unreachable_pub, reason = "what is generated exports it")]
pub struct Bucket(Store);

/// What an instance works with.
#[derive(Debug, Clone)]
pub(super) enum Store {
    /// The sink's.
    Lasting(Arc<Entries>),
    /// What stands over it while a version is rehearsed.
    Rehearsed(Arc<Overlay>),
}

impl Store {
    /// One that shows what this one holds, and keeps to itself what is written to it.
    pub(super) fn rehearsed(&self) -> Self {
        let entries = match self {
            Self::Lasting(entries) => entries,
            Self::Rehearsed(overlay) => overlay.below(),
        };
        Self::Rehearsed(Arc::new(Overlay::new(Arc::clone(entries))))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Lasting(entries) => entries.get(key),
            Self::Rehearsed(overlay) => overlay.get(key),
        }
    }

    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Lasting(entries) => entries.set(key, &value),
            Self::Rehearsed(overlay) => overlay.set(key, value),
        }
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Lasting(entries) => entries.delete(key),
            Self::Rehearsed(overlay) => overlay.delete(key),
        }
    }

    fn keys(&self, from: u64) -> Result<KeyResponse, Error> {
        match self {
            Self::Lasting(entries) => entries.keys(from),
            Self::Rehearsed(overlay) => overlay.keys(from),
        }
    }
}

/// The keys of one answer of `list-keys`.
struct Page {
    from: u64,
    skip: u64,
    keys: Vec<String>,
}

impl Page {
    fn from(from: u64) -> Self {
        Self {
            from,
            skip: from,
            keys: Vec::new(),
        }
    }

    /// The next key; breaks when the page is full.
    fn add(&mut self, key: &str) -> ControlFlow<()> {
        if self.keys.len() == PAGE {
            return ControlFlow::Break(());
        }
        match self.skip.checked_sub(1) {
            Some(left) => self.skip = left,
            None => self.keys.push(key.to_owned()),
        }
        ControlFlow::Continue(())
    }

    fn response(self) -> KeyResponse {
        let full = self.keys.len() == PAGE;
        KeyResponse {
            cursor: full.then_some(self.from.saturating_add(PAGE as u64)),
            keys: self.keys,
        }
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > MAX_KEY {
        return Err(other(format!("a key has at most {MAX_KEY} bytes")));
    }
    Ok(())
}

fn other(text: String) -> Error {
    Error::Other(text)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error: redb::Error = error.into();
    other(format!("the store failed: {error}"))
}

fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

impl State {
    /// Works with the store of a guest's handle, where it may block.
    async fn with_store<R: Send + 'static>(
        &mut self,
        bucket: &Resource<Bucket>,
        work: impl FnOnce(&Store) -> Result<R, Error> + Send + 'static,
    ) -> wasmtime::Result<Result<R, Error>> {
        let store = self.table.get(bucket)?.0.clone();
        Ok(tokio::task::spawn_blocking(move || work(&store)).await?)
    }
}

impl store::Host for State {
    async fn open(
        &mut self,
        identifier: String,
    ) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        if !matches!(&*identifier, "" | "default") {
            return Ok(Err(Error::NoSuchStore));
        }
        let Some(store) = self.grants.store() else {
            return Ok(Err(Error::AccessDenied));
        };
        Ok(Ok(self.table.push(Bucket(store))?))
    }
}

impl store::HostBucket for State {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        self.with_store(&bucket, move |store| store.get(&key)).await
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.with_store(&bucket, move |store| store.set(&key, value))
            .await
    }

    async fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.with_store(&bucket, move |store| store.delete(&key))
            .await
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        self.with_store(&bucket, move |store| Ok(store.get(&key)?.is_some()))
            .await
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        self.with_store(&bucket, move |store| store.keys(cursor.unwrap_or(0)))
            .await
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}
