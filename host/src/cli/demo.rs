//! `nozzle demo`: datagen, a plugin, and an endpoint that misbehaves, with a live view and a proof at the end.

use std::{path::PathBuf, time::Duration};

use super::{error::CliError, log::LogFormat, numbers::grouped, run::drive, speak::say, summary};
use crate::{
    config::{self, Flags, Source, Sources},
    endpoint::{Endpoint, EndpointOptions},
    pipeline::RunOptions,
};

/// What `nozzle demo` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DemoArgs {
    /// The plugin; the one that makes a call a record without it.
    #[arg(
        long,
        value_name = "P.wasm",
        default_value = "guest-plugins/dist/per_record.wasm"
    )]
    plugin: PathBuf,
    /// Records a second.
    #[arg(long, default_value_t = 600)]
    rate: u64,
    /// For how long records come.
    #[arg(long, value_name = "DURATION", default_value = "12s", value_parser = humantime::parse_duration)]
    duration: Duration,
}

/// Runs the demo in a folder of its own.
pub(super) async fn demo(args: DemoArgs, format: LogFormat) -> Result<(), CliError> {
    if !args.plugin.is_file() {
        return Err(CliError::NoDemoPlugin { path: args.plugin });
    }
    let options = EndpointOptions {
        statuses: vec![(503, 8.0), (429, 4.0), (500, 2.0), (400, 1.0)],
        resets: 2.0,
        latency: (Duration::from_millis(2), Duration::from_millis(40)),
        seed: 7,
        ..EndpointOptions::default()
    };
    let address = "127.0.0.1:0";
    let endpoint = Endpoint::bind(address, options)
        .await
        .map_err(|source| CliError::Listen {
            address: address.to_owned(),
            source,
        })?;
    let folder = std::env::temp_dir().join(format!("nozzle-demo-{}", std::process::id()));
    let dead_letters = folder.join("dead-letters.ndjson");
    let flags = Flags {
        plugin: args.plugin.clone(),
        plugin_config: None,
        url: format!("http://{}/orders", endpoint.address()),
        auth_header: None,
        source: Source::Datagen {
            rate: Some(args.rate.max(1)),
            count: Some((args.rate as f64 * args.duration.as_secs_f64()) as u64),
            seed: 7,
        },
        max_records: Some(100),
        max_wait: Some(Duration::from_millis(50)),
        max_calls: Some(64),
        dead_letters: Some(dead_letters.clone()),
        results: Some(folder.join("results.ndjson")),
        allow: Vec::new(),
    };
    let sources = Sources {
        groups: Default::default(),
        env: |_| None,
        folder: PathBuf::new(),
    };
    let module = config::from_flags(flags, &sources).map_err(|message| CliError::Usage {
        message,
        hint: "see `nozzle demo --help`".to_owned(),
    })?;
    say(&format!(
        "{} records/s go through {}",
        args.rate,
        args.plugin.display()
    ));
    say(
        "to an endpoint that answers 8 % 503, 4 % 429, 2 % 500, 1 % 400, and resets 2 % of its connections.\n",
    );
    let run = RunOptions {
        state_dir: folder.join("state"),
        grace: Duration::from_secs(30),
        program: super::this_program(),
    };
    let (summary, elapsed) = drive(module, None, &run, format).await?;
    summary::print(&summary, elapsed, format);

    let counts = endpoint.counts();
    let bad: u64 = counts
        .statuses
        .iter()
        .filter(|(status, _)| **status != 200)
        .map(|(_, count)| count)
        .sum();
    say(&format!(
        "the endpoint refused or cut off {} of {} calls, and accepted {} different records ({} twice)",
        grouped(bad + counts.resets),
        grouped(counts.calls),
        grouped(counts.unique),
        grouped(counts.duplicates),
    ));
    let delivered: u64 = summary.sinks.iter().map(|sink| sink.delivered).sum();
    let proved = delivered == counts.unique;
    say(&format!(
        "{}: delivered {} {} accepted {}",
        if proved {
            "nothing was lost"
        } else {
            "the counts differ"
        },
        grouped(delivered),
        if proved { "=" } else { "≠" },
        grouped(counts.unique),
    ));
    say(&format!(
        "what was given up on, each with its cause: {}",
        dead_letters.display()
    ));
    summary::result(summary)?;
    match proved {
        true => Ok(()),
        false => Err(CliError::Demo),
    }
}
