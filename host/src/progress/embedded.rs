//! The embedded store: a redb file in the state directory.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::store::{Advance, Store, StoreError};
use crate::event::Position;

/// (ingress, partition) to a position as JSON.
const PROGRESS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("progress");
const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
const FORMAT: u32 = 1;

/// Progress in one file, written in transactions.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    database: Arc<Database>,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens or creates `progress.redb` in `folder`.
    ///
    /// # Errors
    /// When the file is damaged, of a newer format, or cannot be opened. It is then left as it is.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("progress.redb");
        let fail = |error: redb::Error| explain(error, &path);
        // An empty file is what a crash leaves of one that was never written; a missing one is new.
        let is_new = std::fs::metadata(&path).map_or(true, |file| file.len() == 0);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let database = Database::builder()
            .create_file(file)
            .map_err(|error| fail(error.into()))?;
        let store = Self {
            database: Arc::new(database),
            path: path.clone(),
        };
        if is_new {
            store.begin().map_err(fail)?;
        }
        match store.format().map_err(fail)? {
            Some(FORMAT) => Ok(store),
            Some(found) => Err(StoreError::Newer {
                path,
                found,
                known: FORMAT,
            }),
            None => Err(StoreError::Entry {
                path,
                entry: "no format version".to_owned(),
            }),
        }
    }

    fn begin(&self) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        write.open_table(META)?.insert("format", FORMAT)?;
        write.open_table(PROGRESS)?;
        Ok(write.commit()?)
    }

    fn format(&self) -> Result<Option<u32>, redb::Error> {
        let read = self.database.begin_read()?;
        match read.open_table(META) {
            Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, ingress: &str) -> Result<Vec<(String, String)>, redb::Error> {
        let read = self.database.begin_read()?;
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

    fn write(&self, advances: &[Advance]) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
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
        Ok(write.commit()?)
    }

    fn remove(&self, ingress: &str, partitions: &[String]) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(PROGRESS)?;
            for partition in partitions {
                table.remove((ingress, partition.as_str()))?;
            }
        }
        Ok(write.commit()?)
    }

    /// Runs `work` where it may block.
    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<R, redb::Error> + Send + 'static,
    ) -> Result<R, StoreError> {
        let own = self.clone();
        let joined = tokio::task::spawn_blocking(move || work(&own)).await;
        joined
            .map_err(|error| StoreError::Io {
                path: self.path.clone(),
                source: io::Error::other(error),
            })?
            .map_err(|error| explain(error, &self.path))
    }
}

impl Store for EmbeddedStore {
    async fn load(&self, ingress: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let id = ingress.to_owned();
        let entries = self.blocking(move |store| store.read(&id)).await?;
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
        self.blocking(move |store| store.write(&advances)).await
    }

    async fn forget(&mut self, ingress: &str, partitions: Vec<String>) -> Result<(), StoreError> {
        let ingress = ingress.to_owned();
        self.blocking(move |store| store.remove(&ingress, &partitions))
            .await
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
    use super::*;

    fn advance(partition: &str, offset: u64) -> Advance {
        Advance {
            ingress: "t/in".to_owned(),
            partition: partition.to_owned(),
            position: Position::Line { offset, line: 1 },
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

        let line = |offset| Position::Line { offset, line: 1 };
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

    #[test]
    fn a_newer_format_and_an_unknown_entry_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = EmbeddedStore::open(folder.path()).expect("new");
        let write = store.database.begin_write().expect("a transaction");
        write
            .open_table(META)
            .expect("the table")
            .insert("format", 2)
            .expect("inserted");
        write.commit().expect("committed");
        drop(store);

        let error = EmbeddedStore::open(folder.path()).expect_err("newer");

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
