//! wasi:keyvalue for plugins: a store for each sink, with bounds.
//!
//! It is for caches and for what was seen before. What is written is durable within a second: after a crash it may lack the last one.
//!
//! # Invariants
//! - The bounds hold after each write; a write beyond them changes nothing.
//! - A store has one sink, whose instances and versions share it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    backends::InMemoryBackend,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
use wasmtime::component::Resource;

use self::bindings::wasi::keyvalue::store::{self, Error, KeyResponse};
use super::settings::KeyvalueGrant;
use crate::plugin::instance::State;

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

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// The longest key, in bytes.
const MAX_KEY: usize = 4 * 1024;
/// Keys in one answer of `list-keys`.
const PAGE: usize = 1000;
/// How long what is written may not be durable.
const DURABLE_WITHIN: Duration = Duration::from_secs(1);

/// What a guest's handle stands for.
#[expect(unreachable_pub, reason = "what is generated exports it")]
pub struct Bucket(Arc<Entries>);

/// The store of one sink.
#[derive(Debug)]
pub(super) struct Entries {
    inner: Mutex<Inner>,
    /// Whether something is written that is not durable.
    dirty: AtomicBool,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    grant: KeyvalueGrant,
    entries: u64,
    bytes: u64,
}

impl Entries {
    /// Opens or creates the file at `path`; in memory without one.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn open(path: Option<&Path>, grant: KeyvalueGrant) -> Result<Self, String> {
        let path = path.map(Path::to_owned);
        let open = move || Inner::open(path, grant).map_err(|error| error.to_string());
        // redb panics on some damaged pages: that takes down a thread of its own, and not the host.
        let opener = std::thread::Builder::new().name("nozzle-open-store".to_owned());
        let opener = opener.spawn(open).map_err(|error| error.to_string())?;
        let damaged = "it is damaged; what it holds is gone if it is removed";
        let inner = opener.join().unwrap_or_else(|_| Err(damaged.to_owned()))?;
        Ok(Self {
            inner: Mutex::new(inner),
            dirty: AtomicBool::new(false),
            keeper: OnceLock::new(),
        })
    }

    /// Makes durable what is written, for as long as the store is open.
    pub(super) fn keep(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(DURABLE_WITHIN).await;
                let Some(entries) = weak.upgrade() else {
                    return;
                };
                // A write that comes now is made durable next time.
                if entries.dirty.swap(false, Ordering::Relaxed) {
                    let flushed = tokio::task::spawn_blocking(move || entries.lock().flush()).await;
                    if let Ok(Err(error)) = flushed {
                        warn!(%error, "a plugin's store could not be made durable");
                    }
                }
            }
        });
        drop(self.keeper.set(AbortOnDropHandle::new(keeper)));
    }

    /// From now on these are its bounds.
    pub(super) fn limit(&self, grant: KeyvalueGrant) {
        self.lock().grant = grant;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        if key.len() > MAX_KEY {
            return Err(other(format!("a key has at most {MAX_KEY} bytes")));
        }
        self.dirty.store(true, Ordering::Relaxed);
        self.lock().set(key, value)
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        self.dirty.store(true, Ordering::Relaxed);
        self.lock().delete(key)
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        if self.dirty.load(Ordering::Relaxed)
            && let Err(error) = self.lock().flush()
        {
            warn!(%error, "a plugin's store could not be made durable");
        }
    }
}

fn other(text: String) -> Error {
    Error::Other(text)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error: redb::Error = error.into();
    other(format!("the store failed: {error}"))
}

impl Inner {
    fn open(path: Option<PathBuf>, grant: KeyvalueGrant) -> Result<Self, redb::Error> {
        let database = match path {
            None => Database::builder().create_with_backend(InMemoryBackend::new())?,
            Some(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                Database::create(path)?
            }
        };
        let write = database.begin_write()?;
        write.open_table(ENTRIES)?;
        write.commit()?;
        let (mut entries, mut bytes) = (0, 0);
        for entry in database.begin_read()?.open_table(ENTRIES)?.iter()? {
            let (key, value) = entry?;
            entries += 1;
            bytes += size(key.value(), value.value());
        }
        Ok(Self {
            database,
            grant,
            entries,
            bytes,
        })
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn keys(&self, from: u64) -> Result<KeyResponse, redb::Error> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        let mut keys = Vec::new();
        for entry in table.iter()?.skip(skipped).take(PAGE) {
            keys.push(entry?.0.value().to_owned());
        }
        let cursor = (keys.len() == PAGE).then_some(from + PAGE as u64);
        Ok(KeyResponse { keys, cursor })
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        let KeyvalueGrant {
            max_entries,
            max_bytes,
        } = self.grant;
        let old = self.get(key).map_err(failed)?;
        let entries = self.entries + u64::from(old.is_none());
        let freed = old.map_or(0, |old| size(key, &old));
        let bytes = self.bytes - freed + size(key, value);
        if entries > max_entries {
            return Err(other(format!(
                "the store is full: it has {max_entries} entries (`grants.keyvalue.entries`)"
            )));
        }
        if bytes > max_bytes {
            return Err(other(format!(
                "the store is full: it would have more than {max_bytes} bytes (`grants.keyvalue.bytes`)"
            )));
        }
        self.change(|table| table.insert(key, value).map(drop))
            .map_err(failed)?;
        (self.entries, self.bytes) = (entries, bytes);
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), Error> {
        let Some(old) = self.get(key).map_err(failed)? else {
            return Ok(());
        };
        self.change(|table| table.remove(key).map(drop))
            .map_err(failed)?;
        self.entries -= 1;
        self.bytes -= size(key, &old);
        Ok(())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>) -> Result<(), redb::StorageError>,
    ) -> Result<(), redb::Error> {
        let mut write = self.database.begin_write()?;
        write
            .set_durability(Durability::None)
            .map_err(|error| redb::Error::Io(std::io::Error::other(error.to_string())))?;
        change(&mut write.open_table(ENTRIES)?)?;
        Ok(write.commit()?)
    }

    /// Makes all durable that was written.
    fn flush(&self) -> Result<(), redb::Error> {
        Ok(self.database.begin_write()?.commit()?)
    }
}

fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

impl State {
    /// Works with the store of a guest's handle, where it may block.
    async fn with_entries<R: Send + 'static>(
        &mut self,
        bucket: &Resource<Bucket>,
        work: impl FnOnce(&Entries) -> Result<R, Error> + Send + 'static,
    ) -> wasmtime::Result<Result<R, Error>> {
        let entries = Arc::clone(&self.table.get(bucket)?.0);
        Ok(tokio::task::spawn_blocking(move || work(&entries)).await?)
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
        let Some(entries) = self.grants.entries() else {
            return Ok(Err(Error::AccessDenied));
        };
        Ok(Ok(self.table.push(Bucket(entries))?))
    }
}

impl store::HostBucket for State {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        self.with_entries(&bucket, move |entries| {
            entries.lock().get(&key).map_err(failed)
        })
        .await
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.with_entries(&bucket, move |entries| entries.set(&key, &value))
            .await
    }

    async fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.with_entries(&bucket, move |entries| entries.delete(&key))
            .await
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        self.with_entries(&bucket, move |entries| {
            let found = entries.lock().get(&key).map_err(failed)?;
            Ok(found.is_some())
        })
        .await
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        self.with_entries(&bucket, move |entries| {
            entries.lock().keys(cursor.unwrap_or(0)).map_err(failed)
        })
        .await
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}
