//! The embedded store: a redb file in the state directory.
//!
//! # Invariants
//! - A file is verified whole, as a copy in memory, before it is opened: redb checks its checksums only after an
//!   unclean end, and a damaged page would otherwise move progress without a word.
//! - A file that is refused is left as it is, byte for byte.
//! - After a failed write the file is opened anew, and verified: redb writes nothing more to one that has failed.
//! - The file gets its name only once it holds a format: a crash leaves none, or one that can be read.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use redb::{
    Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
    backends::InMemoryBackend,
};

use super::store::{Advance, Store, StoreError};
use crate::{event::Position, fail_point::FailPoint};

/// (ingress, partition) to a position as JSON.
const PROGRESS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("progress");
const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
const FORMAT: u32 = 1;

/// Progress in one file, written in transactions.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    /// None behind a failure.
    database: Arc<Mutex<Option<Database>>>,
    folder: PathBuf,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens or creates `progress.redb` in `folder`.
    ///
    /// # Errors
    /// When the file is damaged, of a newer format, or cannot be opened. It is then left as it is.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            database: Arc::new(Mutex::new(Some(open(folder)?))),
            folder: folder.to_owned(),
            path: path_in(folder),
        })
    }

    /// Runs `work` where it may block.
    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<R, redb::Error> + Send + 'static,
    ) -> Result<R, StoreError> {
        let own = self.clone();
        let joined = tokio::task::spawn_blocking(move || own.run(work)).await;
        joined.map_err(|error| StoreError::Io {
            path: self.path.clone(),
            source: io::Error::other(error),
        })?
    }

    fn run<R>(
        &self,
        work: impl FnOnce(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        // What a panic has left behind is opened anew, too.
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match database.take() {
            Some(opened) => opened,
            None => open(&self.folder)?,
        };
        let result = work(&opened).map_err(|error| explain(error, &self.path))?;
        *database = Some(opened);
        Ok(result)
    }
}

impl Store for EmbeddedStore {
    async fn load(&self, ingress: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let id = ingress.to_owned();
        let entries = self.blocking(move |database| read(database, &id)).await?;
        let parse = |(partition, value): (String, String)| match serde_json::from_str(&value) {
            Ok(position) => Ok((partition, position)),
            Err(_) => Err(StoreError::Entry {
                path: self.path.clone(),
                entry: format!("`{ingress}`, `{partition}`: {value:?}"),
            }),
        };
        entries.into_iter().map(parse).collect()
    }

    async fn save(&mut self, advances: Vec<Advance>) -> Result<(), StoreError> {
        self.blocking(move |database| write(database, &advances))
            .await
    }

    async fn forget(&mut self, ingress: &str, partitions: Vec<String>) -> Result<(), StoreError> {
        let ingress = ingress.to_owned();
        self.blocking(move |database| remove(database, &ingress, &partitions))
            .await
    }
}

fn read(database: &Database, ingress: &str) -> Result<Vec<(String, String)>, redb::Error> {
    let read = database.begin_read()?;
    let table = read.open_table(PROGRESS)?;
    let mut found = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (of, partition) = key.value();
        if of == ingress {
            found.push((partition.to_owned(), value.value().to_owned()));
        }
    }
    Ok(found)
}

fn write(database: &Database, advances: &[Advance]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(PROGRESS)?;
        for Advance {
            ingress,
            partition,
            position,
        } in advances
        {
            let position = serde_json::to_string(position).expect("a position is always JSON");
            table.insert((ingress.as_str(), partition.as_str()), position.as_str())?;
        }
    }
    FailPoint::BeforeCommit.pass();
    write.commit()?;
    FailPoint::AfterCommit.pass();
    Ok(())
}

fn remove(database: &Database, ingress: &str, partitions: &[String]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(PROGRESS)?;
        for partition in partitions {
            table.remove((ingress, partition.as_str()))?;
        }
    }
    Ok(write.commit()?)
}

