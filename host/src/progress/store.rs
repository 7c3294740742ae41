//! Where progress is kept: the trait, and its errors.

use std::{future::Future, io, path::PathBuf};

use crate::event::Position;

/// A partition and how far it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The ingress's id.
    pub ingress: String,
    /// The partition's name.
    pub partition: String,
    /// Every event up to here is settled.
    pub position: Position,
}

/// Keeps progress over restarts.
pub trait Store: Send + 'static {
    /// The stored positions of an ingress, by partition name.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this version does not understand.
    fn load(
        &self,
        ingress: &str,
    ) -> impl Future<Output = Result<Vec<(String, Position)>, StoreError>> + Send;

    /// Stores positions, all or none; they are durable when it returns.
    ///
    /// # Errors
    /// When they may not be durable. The caller stores them again.
    fn save(
        &mut self,
        advances: Vec<Advance>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why progress could not be read or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is damaged, or is none of ours.
    #[error("the progress store `{}` is damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<redb::Error>,
    },
    /// An entry that this version does not understand.
    #[error("the progress store `{}` has an entry that cannot be read: {entry}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// What was found.
        entry: String,
    },
    /// A later version of Nozzle has written it.
    #[error("the progress store `{}` has format {found}, and this version of Nozzle knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The operating system refused.
    #[error("the progress store `{}` cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Corrupt { path, .. } | Self::Entry { path, .. } => Some(format!(
                "Nozzle does not guess where to go on. Restore the file, or move it aside (`mv {0} {0}.bad`) to \
                 read every source from its start",
                path.display()
            )),
            Self::Newer { .. } => {
                Some("run the newer version, or pass another --state-dir".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}
