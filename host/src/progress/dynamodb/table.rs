//! The table itself: found, or made.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus,
};
use tokio::time::Instant;
use tracing::info;

use super::{DynamoDbStore, INGRESS, PARTITION, sent};
use crate::{
    aws::{Failure, FailureKind},
    progress::store::StoreError,
};

/// How long a new table may take to become active.
const ACTIVATION: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(500);

/// Waits until the table is there and active; makes it if it is not.
pub(super) async fn ensure(store: &DynamoDbStore) -> Result<(), StoreError> {
    let until = Instant::now() + ACTIVATION;
    let mut made = false;
    loop {
        match describe(store).await {
            Ok(table) => {
                check(store, &table)?;
                if matches!(
                    table.table_status,
                    Some(TableStatus::Active | TableStatus::Updating)
                ) {
                    return Ok(());
                }
            }
            Err(failure) if failure.kind == FailureKind::NotFound && !made => {
                create(store).await?;
                made = true;
                info!(table = %store.label, "made the table for progress");
            }
            // What was made is not seen everywhere at once.
            Err(failure) if failure.kind == FailureKind::NotFound => {}
            Err(failure) => return Err(store.fail(failure)),
        }
        if Instant::now() >= until {
            return Err(store.fail(Failure {
                kind: FailureKind::InUse,
                call: "DescribeTable",
                code: None,
                message: format!("the table did not become active within {ACTIVATION:?}"),
            }));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn describe(store: &DynamoDbStore) -> Result<TableDescription, Failure> {
    let call = store.client.describe_table().table_name(&store.table);
    let output = sent("DescribeTable", || call.clone().send()).await?;
    output.table.ok_or_else(|| Failure::empty("DescribeTable"))
}

/// Refuses a table that was made for something else.
fn check(store: &DynamoDbStore, table: &TableDescription) -> Result<(), StoreError> {
    let key = |kind: KeyType, name: &str| {
        let mut keys = table.key_schema().iter();
        keys.any(|key| key.key_type == kind && key.attribute_name == name)
    };
    if key(KeyType::Hash, INGRESS) && key(KeyType::Range, PARTITION) {
        return Ok(());
    }
    Err(StoreError::OtherTable {
        table: store.label.clone(),
    })
}

async fn create(store: &DynamoDbStore) -> Result<(), StoreError> {
    let mut call = store
        .client
        .create_table()
        .table_name(&store.table)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [(INGRESS, KeyType::Hash), (PARTITION, KeyType::Range)] {
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build();
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        call = call
            .key_schema(store.built(key)?)
            .attribute_definitions(store.built(attribute)?);
    }
    match Box::pin(call.send())
        .await
        .map_err(|error| Failure::new("CreateTable", &error))
    {
        Ok(_) => Ok(()),
        // Another host has been faster.
        Err(failure) if failure.kind == FailureKind::InUse => Ok(()),
        Err(failure) => Err(store.fail(failure)),
    }
}