/// Opens the store in `folder`, or creates it.
fn open(folder: &Path) -> Result<Database, StoreError> {
    let path = path_in(folder);
    let fail = |error: redb::Error| explain(error, &path);
    let refuse = |source| StoreError::Io {
        path: path.clone(),
        source,
    };
    let found = match std::fs::read(&path) {
        // An empty file is what a crash leaves of one that was never written; a missing one is new.
        Ok(content) if content.is_empty() => create(folder, &path)?,
        Ok(content) => verify(content).map_err(fail)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder, &path)?,
        Err(error) => return Err(refuse(error)),
    };
    match found {
        Some(FORMAT) => {}
        Some(found) => {
            return Err(StoreError::Newer {
                path,
                found,
                known: FORMAT,
            });
        }
        None => {
            return Err(StoreError::Entry {
                path,
                entry: "no format version".to_owned(),
            });
        }
    }
    let file = OpenOptions::new().read(true).write(true).open(&path);
    Database::builder()
        .create_file(file.map_err(refuse)?)
        .map_err(|error| fail(error.into()))
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("progress.redb")
}

/// Makes a store beside `path`, and gives it its name when it is durable; its format.
fn create(folder: &Path, path: &Path) -> Result<Option<u32>, StoreError> {
    let new = folder.join("progress.redb.new");
    let made = || -> Result<Option<u32>, redb::Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            // What an earlier crash has left of a new store holds nothing.
            .truncate(true)
            .open(&new)?;
        let database = Database::builder().create_file(file)?;
        let write = database.begin_write()?;
        write.open_table(META)?.insert("format", FORMAT)?;
        write.open_table(PROGRESS)?;
        write.commit()?;
        drop(database);
        std::fs::rename(&new, path)?;
        File::open(folder)?.sync_all()?;
        Ok(Some(FORMAT))
    };
    made().map_err(|error| explain(error, path))
}

/// Holds a store's whole content against its checksums, in memory; its format, if it has one.
fn verify(content: Vec<u8>) -> Result<Option<u32>, redb::Error> {
    let damaged = |what: &str| redb::Error::Corrupted(what.to_owned());
    let check = move || -> Result<_, redb::Error> {
        let copy = InMemoryBackend::new();
        copy.set_len(content.len() as u64)?;
        copy.write(0, &content)?;
        let mut database = Database::builder().create_with_backend(copy)?;
        let is_whole = database.check_integrity()?;
        is_whole.then(|| format(&database)).transpose()
    };
    // redb panics on some damaged pages: that takes down a thread of its own, and not the host.
    let verifier = std::thread::Builder::new().name("nozzle-verify-store".to_owned());
    match verifier.spawn(check)?.join() {
        Ok(Ok(Some(format))) => Ok(format),
        Ok(Ok(None)) => Err(damaged("its checksums do not hold")),
        // The copy is in memory: every failure is the content's.
        Ok(Err(redb::Error::Io(error))) => Err(damaged(&error.to_string())),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(damaged("a page of it cannot be read")),
    }
}

