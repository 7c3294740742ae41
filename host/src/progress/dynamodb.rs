//! The DynamoDB store: one table for hosts that move between machines.
//!
//! An item for each partition of each ingress, and one for the ingress itself, which holds a number that grows with
//! each host that takes it over. A host writes in transactions that hold only while that number is its own: a host
//! that was taken over can change nothing.

mod table;

use std::{error::Error, fmt};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, ConditionCheck, Delete, Put, ReturnValue, TransactWriteItem},
};

use super::{
    settings::DynamoDbSettings,
    store::{Advance, Store, StoreError},
};
use crate::{
    aws::{self, Failure, FailureKind, persist},
    event::Position,
};

/// The partition key: the ingress's id.
const INGRESS: &str = "ingress";
/// The sort key: the partition's name; no partition is called as the ingress's own item.
const PARTITION: &str = "partition";
const OWNER: &str = "#owner";
/// On the ingress's own item: grows with each host that takes it over.
const GENERATION: &str = "generation";
/// On a partition's item: the position, as JSON.
const POSITION: &str = "position";
/// Actions in one transaction (DynamoDB quotas: 100), one of which checks the generation.
const TRANSACTION: usize = 99;

/// Progress in a table.
#[derive(Debug)]
pub struct DynamoDbStore {
    client: Client,
    table: String,
    label: String,
    /// Ingresses that this host has taken over, and its generation of each.
    owned: Vec<(String, u64)>,
}

impl DynamoDbStore {
    /// Opens the table, or makes it.
    ///
    /// # Errors
    /// When it is another kind of table, the caller may not use it, or the service does not answer.
    pub async fn open(settings: &DynamoDbSettings) -> Result<Self, StoreError> {
        let config = aws::connect(&settings.aws)
            .await
            .map_err(|failure| StoreError::Table {
                table: settings.label.clone(),
                failure: Box::new(failure),
            })?;
        let store = Self {
            client: Client::new(&config),
            table: settings.table.clone(),
            label: settings.label.clone(),
            owned: Vec::new(),
        };
        table::ensure(&store).await?;
        Ok(store)
    }

    /// Takes an ingress over: no other host can store its progress from now on.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn claim(&mut self, ingress: &str) -> Result<(), StoreError> {
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(self.key(ingress, OWNER).into()))
            .update_expression("ADD #generation :one")
            .expression_attribute_names("#generation", GENERATION)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew);
        // Made twice, it only counts further.
        let output = sent("UpdateItem", || call.clone().send())
            .await
            .map_err(|failure| self.fail(failure))?;
        let generation = output
            .attributes
            .as_ref()
            .and_then(|item| item.get(GENERATION)?.as_n().ok()?.parse().ok());
        let generation = generation.ok_or_else(|| self.fail(Failure::empty("UpdateItem")))?;
        self.owned.push((ingress.to_owned(), generation));
        Ok(())
    }

    /// Runs a transaction that holds only while `ingress` is this host's.
    async fn transact(
        &self,
        ingress: &str,
        actions: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let owned = self.owned.iter().find(|(owned, _)| owned == ingress);
        let check = match owned {
            None => None,
            Some((_, generation)) => {
                let check = ConditionCheck::builder()
                    .table_name(&self.table)
                    .set_key(Some(self.key(ingress, OWNER).into()))
                    .condition_expression("#generation = :mine")
                    .expression_attribute_names("#generation", GENERATION)
                    .expression_attribute_values(":mine", AttributeValue::N(generation.to_string()))
                    .build();
                Some(
                    TransactWriteItem::builder()
                        .condition_check(self.built(check)?)
                        .build(),
                )
            }
        };
        for part in actions.chunks(TRANSACTION) {
            let items: Vec<_> = check.iter().chain(part).cloned().collect();
            let call = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items));
            let write = sent("TransactWriteItems", || call.clone().send());
            write.await.map_err(|failure| match failure.kind {
                // Every other reason for which a transaction is cancelled passes.
                FailureKind::Condition if failure.message.contains("ConditionalCheckFailed") => {
                    StoreError::TakenOver {
                        table: self.label.clone(),
                        ingress: ingress.to_owned(),
                    }
                }
                _ => self.fail(failure),
            })?;
        }
        Ok(())
    }

    fn key(&self, ingress: &str, partition: &str) -> [(String, AttributeValue); 2] {
        [
            (INGRESS.to_owned(), text(ingress)),
            (PARTITION.to_owned(), text(partition)),
        ]
    }

    fn fail(&self, failure: Failure) -> StoreError {
        StoreError::Table {
            table: self.label.clone(),
            failure: Box::new(failure),
        }
    }

    fn built<T, E: std::error::Error>(&self, built: Result<T, E>) -> Result<T, StoreError> {
        built.map_err(|error| {
            self.fail(Failure {
                kind: FailureKind::Refused,
                call: "TransactWriteItems",
                code: None,
                message: error.to_string(),
            })
        })
    }
}

impl Store for DynamoDbStore {
    async fn load(&self, ingress: &str) -> Result<Vec<(String, Position)>, StoreError> {
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let call = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#ingress = :ingress")
                .expression_attribute_names("#ingress", INGRESS)
                .expression_attribute_values(":ingress", text(ingress))
                .set_exclusive_start_key(from);
            let output = sent("Query", || call.clone().send())
                .await
                .map_err(|failure| self.fail(failure))?;
            for item in output.items.unwrap_or_default() {
                let of = |name: &str| item.get(name)?.as_s().ok();
                let Some(partition) = of(PARTITION).filter(|partition| *partition != OWNER) else {
                    continue;
                };
                let position =
                    of(POSITION).and_then(|position| serde_json::from_str(position).ok());
                let position = position.ok_or_else(|| StoreError::Item {
                    table: self.label.clone(),
                    item: format!("`{ingress}`, `{partition}`: {:?}", of(POSITION)),
                })?;
                found.push((partition.clone(), position));
            }
            from = output.last_evaluated_key;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    async fn save(&mut self, advances: Vec<Advance>) -> Result<(), StoreError> {
        let mut by_ingress: Vec<(String, Vec<TransactWriteItem>)> = Vec::new();
        for advance in advances {
            let position =
                serde_json::to_string(&advance.position).expect("a position is always JSON");
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(self.key(&advance.ingress, &advance.partition).into()))
                .item(POSITION, text(&position))
                .build();
            let put = TransactWriteItem::builder().put(self.built(put)?).build();
            match by_ingress
                .iter_mut()
                .find(|(ingress, _)| *ingress == advance.ingress)
            {
                Some((_, actions)) => actions.push(put),
                None => by_ingress.push((advance.ingress, vec![put])),
            }
        }
        for (ingress, actions) in by_ingress {
            self.transact(&ingress, actions).await?;
        }
        Ok(())
    }

    async fn forget(&mut self, ingress: &str, partitions: Vec<String>) -> Result<(), StoreError> {
        let mut actions = Vec::new();
        for partition in partitions {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(self.key(ingress, &partition).into()))
                .build();
            actions.push(
                TransactWriteItem::builder()
                    .delete(self.built(delete)?)
                    .build(),
            );
        }
        self.transact(ingress, actions).await
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Makes a call, and again while its failure may pass.
async fn sent<T, E, R, F>(call: &'static str, send: impl Fn() -> F) -> Result<T, Failure>
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
    F: Future<Output = Result<T, SdkError<E, R>>>,
{
    let attempt = || {
        let sending = Box::pin(send());
        async move { sending.await.map_err(|error| Failure::new(call, &error)) }
    };
    persist(attempt).await
}
