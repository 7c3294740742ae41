//! What a state directory remembers of a sink's plugin: the version that serves, and the one before it.
//!
//! # Invariants
//! - A version is written, and its record after it, before it serves: what comes back after a crash was accepted.
//! - A component has the digest that its file's name says, or it is not used.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::plugin::{Binary, Version};

/// What is remembered of a sink's plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The version that serves.
    pub serving: Version,
    /// The one that served before it.
    pub previous: Option<Version>,
    /// The digest that the file of the module had when the serving version was accepted: once it has another, the
    /// module means another plugin.
    pub configured: String,
}

impl Record {
    /// Those of the versions that can serve.
    pub(super) fn digests(&self) -> Vec<String> {
        let versions = std::iter::once(&self.serving).chain(&self.previous);
        versions.map(|version| version.digest.clone()).collect()
    }
}

/// The folder of a sink's versions.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Those of a sink, `namespace/name`.
    pub(super) fn of(state_dir: &Path, sink: &str) -> Self {
        Self {
            folder: state_dir.join("plugins").join(sink),
        }
    }

    /// What is remembered, if anything.
    ///
    /// # Errors
    /// When it cannot be read, or makes no sense.
    pub(super) fn record(&self) -> io::Result<Option<Record>> {
        let text = match fs::read(self.record_path()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::from)
    }

    /// The component of a version.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub(super) fn component(&self, version: &Version) -> io::Result<Binary> {
        let bytes = fs::read(self.component_path(&version.digest))?;
        let mut binary = Binary::new(version.origin.clone(), bytes.into());
        binary.signed_by = version.signed_by.clone();
        if binary.hex_digest() == version.digest {
            return Ok(binary);
        }
        let found = binary.hex_digest();
        let digest = &version.digest;
        Err(io::Error::other(format!(
            "the file of version {digest} has the digest {found}"
        )))
    }

    /// Remembers that a version serves; it is `binary`.
    ///
    /// # Errors
    /// When it cannot be written; then what was remembered still is.
    pub(super) fn remember(&self, record: &Record, binary: &Binary) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let component = self.component_path(&record.serving.digest);
        if !component.exists() {
            write(&component, &binary.bytes)?;
        }
        write(&self.record_path(), &serde_json::to_vec_pretty(record)?)?;
        self.tidy(record);
        Ok(())
    }

    /// The same, where it may block: a disk that takes its time to sync holds up no call.
    ///
    /// # Errors
    /// See [`Kept::remember`].
    pub(super) async fn remember_apart(&self, record: Record, binary: Binary) -> io::Result<()> {
        let kept = self.clone();
        let remembered = tokio::task::spawn_blocking(move || kept.remember(&record, &binary));
        remembered.await.map_err(io::Error::other)?
    }

    /// Removes the components of versions that nothing can go back to.
    fn tidy(&self, record: &Record) {
        let kept = std::iter::once(&record.serving).chain(&record.previous);
        let kept: Vec<PathBuf> = kept
            .map(|version| self.component_path(&version.digest))
            .collect();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_component = path
                .extension()
                .is_some_and(|extension| extension == "wasm");
            if is_component && !kept.contains(&path) {
                drop(fs::remove_file(path));
            }
        }
    }

    fn record_path(&self) -> PathBuf {
        self.folder.join("record.json")
    }

    /// Where a component is kept.
    pub(super) fn component_path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }
}

/// Whole or not at all, and still there after a power cut.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(generation: u64, binary: &Binary) -> Version {
        Version {
            generation,
            digest: binary.hex_digest(),
            origin: "p.wasm".into(),
            accepted: "2026-01-01T00:00:00Z".to_owned(),
            signed_by: None,
        }
    }

    #[test]
    fn a_version_and_the_one_before_come_back_and_others_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(folder.path(), "t/sink");
        let [a, b, c] = ["a", "b", "c"].map(|text| Binary::new("p.wasm".into(), text.into()));
        let record = |serving: Version, previous| Record {
            configured: serving.digest.clone(),
            serving,
            previous,
        };

        let before = kept.record().expect("readable");
        kept.remember(&record(version(1, &a), None), &a)
            .expect("kept");
        kept.remember(&record(version(2, &b), Some(version(1, &a))), &b)
            .expect("kept");
        let last = record(version(3, &c), Some(version(2, &b)));
        kept.remember(&last, &c).expect("kept");

        assert_eq!(before, None);
        assert_eq!(kept.record().expect("readable"), Some(last.clone()));
        let read = kept.component(&version(2, &b)).expect("kept");
        assert_eq!(read.bytes, "b");
        assert!(kept.component(&version(1, &a)).is_err(), "it is removed");
    }

    #[test]
    fn a_component_that_was_changed_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::of(folder.path(), "t/sink");
        let a = Binary::new("p.wasm".into(), "a".into());
        let record = Record {
            serving: version(1, &a),
            previous: None,
            configured: a.hex_digest(),
        };
        kept.remember(&record, &a).expect("kept");
        fs::write(kept.component_path(&a.hex_digest()), "b").expect("written");

        let refused = kept.component(&record.serving).expect_err("another one");

        assert!(refused.to_string().contains("has the digest"), "{refused}");
    }
}