fn format(database: &Database) -> Result<Option<u32>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn explain(error: redb::Error, path: &Path) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            StoreError::Io { path, source }
        }
        error => StoreError::Corrupt {
            path,
            source: Box::new(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn advance(partition: &str, offset: u64) -> Advance {
        Advance {
            ingress: "t/in".to_owned(),
            partition: partition.to_owned(),
            position: Position::Line {
                offset,
                line: 1,
                crc: None,
            },
        }
    }

    #[tokio::test]
    async fn progress_survives_and_is_kept_by_ingress() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = EmbeddedStore::open(folder.path()).expect("new");
        store
            .save(vec![advance("a", 1), advance("b", 2)])
            .await
            .expect("saved");
        store.save(vec![advance("a", 3)]).await.expect("saved");
        drop(store);

        let store = EmbeddedStore::open(folder.path()).expect("opens again");

        let line = |offset| Position::Line {
            offset,
            line: 1,
            crc: None,
        };
        let expected = vec![("a".to_owned(), line(3)), ("b".to_owned(), line(2))];
        assert_eq!(store.load("t/in").await.expect("loads"), expected);
        assert_eq!(store.load("t/other").await.expect("loads"), []);
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("progress.redb");
        let damaged: [&[u8]; 3] = [b"x", b"not a database at all", &[0; 10_000]];
        for content in damaged {
            std::fs::write(&path, content).expect("written");

            let error = EmbeddedStore::open(folder.path()).expect_err("damaged");

            assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
            assert!(error.hint().expect("a hint").contains("move it aside"));
            assert_eq!(std::fs::read(&path).expect("readable"), content);
        }
    }

    #[tokio::test]
    async fn a_flipped_bit_is_refused_or_harmless_and_never_moves_progress() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("progress.redb");
        let mut store = EmbeddedStore::open(folder.path()).expect("new");
        for offset in 0..10 {
            store
                .save(vec![advance("a", offset), advance("b", offset)])
                .await
                .expect("saved");
        }
        let expected = store.load("t/in").await.expect("loads");
        drop(store);
        let whole = std::fs::read(&path).expect("readable");
        let mut refused = 0;

        let used = (0..whole.len()).filter(|at| whole[*at] != 0);
        for at in used.step_by(401) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).expect("written");
            match EmbeddedStore::open(folder.path()) {
                Ok(store) => assert_eq!(
                    store.load("t/in").await.expect("verified before"),
                    expected,
                    "byte {at}"
                ),
                Err(error) => {
                    refused += 1;
                    assert!(
                        matches!(error, StoreError::Corrupt { .. }),
                        "byte {at}: {error:?}"
                    );
                    assert_eq!(std::fs::read(&path).expect("readable"), damaged);
                }
            }
        }

        assert!(refused > 0, "some byte must matter");
    }

    /// A file in memory that keeps what a kill would have left, in the middle of each write and behind it.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<Recorded>>);

    /// The file, and what it was.
    type Recorded = (Vec<u8>, Vec<Vec<u8>>);

    impl StorageBackend for Recorder {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.lock().expect("not poisoned").0.len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let offset = offset as usize;
            let file = &self.0.lock().expect("not poisoned").0;
            out.copy_from_slice(&file[offset..offset + out.len()]);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            let file = &mut self.0.lock().expect("not poisoned").0;
            file.resize(len as usize, 0);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let (file, images) = &mut *self.0.lock().expect("not poisoned");
            let offset = offset as usize;
            for part in [data.len() / 2, data.len()] {
                file[offset..offset + part].copy_from_slice(&data[..part]);
                images.push(file.clone());
            }
            Ok(())
        }
    }

    #[test]
    fn what_a_killed_host_leaves_is_no_damage_at_any_moment() {
        let recorder = Recorder::default();
        let database = Database::builder()
            .create_with_backend(recorder.clone())
            .expect("made");
        let write = |work: &dyn Fn(&redb::WriteTransaction)| {
            let transaction = database.begin_write().expect("begins");
            work(&transaction);
            transaction.commit().expect("committed");
        };
        write(&|transaction| {
            let mut meta = transaction.open_table(META).expect("a table");
            meta.insert("format", FORMAT).expect("inserted");
        });
        recorder.0.lock().expect("not poisoned").1.clear();

        for run in 0..20 {
            write(&|transaction| {
                let mut progress = transaction.open_table(PROGRESS).expect("a table");
                for partition in 0..run % 7 * 10 + 1 {
                    let key = ("t/in", &*format!("shard-{partition}"));
                    progress.insert(key, "{}").expect("inserted");
                }
            });
        }
        drop(database);

        let images = std::mem::take(&mut recorder.0.lock().expect("not poisoned").1);
        assert!(images.len() > 100, "{}", images.len());
        for image in images {
            assert_eq!(verify(image).expect("no damage"), Some(FORMAT));
        }
    }

    #[test]
    fn a_crash_while_the_store_is_made_does_not_stop_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("progress.redb.new");
        std::fs::write(&new, b"half of a st").expect("written");

        let opened = EmbeddedStore::open(folder.path());

        assert!(opened.is_ok(), "{opened:?}");
        assert!(!new.exists());
    }

    #[test]
    fn a_newer_format_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = open(folder.path()).expect("new");
        let write = database.begin_write().expect("a transaction");
        write
            .open_table(META)
            .expect("the table")
            .insert("format", 2)
            .expect("inserted");
        write.commit().expect("committed");
        drop(database);
        let file = || std::fs::read(folder.path().join("progress.redb")).expect("readable");
        let written = file();

        let error = EmbeddedStore::open(folder.path()).expect_err("newer");

        assert!(file() == written, "it must be left as it is");
        assert!(matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
    }
}
