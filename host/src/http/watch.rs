//! A value that is made from files, and made again when they change, without a restart.
//!
//! # Invariants
//! - Files are read at most once a [`PERIOD`], by an attempt that needs the value, and at once when a refusal raises
//!   the suspicion that they have changed.
//! - A file that is broken meanwhile changes nothing: the value before stays, and one warning is logged.

use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tracing::{info, warn};

use super::settings::NamedFile;
use crate::causes::explain;

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(1);
/// What is read of a file to see whether it has changed, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;
type Load<T> = dyn Fn() -> Result<T, BoxError> + Send + Sync;

/// A value and the files that it comes from.
pub(super) struct Watched<T> {
    current: RwLock<Arc<T>>,
    files: Arc<[NamedFile]>,
    load: Arc<Load<T>>,
    /// When the files were looked at, and what they held.
    look: Mutex<(Instant, Contents)>,
}

/// A digest of what the files hold, or of why they cannot be read.
type Contents = [u8; 32];

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Loads the value. `load` reads `files`, and blocks.
    ///
    /// # Errors
    /// What `load` says.
    pub(super) fn new<E: Error + Send + Sync + 'static>(
        files: Vec<NamedFile>,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Looked at before they are loaded: a change in between is found by the next look.
        let contents = contents(&files);
        let first = load()?;
        Ok(Self {
            current: RwLock::new(Arc::new(first)),
            files: files.into(),
            load: Arc::new(move || load().map_err(Into::into)),
            look: Mutex::new((Instant::now(), contents)),
        })
    }

    /// The value as it is known.
    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The value, after a look at its files, if the last one is some time ago and nobody else is at it.
    pub(super) async fn get(&self) -> Arc<T> {
        if !self.files.is_empty()
            && let Ok(mut look) = self.look.try_lock()
            && look.0.elapsed() >= PERIOD
        {
            self.look(&mut look).await;
        }
        self.current()
    }

    /// The value after a look at its files, if it is not `used` any more.
    pub(super) async fn newer(&self, used: &Arc<T>) -> Option<Arc<T>> {
        if !self.files.is_empty() && Arc::ptr_eq(used, &self.current()) {
            let mut look = self.look.lock().await;
            if Arc::ptr_eq(used, &self.current()) {
                self.look(&mut look).await;
            }
        }
        let current = self.current();
        (!Arc::ptr_eq(used, &current)).then_some(current)
    }

    async fn look(&self, last: &mut (Instant, Contents)) {
        let before = last.1;
        let (files, load) = (Arc::clone(&self.files), Arc::clone(&self.load));
        let looking = tokio::task::spawn_blocking(move || {
            let contents = contents(&files);
            let loaded = (before != contents).then(|| load());
            (contents, loaded)
        });
        let Ok((contents, loaded)) = looking.await else {
            return;
        };
        match loaded {
            None => {}
            Some(Ok(value)) => {
                info!(files = ?self.files, "read again, as a file has changed");
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(value);
            }
            Some(Err(error)) => {
                let error = explain(&*error);
                warn!(files = ?self.files, %error, "a file has changed and cannot be used: what it held before stays");
            }
        }
        *last = (Instant::now(), contents);
    }
}

fn contents(files: &[NamedFile]) -> Contents {
    let mut digest = Sha256::new();
    for file in files {
        let part = match read(&file.path) {
            Ok(bytes) => Sha256::digest(bytes),
            Err(error) => Sha256::digest(error.to_string()),
        };
        digest.update(part);
    }
    digest.finalize().into()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Mutex as Lock};

    use super::*;

    fn watched(folder: &Path) -> (PathBuf, Watched<u32>) {
        let path = folder.join("number");
        std::fs::write(&path, "1").expect("written");
        let file = path.clone();
        let load = move || {
            let text = std::fs::read_to_string(&file)?;
            text.parse().map_err(io::Error::other)
        };
        let file = NamedFile {
            path: path.clone(),
            label: "${env:DIR}/number".to_owned(),
        };
        let watched = Watched::new(vec![file], load).expect("a number");
        (path, watched)
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_looked_at_once_a_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, watched) = watched(folder.path());

        let first = *watched.get().await;
        std::fs::write(&path, "2").expect("written");
        let soon = *watched.get().await;
        tokio::time::advance(PERIOD).await;
        let later = *watched.get().await;

        assert_eq!((first, soon, later), (1, 1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_makes_a_look_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, watched) = watched(folder.path());
        let used = watched.get().await;

        let unchanged = watched.newer(&used).await;
        std::fs::write(&path, "2").expect("written");
        let changed = watched.newer(&used).await;
        std::fs::write(&path, "3").expect("written");
        let known = watched.newer(&used).await;

        assert_eq!(unchanged, None);
        assert_eq!(changed.as_deref(), Some(&2));
        assert_eq!(
            known.as_deref(),
            Some(&2),
            "newer than what was used is enough"
        );
    }

    /// What is logged while the guard lives.
    fn log() -> (Arc<Lock<Vec<u8>>>, nozzle_testkit::LogGuard) {
        struct Shared(Arc<Lock<Vec<u8>>>);
        impl io::Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("not poisoned").write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Arc::default();
        let shared = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || Shared(Arc::clone(&shared)))
            .with_ansi(false)
            .finish();
        (lines, nozzle_testkit::log_to(subscriber))
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_file_changes_nothing_and_is_warned_of_once() {
        let (lines, _guard) = log();
        let folder = tempfile::tempdir().expect("a folder");
        let (path, watched) = watched(folder.path());
        let mut seen = vec![*watched.get().await];

        for text in [Some("x"), None, Some("4")] {
            match text {
                Some(text) => std::fs::write(&path, text).expect("written"),
                None => std::fs::remove_file(&path).expect("removed"),
            }
            // Looked at more than once, and by a suspicion.
            for _ in 0..2 {
                tokio::time::advance(PERIOD).await;
                seen.push(*watched.get().await);
                watched.newer(&watched.current()).await;
            }
        }

        assert_eq!(seen, [1, 1, 1, 1, 1, 4, 4]);
        let lines = String::from_utf8(lines.lock().expect("not poisoned").clone());
        let lines = lines.expect("text");
        assert_eq!(lines.matches(" WARN ").count(), 2, "{lines}");
        assert_eq!(lines.matches(" INFO ").count(), 1, "{lines}");
        assert!(lines.contains("${env:DIR}/number"), "{lines}");
        let path = folder.path().display().to_string();
        assert!(!lines.contains(&path), "{lines}");
    }
}
