//! `nozzle progress`: shows, exports and resets what is stored.

use std::{fs, path::PathBuf};

use serde_json::json;

use super::{
    error::CliError,
    speak::{print, say},
};
use crate::{
    config,
    event::{Position, ShardPosition, rfc3339},
    pipeline::StartError,
    progress::{
        AnyStore,
        settings::StoreSettings,
        state_dir::StateDir,
        store::{Advance, Store},
    },
};

/// What `nozzle progress` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ProgressArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Prints a table: ingress, partition, and up to where every event is settled.
    Show(StoreArgs),
    /// Prints JSON: a list of objects with `ingress`, `partition` and `position`.
    Export(StoreArgs),
    /// Forgets an ingress's progress, so that it begins as its settings say. Stop its host first.
    Reset {
        #[command(flatten)]
        store: StoreArgs,
        /// The ingress's id, such as `shop/orders`.
        #[arg(long, value_name = "ID")]
        ingress: String,
        /// Only this partition: a file, or a shard, which is read from its first record then.
        #[arg(long, value_name = "NAME")]
        partition: Option<String>,
    },
}

/// Where progress is kept.
#[derive(Debug, Clone, clap::Args)]
struct StoreArgs {
    /// The module file. Without it: what `nozzle run --plugin` keeps in the state directory.
    #[arg(value_name = "MODULE.yaml")]
    module: Option<PathBuf>,
    /// A JSON list of property groups, for `${Group:key}`.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// As for `nozzle run`.
    #[arg(long, value_name = "DIR", default_value = ".nozzle")]
    state_dir: PathBuf,
}

/// A store, and the ingresses that may have progress in it.
struct Opened {
    store: AnyStore,
    ingresses: Vec<String>,
    _state_dir: Option<StateDir>,
}

impl StoreArgs {
    async fn open(&self) -> Result<Opened, CliError> {
        let (settings, ingresses) = match &self.module {
            Some(path) => {
                let module =
                    config::load(path, self.properties.as_deref()).map_err(CliError::Config)?;
                let ids = module
                    .ingresses
                    .iter()
                    .map(|ingress| ingress.id.to_string());
                (module.progress.store.clone(), ids.collect())
            }
            None => (
                StoreSettings::Embedded,
                config::RUN_INGRESSES.map(str::to_owned).to_vec(),
            ),
        };
        let state_dir = match settings {
            StoreSettings::Embedded => {
                if !fs::exists(&self.state_dir).unwrap_or(true) {
                    return Err(CliError::Usage {
                        message: format!(
                            "there is no state directory `{}`",
                            self.state_dir.display()
                        ),
                        hint: "pass the --state-dir of the host; it is made by its first run"
                            .to_owned(),
                    });
                }
                Some(StateDir::open(&self.state_dir).map_err(CliError::StateDir)?)
            }
            StoreSettings::DynamoDb(_) => None,
        };
        let store = AnyStore::open(&settings, &self.state_dir).await;
        Ok(Opened {
            store: store.map_err(StartError::Store)?,
            ingresses,
            _state_dir: state_dir,
        })
    }
}

impl Opened {
    /// Those of an ingress that something is stored of.
    async fn partitions(&self, ingress: &str) -> Result<Vec<String>, CliError> {
        let stored = self.store.load(ingress).await;
        let stored = stored.map_err(StartError::Store)?.into_iter();
        Ok(stored.map(|(name, _)| name).collect())
    }

    async fn all(&self) -> Result<Vec<(String, String, Position)>, CliError> {
        let mut all = Vec::new();
        for ingress in &self.ingresses {
            let stored = self.store.load(ingress).await.map_err(StartError::Store)?;
            all.extend(
                stored
                    .into_iter()
                    .map(|(partition, position)| (ingress.clone(), partition, position)),
            );
        }
        Ok(all)
    }
}

/// Shows, exports or resets progress.
pub(super) async fn progress(args: ProgressArgs) -> Result<(), CliError> {
    match args.action {
        Action::Show(store) => {
            let all = store.open().await?.all().await?;
            let rows = all.iter().map(|(ingress, partition, position)| {
                [ingress.clone(), partition.clone(), words(position)]
            });
            let head = ["ingress", "partition", "settled up to"].map(str::to_owned);
            print(&table(std::iter::once(head).chain(rows).collect()))?;
        }
        Action::Export(store) => {
            let all = store.open().await?.all().await?;
            let list: Vec<_> = all
                .iter()
                .map(|(ingress, partition, position)| {
                    json!({ "ingress": ingress, "partition": partition, "position": position })
                })
                .collect();
            print(&format!("{:#}\n", json!(list)))?;
        }
        Action::Reset {
            store,
            ingress,
            partition,
        } => reset(store, ingress, partition).await?,
    }
    Ok(())
}

