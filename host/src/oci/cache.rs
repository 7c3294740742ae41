//! What was pulled is kept, by its digest.
//!
//! # Invariants
//! - A file has its name before it has it: it is written beside, synced, then renamed.
//! - What is read is checked against its name: a file that was cut off or changed is as good as none.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use bytes::Bytes;
use tracing::warn;

use super::{
    CosignKey, Digest, MAX_COMPONENT, Resolved,
    manifest::{self, Document},
};

/// Files that are kept; then those go that were written first.
const MAX_FILES: usize = 128;

/// A folder of what was pulled.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// What is kept of a package beside its bytes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A manifest or a component.
    Bytes,
    /// A signature of a component by minisign.
    Minisign,
    /// A signature of a manifest by cosign.
    Cosign,
}

impl Cache {
    /// What is kept in `folder`, which is made when something is.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of this user, for commands that have no state directory.
    pub fn of_user() -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = named("XDG_CACHE_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")))?;
        Some(Self::new(folder.join("nozzle").join("packages")))
    }

    /// The component or manifest with this digest, if it is there and whole.
    pub async fn get(&self, digest: Digest) -> Option<Bytes> {
        let path = self.path(digest, Kind::Bytes);
        let read = tokio::task::spawn_blocking(move || {
            let bytes = read(&path)?;
            if Digest::of(&bytes) == digest {
                return Some(bytes);
            }
            warn!(path = %path.display(), "a kept package is damaged, it is pulled again");
            drop(fs::remove_file(&path));
            None
        });
        read.await.ok().flatten()
    }

    /// What a pinned manifest stands for, if all of it is there.
    pub async fn resolve(&self, pin: Digest) -> Option<Resolved> {
        let mut documents = Vec::new();
        let mut next = pin;
        // A list of manifests, and one of them.
        for _ in 0..2 {
            let bytes = self.get(next).await?;
            documents.push(bytes.clone());
            match manifest::read(&bytes, None).ok()? {
                Document::Component(component) => {
                    return Some(Resolved {
                        manifest: pin,
                        component,
                        documents,
                    });
                }
                Document::Manifest(digest) => next = digest,
            }
        }
        None
    }

    /// Keeps a component and the manifests that lead to it. That it cannot is a warning: it is pulled again.
    pub async fn keep(&self, resolved: &Resolved, component: &Bytes) {
        for bytes in resolved.documents.iter().chain([component]) {
            self.put(Digest::of(bytes), Kind::Bytes, bytes.clone())
                .await;
        }
    }

    /// The kept signature of a component by minisign. It is to be verified.
    pub async fn minisign(&self, component: Digest) -> Option<String> {
        let path = self.path(component, Kind::Minisign);
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        String::from_utf8(read.ok()??.into()).ok()
    }

    /// Keeps a signature of a component by minisign.
    pub async fn keep_minisign(&self, component: Digest, signature: &str) {
        let bytes = Bytes::copy_from_slice(signature.as_bytes());
        self.put(component, Kind::Minisign, bytes).await;
    }

    /// Whether a signature of `key` for the manifest is kept.
    pub async fn is_signed(&self, manifest: Digest, key: &CosignKey) -> bool {
        let path = self.path(manifest, Kind::Cosign);
        let kept = tokio::task::spawn_blocking(move || read(&path)).await;
        let kept = kept.ok().flatten();
        kept.is_some_and(|kept| key.signs(manifest, &kept))
    }

    /// Keeps a signature that [`Registry::signature`](super::Registry::signature) found.
    pub async fn keep_signature(&self, manifest: Digest, signature: Vec<u8>) {
        self.put(manifest, Kind::Cosign, signature.into()).await;
    }

    async fn put(&self, digest: Digest, kind: Kind, bytes: Bytes) {
        let (folder, path) = (self.folder.clone(), self.path(digest, kind));
        let written = tokio::task::spawn_blocking(move || {
            write(&folder, &path, &bytes)?;
            prune(&folder)
        });
        let written = written
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(error) = written {
            warn!(%error, folder = %self.folder.display(), "a package cannot be kept, it will be pulled again");
        }
    }

    fn path(&self, digest: Digest, kind: Kind) -> PathBuf {
        let name = digest.hex();
        self.folder.join(match kind {
            Kind::Bytes => name,
            Kind::Minisign => format!("{name}.minisig"),
            Kind::Cosign => format!("{name}.cosign"),
        })
    }
}

fn read(path: &Path) -> Option<Bytes> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    let limit = MAX_COMPONENT as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes.into())
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = folder.join(format!(".{}-{number}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        drop(fs::remove_file(&beside));
    }
    moved
}

fn prune(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another host may have taken it away by now.
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        files.extend(written.ok().map(|written| (written, entry.path())));
    }
    files.sort();
    let surplus = files.len().saturating_sub(MAX_FILES);
    for (_, path) in files.iter().take(surplus) {
        drop(fs::remove_file(path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(folder.path().join("deep").join("packages"));
        (folder, cache)
    }

    async fn put(cache: &Cache, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        cache
            .put(digest, Kind::Bytes, Bytes::copy_from_slice(bytes))
            .await;
        digest
    }

    #[tokio::test]
    async fn what_is_damaged_is_as_good_as_none() {
        let (_folder, cache) = cache();
        let digest = put(&cache, b"component").await;
        let path = cache.path(digest, Kind::Bytes);

        let whole = cache.get(digest).await;
        fs::write(&path, b"componen").expect("written");
        let cut = cache.get(digest).await;

        assert_eq!(whole.as_deref(), Some(&b"component"[..]));
        assert_eq!(cut, None);
        assert!(!path.exists());
        put(&cache, b"component").await;
        assert!(cache.get(digest).await.is_some());
    }

    #[tokio::test]
    async fn what_was_written_first_goes_first() {
        let (_folder, cache) = cache();
        let mut digests = Vec::new();
        for number in 0..MAX_FILES + 3 {
            let digest = put(&cache, number.to_string().as_bytes()).await;
            // As if a minute lay between each and the next.
            let age = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60 * number as u64);
            let path = cache.path(digest, Kind::Bytes);
            let file = File::options().write(true).open(path).expect("it is there");
            file.set_modified(age).expect("set");
            digests.push(digest);
        }

        let count = fs::read_dir(&cache.folder).expect("a folder").count();

        // The newest is not counted as old before it has its time.
        assert_eq!(count, MAX_FILES);
        assert_eq!(cache.get(digests[0]).await, None);
        assert!(cache.get(digests[MAX_FILES + 2]).await.is_some());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_no_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, b"").expect("written");
        let cache = Cache::new(file.join("packages"));

        let digest = put(&cache, b"component").await;

        assert_eq!(cache.get(digest).await, None);
    }
}
