//! Where progress is kept: the trait, and its errors.

use std::{future::Future, io, path::PathBuf};

use crate::{aws::Failure, event::Position};

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

    /// Removes what is stored of these partitions; those of which nothing is stored do not matter.
    ///
    /// # Errors
    /// When they may still be stored.
    fn forget(
        &mut self,
        ingress: &str,
        partitions: Vec<String>,
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
    /// The service refuses, or does not answer.
    #[error("the progress table `{table}` cannot be used")]
    Table {
        /// As the user names it.
        table: String,
        /// Why.
        #[source]
        failure: Box<Failure>,
    },
    /// A table of this name that was made for something else.
    #[error(
        "the table `{table}` is not one for progress: its keys are not `ingress` and `partition`"
    )]
    OtherTable {
        /// As the user names it.
        table: String,
    },
    /// An item that this version does not understand.
    #[error("the progress table `{table}` has an item that cannot be read: {item}")]
    Item {
        /// As the user names it.
        table: String,
        /// What was found.
        item: String,
    },
    /// A newer host reads the ingress: what this one does is done twice.
    #[error("another host has taken over the ingress `{ingress}` in the progress table `{table}`")]
    TakenOver {
        /// As the user names it.
        table: String,
        /// Its id.
        ingress: String,
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
            Self::Table { failure, .. } => failure.hint(),
            Self::OtherTable { .. } => {
                Some("name another table: one that is not there is made".to_owned())
            }
            Self::Item { .. } => Some(
                "Nozzle does not guess where to go on. `nozzle progress reset` makes the ingress begin anew".to_owned(),
            ),
            Self::TakenOver { .. } => Some(
                "only one host at a time reads an ingress: the newer one goes on from what this one has stored".to_owned(),
            ),
            Self::Io { .. } => None,
        }
    }
}