async fn reset(
    args: StoreArgs,
    ingress: String,
    partition: Option<String>,
) -> Result<(), CliError> {
    let mut opened = args.open().await?;
    if !opened.ingresses.contains(&ingress) {
        return Err(CliError::Usage {
            message: format!("there is no ingress `{ingress}`"),
            hint: format!("there are: {}", opened.ingresses.join(", ")),
        });
    }
    let names = opened.partitions(&ingress).await?;
    if let Some(partition) = partition.as_ref().filter(|name| !names.contains(name)) {
        return Err(CliError::Usage {
            message: format!("there is no progress of `{partition}`"),
            hint: format!("there is progress of: {}", names.join(", ")),
        });
    }
    // A host that still reads the ingress can store nothing any more, and stops.
    let claimed = opened.store.claim(&ingress).await;
    claimed.map_err(StartError::Store)?;
    let stored = opened.store.load(&ingress).await;
    let stored = stored.map_err(StartError::Store)?;
    let is_shard = |only: &&String| {
        let mut stored = stored.iter();
        stored.any(|(name, position)| name == *only && matches!(position, Position::Shard(_)))
    };
    if let Some(partition) = partition.as_ref().filter(is_shard) {
        // Without progress, a shard between others that have some is one that ended before the ingress was there.
        let advance = Advance {
            ingress: ingress.clone(),
            partition: partition.clone(),
            position: Position::Shard(ShardPosition::Beginning),
        };
        let saved = opened.store.save(vec![advance]).await;
        saved.map_err(StartError::Store)?;
        say(&format!(
            "`{partition}` of `{ingress}` is read from its first record"
        ));
        return Ok(());
    }
    let names = stored.into_iter().map(|(name, _)| name);
    let forget: Vec<String> = names
        .filter(|name| partition.as_ref().is_none_or(|only| only == name))
        .collect();
    let count = forget.len();
    let forgotten = opened.store.forget(&ingress, forget).await;
    forgotten.map_err(StartError::Store)?;
    say(&format!(
        "forgot the progress of {count} partitions of `{ingress}`"
    ));
    Ok(())
}

/// A position, for people.
fn words(position: &Position) -> String {
    match position {
        Position::Count(count) => format!("record {count}"),
        Position::Line { offset, line, .. } => format!("line {line} (byte {offset})"),
        Position::Shard(ShardPosition::Beginning) => "its beginning".to_owned(),
        Position::Shard(ShardPosition::Time(ms)) => format!("what arrived before {}", rfc3339(*ms)),
        Position::Shard(ShardPosition::End) => "its end".to_owned(),
        Position::Shard(ShardPosition::Record {
            sequence,
            sub,
            arrived_ms,
        }) => {
            let sub = sub
                .map(|sub| format!(", user record {sub}"))
                .unwrap_or_default();
            format!("{sequence}{sub} (arrived {})", rfc3339(*arrived_ms))
        }
    }
}

fn table(rows: Vec<[String; 3]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter()
        .map(|[ingress, partition, position]| {
            format!("{ingress:<first$}  {partition:<second$}  {position}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_shown_in_words() {
        let record = ShardPosition::Record {
            sequence: "4961".into(),
            sub: Some(2),
            arrived_ms: 1_790_000_000_000,
        };
        let rows = [
            ("shardId-000000000000", Position::Shard(ShardPosition::End)),
            ("shardId-000000000001", Position::Shard(record)),
            (
                "orders.ndjson",
                Position::Line {
                    offset: 90,
                    line: 3,
                    crc: Some(7),
                },
            ),
        ];
        let rows = rows.map(|(partition, position)| {
            ["t/in".to_owned(), partition.to_owned(), words(&position)]
        });

        insta::assert_snapshot!(table(rows.to_vec()), @r"
        t/in  shardId-000000000000  its end
        t/in  shardId-000000000001  4961, user record 2 (arrived 2026-09-21T14:13:20.000Z)
        t/in  orders.ndjson         line 3 (byte 90)
        ");
    }
}
