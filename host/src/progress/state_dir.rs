//! The state directory: made with the rights of its owner alone, and locked for one host.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// A state directory that this process holds; unlocked when dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// The lock is the open file's.
    _lock: File,
    was_left: bool,
}

/// A file that is there while a host runs.
const RUNNING: &str = "running";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// Another host holds it.
    #[error("the state directory `{}` is in use{}", path.display(), holder.as_deref().map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds it, where it has said so.
        holder: Option<String>,
    },
    /// The operating system refused.
    #[error("the state directory `{}` cannot be used", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StateDirError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some("stop that host, or pass another --state-dir".to_owned()),
            Self::Io { .. } => Some("pass a --state-dir that can be written".to_owned()),
        }
    }
}

impl StateDir {
    /// Makes the directory if need be, and locks it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, StateDirError> {
        let fail = |source| StateDirError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(fail)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: without it, it says less.
                drop(lock.read_to_string(&mut holder));
                let holder = Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty());
                return Err(StateDirError::InUse {
                    path: path.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        lock.set_len(0).map_err(fail)?;
        writeln!(lock, "{}", std::process::id()).map_err(fail)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            was_left: path.join(RUNNING).exists(),
        })
    }

    /// Whether the host that held it before came to no orderly end.
    pub fn was_left(&self) -> bool {
        self.was_left
    }

    /// A host runs from now on, until [`StateDir::leave`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn enter(&self) -> Result<(), StateDirError> {
        let entered = File::create(self.path.join(RUNNING));
        entered.map(drop).map_err(|source| StateDirError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// The host comes to an orderly end.
    pub fn leave(&self) {
        // If that fails, the next start takes this one for a crash: it starts all the same.
        drop(fs::remove_file(self.path.join(RUNNING)));
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_is_refused_with_the_name_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let first = StateDir::open(&path).expect("free");

        let refused = StateDir::open(&path).expect_err("held");
        drop(first);
        let again = StateDir::open(&path);

        let pid = std::process::id();
        let expected = format!(
            "the state directory `{}` is in use by process {pid}",
            path.display()
        );
        assert_eq!(refused.to_string(), expected);
        assert!(again.is_ok());
    }

    #[test]
    fn a_host_that_did_not_leave_is_known_to_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || StateDir::open(folder.path()).expect("free");

        let first = open();
        first.enter().expect("written");
        let fresh = first.was_left();
        drop(first);
        let second = open();
        let crashed = second.was_left();
        second.enter().expect("written");
        second.leave();
        drop(second);

        assert!(!fresh);
        assert!(crashed);
        assert!(!open().was_left());
    }
}
