//! The store of one sink, in a file or in memory.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    backends::InMemoryBackend,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{
    super::settings::KeyvalueGrant, Error, KeyResponse, Page, check_key, failed, other, size,
};

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// How long what is written may not be durable.
const DURABLE_WITHIN: Duration = Duration::from_secs(1);

/// The store of one sink.
#[derive(Debug)]
pub(in crate::plugin::grants) struct Entries {
    inner: Mutex<Inner>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    grant: KeyvalueGrant,
    total: Total,
    /// Whether something is written that is not durable.
    dirty: bool,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    pub(super) entries: u64,
    /// Of keys and values.
    pub(super) bytes: u64,
}

impl Total {
    /// The same, unless it is more than is granted.
    pub(super) fn within(self, grant: KeyvalueGrant) -> Result<Self, Error> {
        let KeyvalueGrant {
            max_entries,
            max_bytes,
        } = grant;
        if self.entries > max_entries {
            return Err(other(format!(
                "the store is full: it has {max_entries} entries (`grants.keyvalue.entries`)"
            )));
        }
        if self.bytes > max_bytes {
            return Err(other(format!(
                "the store is full: it would have more than {max_bytes} bytes (`grants.keyvalue.bytes`)"
            )));
        }
        Ok(self)
    }
}

impl Entries {
    /// Opens or creates the file at `path`; in memory without one.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::plugin::grants) fn open(
        path: Option<&Path>,
        grant: KeyvalueGrant,
    ) -> Result<Self, String> {
        let path = path.map(Path::to_owned);
        let open = move || Inner::open(path, grant).map_err(|error| error.to_string());
        // redb panics on some damaged pages: that takes down a thread of its own, and not the host.
        let opener = std::thread::Builder::new().name("nozzle-open-store".to_owned());
        let opener = opener.spawn(open).map_err(|error| error.to_string())?;
        let damaged = "it is damaged; what it holds is gone if it is removed";
        let inner = opener.join().unwrap_or_else(|_| Err(damaged.to_owned()))?;
        Ok(Self {
            inner: Mutex::new(inner),
            keeper: OnceLock::new(),
        })
    }

    /// Makes durable what is written, for as long as the store is open.
    pub(in crate::plugin::grants) fn keep(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(DURABLE_WITHIN).await;
                let Some(entries) = weak.upgrade() else {
                    return;
                };
                if entries.lock().dirty {
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
    pub(in crate::plugin::grants) fn limit(&self, grant: KeyvalueGrant) {
        self.lock().grant = grant;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.lock().get(key).map_err(failed)
    }

    /// A page of keys, in their order, from this one on.
    pub(super) fn keys(&self, from: u64) -> Result<KeyResponse, Error> {
        let mut page = Page::from(from);
        self.each_key(|key| page.add(key))?;
        Ok(page.response())
    }

    /// Visits the keys in their order.
    pub(super) fn each_key(&self, visit: impl FnMut(&str) -> ControlFlow<()>) -> Result<(), Error> {
        self.lock().each_key(visit).map_err(failed)
    }

    /// What is in it.
    pub(super) fn total(&self) -> Total {
        self.lock().total
    }

    /// Its bounds.
    pub(super) fn grant(&self) -> KeyvalueGrant {
        self.lock().grant
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        check_key(key)?;
        self.lock().set(key, value)
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
        self.lock().delete(key)
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        let mut inner = self.lock();
        if inner.dirty
            && let Err(error) = inner.flush()
        {
            warn!(%error, "a plugin's store could not be made durable");
        }
    }
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
        let mut total = Total::default();
        for entry in database.begin_read()?.open_table(ENTRIES)?.iter()? {
            let (key, value) = entry?;
            total.entries += 1;
            total.bytes += size(key.value(), value.value());
        }
        Ok(Self {
            database,
            grant,
            total,
            dirty: false,
        })
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn each_key(&self, mut visit: impl FnMut(&str) -> ControlFlow<()>) -> Result<(), redb::Error> {
        let table = self.database.begin_read()?.open_table(ENTRIES)?;
        for entry in table.iter()? {
            if visit(entry?.0.value()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        let old = self.get(key).map_err(failed)?;
        let mut total = self.total;
        total.entries += u64::from(old.is_none());
        let freed = old.map_or(0, |old| size(key, &old));
        total.bytes = total.bytes - freed + size(key, value);
        let total = total.within(self.grant)?;
        self.change(|table| table.insert(key, value).map(drop))
            .map_err(failed)?;
        self.total = total;
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<(), Error> {
        let Some(old) = self.get(key).map_err(failed)? else {
            return Ok(());
        };
        self.change(|table| table.remove(key).map(drop))
            .map_err(failed)?;
        self.total.entries -= 1;
        self.total.bytes -= size(key, &old);
        Ok(())
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>) -> Result<(), redb::StorageError>,
    ) -> Result<(), redb::Error> {
        self.dirty = true;
        let mut write = self.database.begin_write()?;
        write
            .set_durability(Durability::None)
            .map_err(|error| redb::Error::Io(std::io::Error::other(error.to_string())))?;
        change(&mut write.open_table(ENTRIES)?)?;
        Ok(write.commit()?)
    }

    /// Makes all durable that was written; what fails is to be tried again.
    fn flush(&mut self) -> Result<(), redb::Error> {
        self.database.begin_write()?.commit()?;
        self.dirty = false;
        Ok(())
    }
}
