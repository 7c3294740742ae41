//! What the stores are told, checked: built by `config`.

use std::time::Duration;

use crate::aws::settings::AwsSettings;

/// `progress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressSettings {
    /// Between two stores: what a crash may deliver twice.
    pub interval: Duration,
    /// Where progress is kept.
    pub store: StoreSettings,
}

impl Default for ProgressSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            store: StoreSettings::Embedded,
        }
    }
}

/// Where progress is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// In the state directory.
    Embedded,
    /// In a DynamoDB table.
    DynamoDb(DynamoDbSettings),
}

/// `progress.dynamodb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamoDbSettings {
    /// The table; made if it is not there.
    pub table: String,
    /// The table as the module file writes it: the form for logs and errors.
    pub label: String,
    /// Where it is.
    pub aws: AwsSettings,
}
