//! `nozzle check`: every problem at once, and a dry run of every plugin.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::error::CliError;
use crate::{
    config::{self, EndpointConfig, SinkConfig},
    delivery::{Endpoint, dry_run},
    event::{Event, now_ms},
    oci,
    pipeline::{StartError, endpoint_of},
    plugin::{Plugin, PluginHost},
};

/// What `nozzle check` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CheckArgs {
    /// The module file.
    #[arg(value_name = "MODULE.yaml")]
    module: PathBuf,
    /// A JSON list of property groups, for `${Group:key}`.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
}

/// Checks the file, then loads each plugin and lets it shape one record. Nothing is read or sent.
#[expect(
    clippy::print_stderr,
    reason = "this is where the command line speaks to people"
)]
pub(super) async fn check(args: CheckArgs) -> Result<(), CliError> {
    let module =
        config::load(&args.module, args.properties.as_deref()).map_err(CliError::Config)?;
    let host = PluginHost::new(None).map_err(StartError::PluginHost)?;
    let host = host.with_packages(oci::Cache::of_user());
    let mut failed = Vec::new();
    for sink in &module.sinks {
        let endpoint = &module.endpoints[sink.endpoint];
        match load_and_shape(&host, sink, endpoint).await {
            Ok(said) => eprintln!("{}: {said}", sink.id),
            Err(error) => failed.push(error),
        }
    }
    let last = failed.pop();
    for error in &failed {
        error.print();
    }
    match last {
        None => {
            eprintln!("`{}` is fine", args.module.display());
            Ok(())
        }
        Some(error) => Err(error),
    }
}

async fn load_and_shape(
    host: &PluginHost,
    sink: &SinkConfig,
    config: &EndpointConfig,
) -> Result<String, CliError> {
    let id = sink.id.to_string();
    let plugin = host
        .load(&id, &sink.plugin)
        .await
        .map_err(|source| StartError::Plugin {
            sink: id.clone(),
            source: Box::new(source),
        })?;
    let endpoint: Endpoint = endpoint_of(config)?;
    let event = Event {
        id: "check/sample:1".into(),
        key: Some("sample".into()),
        timestamp_ms: now_ms(),
        attributes: Vec::new(),
        data: Bytes::from_static(b"{\"id\":1}"),
    };
    let handles = if plugin.handles() {
        "judges responses itself"
    } else {
        "leaves responses to the status policy"
    };
    Ok(
        match dry_run(&plugin, &endpoint, &[Arc::new(event)]).await {
            Ok(calls) => format!("the plugin shapes {{\"id\":1}} into {calls}, and {handles}"),
            // The sample is not the user's data: that it is refused is worth a word, not a failure.
            Err(reason) => {
                format!("the plugin loads, but does not shape the sample {{\"id\":1}}: {reason}")
            }
        },
    )
}
