//! Any of the stores that a module file can name.

use std::path::Path;

use super::{
    dynamodb::DynamoDbStore,
    embedded::EmbeddedStore,
    settings::StoreSettings,
    store::{Advance, Store, StoreError},
};
use crate::event::Position;

/// Any of the stores that a module file can name.
#[derive(Debug)]
pub enum AnyStore {
    /// A file in the state directory.
    Embedded(EmbeddedStore),
    /// A DynamoDB table.
    DynamoDb(Box<DynamoDbStore>),
}

impl AnyStore {
    /// Opens the store; `state_dir` is locked by the caller.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn open(settings: &StoreSettings, state_dir: &Path) -> Result<Self, StoreError> {
        match settings {
            StoreSettings::Embedded => EmbeddedStore::open(state_dir).map(Self::Embedded),
            StoreSettings::DynamoDb(settings) => {
                let store = Box::pin(DynamoDbStore::open(settings)).await?;
                Ok(Self::DynamoDb(Box::new(store)))
            }
        }
    }

    /// Takes an ingress over: no host that had it before can store its progress from now on. In the state directory
    /// its lock sees to that.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn claim(&mut self, ingress: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::DynamoDb(store) => store.claim(ingress).await,
        }
    }
}

impl Store for AnyStore {
    async fn load(&self, ingress: &str) -> Result<Vec<(String, Position)>, StoreError> {
        match self {
            Self::Embedded(store) => store.load(ingress).await,
            Self::DynamoDb(store) => store.load(ingress).await,
        }
    }

    async fn save(&mut self, advances: Vec<Advance>) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.save(advances).await,
            Self::DynamoDb(store) => store.save(advances).await,
        }
    }

    async fn forget(&mut self, ingress: &str, partitions: Vec<String>) -> Result<(), StoreError> {
        match self {
            Self::Embedded(store) => store.forget(ingress, partitions).await,
            Self::DynamoDb(store) => store.forget(ingress, partitions).await,
        }
    }
}
