//! `nozzle plugin list`, `swap` and `rollback`: the versions of the plugins of a host that runs.

use std::path::PathBuf;

use bytes::Bytes;

use super::{
    error::CliError,
    host::HostArgs,
    record::{RecordArgs, record},
    speak::{print, say},
    steer::{SinkArgs, id, json},
    table::aligned,
};
use crate::{
    admin::api::{PluginInfo, Plugins},
    config::Id,
    plugin::{SwapState, Swapped},
};

/// What `nozzle plugin` can do with a host that runs.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum VersionCommand {
    /// Lists the plugins of a running host: the versions that serve, and those that are tried.
    List(ListArgs),
    /// Replaces the plugin of a sink in a running host, if nothing speaks against the new version.
    Swap(SwapArgs),
    /// Ends the trial of a version; without one, goes back to the version that served before.
    Rollback(SinkArgs),
    /// Writes the next batches of a sink of a running host as cases: records, requests, responses and verdicts.
    Record(RecordArgs),
}

/// What `nozzle plugin list` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What `nozzle plugin swap` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SwapArgs {
    /// The sink's id.
    #[arg(value_name = "SINK", value_parser = id)]
    sink: Id,
    /// The new version, which is sent to the host. Default: what the host's module names now.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Gives it this share of the batches first, such as `5%`: after `--batches` of them it serves, or goes.
    #[arg(long, value_name = "SHARE", value_parser = percent, group = "trial")]
    canary: Option<f64>,
    /// Sends nothing of it: `--batches` are shaped by both versions, and compared.
    #[arg(long, group = "trial")]
    shadow: bool,
    /// Batches of a canary or a comparison.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "trial", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    batches: u64,
    /// How much more of its work a canary may fail on, reject or have tried again than the version that serves.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = percent, requires = "canary", conflicts_with = "shadow")]
    tolerance: f64,
    #[command(flatten)]
    host: HostArgs,
    /// Prints what came of it as JSON.
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, &'static str> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or("a share is a percentage, such as `5%`")
}

/// Carries the command out.
pub(super) async fn versions(command: VersionCommand) -> Result<(), CliError> {
    match command {
        VersionCommand::List(args) => list(args).await,
        VersionCommand::Swap(args) => swap(args).await,
        VersionCommand::Record(args) => record(args).await,
        VersionCommand::Rollback(args) => {
            let path = format!("/v1/sinks/{}/rollback", args.sink);
            let client = args.host.client()?;
            let swapped = client.post_for_long(&path, Bytes::new()).await;
            told(&args.sink, &swapped.map_err(CliError::Fetch)?, args.json)
        }
    }
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    let plugins: Plugins = client.get("/v1/plugins").await.map_err(CliError::Fetch)?;
    if args.json {
        return json(&plugins);
    }
    let rows = plugins.plugins.iter().map(row);
    let head = ["sink", "generation", "digest", "since", "before", "trial"];
    Ok(print(&format!(
        "{}\n",
        aligned(&head, &[0, 2, 3, 4, 5], rows)
    ))?)
}

fn row(plugin: &PluginInfo) -> Vec<String> {
    let none = || "-".to_owned();
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    let versions = plugin.versions.as_ref();
    let serving = versions.map(|versions| &versions.serving);
    let trial = versions.and_then(|versions| {
        let trial = versions.trial.as_ref().map(|trial| {
            let differing = trial.differing.map(|number| format!(", {number} differ"));
            format!(
                "{} of generation {}: {} of {} batches{}",
                trial.kind,
                trial.generation,
                trial.batches,
                trial.wanted,
                differing.unwrap_or_default()
            )
        });
        trial.or_else(|| versions.last_trial.clone())
    });
    let before = versions.and_then(|versions| versions.previous.as_ref());
    vec![
        plugin.sink.clone(),
        serving.map_or_else(none, |version| version.generation.to_string()),
        serving.map_or_else(none, |version| short(&version.digest)),
        serving.map_or_else(none, |version| version.accepted.clone()),
        before.map_or_else(none, |version| short(&version.digest)),
        trial.unwrap_or_else(none),
    ]
}

async fn swap(args: SwapArgs) -> Result<(), CliError> {
    let component = match &args.file {
        None => Bytes::new(),
        Some(path) => {
            let read = std::fs::read(path).map_err(|source| CliError::PluginFile {
                path: path.clone(),
                source,
            })?;
            if read.is_empty() {
                return Err(CliError::Usage {
                    message: format!("`{}` is empty", path.display()),
                    hint: "name a component".to_owned(),
                });
            }
            read.into()
        }
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(share) = args.canary {
        query.append_pair("canary", &share.to_string());
        query.append_pair("tolerance", &args.tolerance.to_string());
    }
    if args.shadow {
        query.append_pair("shadow", "true");
    }
    if args.shadow || args.canary.is_some() {
        query.append_pair("batches", &args.batches.to_string());
    }
    if let Some(name) = args.file.as_ref().and_then(|path| path.file_name()) {
        query.append_pair("name", &name.to_string_lossy());
    }
    let path = format!("/v1/sinks/{}/swap?{}", args.sink, query.finish());
    let client = args.host.client()?;
    let swapped = client.post_for_long(&path, component).await;
    told(&args.sink, &swapped.map_err(CliError::Fetch)?, args.json)
}

fn told(sink: &Id, swapped: &Swapped, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return json(swapped);
    }
    let Swapped {
        generation, digest, ..
    } = swapped;
    say(&match swapped.state {
        SwapState::Unchanged => {
            format!("`{sink}` has this version already: generation {generation}")
        }
        SwapState::Serving => format!("`{sink}` is served by generation {generation}, {digest}"),
        SwapState::Canary => format!(
            "generation {generation} is tried on a share of the batches of `{sink}`: see `nozzle plugin list`"
        ),
        SwapState::TrialEnded => {
            format!(
                "the version that was tried has gone: `{sink}` is served by generation {generation}"
            )
        }
        SwapState::Shadow => format!(
            "generation {generation} is compared with the one that serves `{sink}`: see `nozzle plugin list`"
        ),
    });
    match swapped.rehearsed {
        None if matches!(swapped.state, SwapState::Unchanged | SwapState::TrialEnded) => {}
        None => say("it was not rehearsed: no batch has come yet"),
        Some(events) if swapped.differences.is_empty() => {
            say(&format!(
                "on the last batch of {events} events it does the same as the one before"
            ));
        }
        Some(events) => {
            say(&format!(
                "on the last batch of {events} events it differs from the one before:"
            ));
            for difference in &swapped.differences {
                say(&format!("  {difference}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        let shares =
            ["5%", "0.5", "100%", "101%", "-1%", "a%", "NaN"].map(|text| percent(text).ok());

        assert_eq!(
            shares,
            [Some(5.0), Some(0.5), Some(100.0), None, None, None, None]
        );
    }
}
