//! `nozzle check`: every problem at once, the files of endpoints, and a dry run of every plugin.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{error::CliError, named::Named, speak::say};
use crate::{
    config::{self, EndpointConfig, SinkConfig},
    delivery::dry_run,
    event::{Event, now_ms},
    oci,
    pipeline::{StartError, endpoints_of, services, try_endpoint},
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

/// Checks the file, then opens what endpoints are made of, loads each plugin and lets it shape one record. Nothing is
/// read from an ingress, and nothing is sent.
pub(super) async fn check(args: CheckArgs) -> Result<(), CliError> {
    let module =
        config::load(&args.module, args.properties.as_deref()).map_err(CliError::Config)?;
    let named = Named::of(&args.module, &module);
    let endpoints = module.endpoints.iter().map(try_endpoint);
    let mut problems: Vec<_> = endpoints.filter_map(Result::err).collect();
    let mut exit_code = 2;
    let host = PluginHost::new(None).map_err(StartError::PluginHost)?;
    let host = host
        .offering(services(&module, None))
        .with_packages(oci::Cache::of_user());
    for sink in &module.sinks {
        match load_and_shape(&host, sink, &module.endpoints).await {
            Ok(said) => say(&format!("{}: {said}", sink.id)),
            Err(error) => {
                problems.push(named.problem(&error));
                exit_code = CliError::Start(error).exit_code();
            }
        }
    }
    if !problems.is_empty() {
        return Err(named.located_all(problems, exit_code));
    }
    say(&format!("`{}` is fine", args.module.display()));
    Ok(())
}

async fn load_and_shape(
    host: &PluginHost,
    sink: &SinkConfig,
    endpoints: &[EndpointConfig],
) -> Result<String, StartError> {
    let id = sink.id.to_string();
    let plugin = host
        .load(&id, &sink.plugin)
        .await
        .map_err(|source| StartError::Plugin {
            sink: id.clone(),
            source: Box::new(source),
        })?;
    let endpoints = endpoints_of(sink, endpoints)?;
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
        match dry_run(&plugin, &endpoints, &[Arc::new(event)]).await {
            Ok(calls) => format!("the plugin shapes {{\"id\":1}} into {calls}, and {handles}"),
            // The sample is not the user's data: that it is refused is worth a word, not a failure.
            Err(reason) => {
                format!("the plugin loads, but does not shape the sample {{\"id\":1}}: {reason}")
            }
        },
    )
}
