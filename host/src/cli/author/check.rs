//! `nozzle plugin check`.

use std::path::PathBuf;

use super::{AuthorError, LimitArgs, config, events, workshop};
use crate::{
    author::{Checked, Trial},
    cli::{
        numbers::grouped,
        speak::{print, say},
    },
};

/// What `nozzle plugin check` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    /// The component.
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// `plugin.config`.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = config)]
    config: String,
    /// Records that it is tried on too, one on each line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Loads the plugin, and lets it shape and handle what every plugin meets one day. Nothing is sent.
pub(super) async fn check(args: CheckArgs) -> Result<(), AuthorError> {
    let own = args.events.as_deref().map_or(Ok(Vec::new()), events)?;
    let workshop = workshop(&args.plugin, &args.limits).await?;
    let checked = workshop.check(&args.config, &own).await;
    let checked = checked.map_err(AuthorError::Plugin)?;
    print(&table(&checked))?;
    let mut failed = None;
    for trial in checked.trials {
        let Err(mistake) = trial.end else { continue };
        if trial.is_grave {
            failed.get_or_insert((trial.given, mistake));
        } else {
            say(&format!("warning: {}: {mistake}", trial.given));
            say(
                "  hint: in a run such a record ends as a dead letter, and costs an instance: reject it with a reason",
            );
        }
    }
    match failed {
        Some((given, mistake)) => Err(AuthorError::Mistake { given, mistake }),
        None => {
            say(&format!("`{}` is fine", args.plugin.display()));
            Ok(())
        }
    }
}

fn table(checked: &Checked) -> String {
    let judges = match checked.world {
        "sink" => "it judges responses itself",
        _ => "responses are judged by the sink's status policy",
    };
    let mut rows = vec![
        ("sha256", checked.sha256.clone()),
        ("size", format!("{} bytes", grouped(checked.size as u64))),
        (
            "world",
            format!(
                "`{}` of contract {}: {judges}",
                checked.world, checked.contract
            ),
        ),
    ];
    let many = |name: &'static str, values: &[String], none: &str| {
        let values = match values {
            [] => vec![none.to_owned()],
            values => values.to_vec(),
        };
        let rows = values.into_iter().enumerate();
        rows.map(move |(place, value)| (if place == 0 { name } else { "" }, value))
            .collect::<Vec<_>>()
    };
    rows.extend(many("imports", &checked.imports, "nothing"));
    let grants: Vec<String> = checked
        .grants
        .iter()
        .map(|line| (*line).to_owned())
        .collect();
    rows.extend(many("grants", &grants, "none are needed"));
    rows.push((
        "memory",
        format!(
            "{} bytes, once it is configured",
            grouped(checked.memory as u64)
        ),
    ));
    rows.push(("", String::new()));
    let trials = checked.trials.iter();
    rows.extend(trials.map(|Trial { given, end, .. }| {
        let end = end
            .clone()
            .unwrap_or_else(|mistake| format!("MISTAKE: {mistake}"));
        (*given, end)
    }));
    let lines = rows.iter().map(|(name, value)| {
        let width = if checked.trials.iter().any(|trial| trial.given == *name) {
            27
        } else {
            9
        };
        format!("{}\n", format!("{name:<width$}{value}").trim_end())
    });
    lines.collect()
}
