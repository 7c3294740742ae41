//! `nozzle plugin new`, `check`, `test`, `run` and `bench`: what the author of a plugin works with.

mod bench;
mod check;
mod new;
mod run;
mod test;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{error::CliError, speak::StdoutError};
use crate::{
    author::{
        BenchError, CasesError, Mistake, PreviewError, ProjectError, Workshop, WorkshopError,
        events_of,
    },
    config::Problems,
    event::Event,
    plugin::{LoadError, settings::PluginLimits},
};

/// What `nozzle plugin` can do for authors.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AuthorCommand {
    /// Writes a project that builds and passes its first test, with all that it needs.
    New(new::NewArgs),
    /// Says what a plugin is and needs, and tries it on records and responses as they come one day.
    Check(check::CheckArgs),
    /// Runs cases against a plugin, without a network: batches and responses in, requests and verdicts out.
    Test(test::TestArgs),
    /// Shapes one batch, and prints the requests that would be sent.
    Run(run::RunArgs),
    /// Measures a plugin: size, start, memory, and the time of a call and of a record.
    Bench(bench::BenchArgs),
}

/// Why such a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorError {
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    #[error(transparent)]
    Plugin(Box<LoadError>),
    #[error(transparent)]
    Cases(CasesError),
    /// Each is printed with its place.
    #[error("{}", files(.0))]
    CaseFiles(Vec<Problems>),
    #[error("no case has `{filter}` in its name")]
    NoSuchCase { filter: String },
    #[error("could not write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("there are no records in `{}`", path.display())]
    NoRecords { path: PathBuf },
    #[error("`{}` is no baseline", path.display())]
    Baseline {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the baseline was measured with batches of {was}")]
    OtherBatch { was: usize },
    #[error("{given}: {mistake}")]
    Mistake {
        given: &'static str,
        mistake: Mistake,
    },
    #[error(transparent)]
    Preview(PreviewError),
    #[error(transparent)]
    Bench(BenchError),
    #[error(transparent)]
    Project(ProjectError),
    #[error(transparent)]
    Stdout(#[from] StdoutError),
    #[error("{failed} of {all} cases failed")]
    Failed { failed: usize, all: usize },
}

fn files(problems: &[Problems]) -> String {
    match problems.len() {
        1 => "a file is no case".to_owned(),
        files => format!("{files} files are no cases"),
    }
}

impl AuthorError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { .. } | Self::Write { .. } | Self::Stdout(_) => 1,
            Self::Cases(_) | Self::CaseFiles(_) | Self::NoSuchCase { .. } => 2,
            Self::Read { .. } | Self::NoRecords { .. } | Self::Baseline { .. } => 2,
            Self::OtherBatch { .. } => 2,
            Self::Preview(PreviewError::Url) | Self::Bench(BenchError::NoRecords) => 2,
            Self::Project(ProjectError::Write { .. }) => 1,
            Self::Project(_) => 2,
            Self::Workshop(_) | Self::Plugin(_) | Self::Mistake { .. } => 3,
            Self::Preview(_) | Self::Bench(_) => 3,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Workshop(error) | Self::Bench(BenchError::Workshop(error)) => error.hint(),
            Self::Plugin(error) => PreviewError::hint_of(error),
            Self::Bench(BenchError::Load(error)) => PreviewError::hint_of(error),
            Self::Bench(BenchError::Shape(error)) => Mistake::Shape(error.clone()).hint(),
            Self::Preview(error) => error.hint(),
            Self::Mistake { mistake, .. } => mistake.hint(),
            Self::Project(error) => error.hint().map(str::to_owned),
            Self::NoRecords { .. } => Some("write one record on each line".to_owned()),
            Self::Baseline { .. } => Some("write one with `--save`".to_owned()),
            Self::OtherBatch { .. } => Some("leave out `--batch`".to_owned()),
            Self::Cases(_) => Some(
                "name a case file or a folder of them; without one, `cases/` is looked for beside the plugin and above it"
                    .to_owned(),
            ),
            Self::Failed { .. } => Some(
                "if what was found is what is meant, `--update` writes it into the case files".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Carries the command out.
pub(super) async fn author(command: AuthorCommand) -> Result<(), CliError> {
    match command {
        AuthorCommand::New(args) => new::new(&args),
        AuthorCommand::Check(args) => check::check(args).await,
        AuthorCommand::Test(args) => test::test(args).await,
        AuthorCommand::Run(args) => run::run(args).await,
        AuthorCommand::Bench(args) => bench::bench(args).await,
    }
    .map_err(CliError::Author)
}

/// What a plugin may use, where it is other than in a module without `limits`.
#[derive(Debug, Clone, clap::Args)]
struct LimitArgs {
    /// How long a call may run, as `plugin.limits.time`.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = crate::config::parse_duration)]
    limit_time: std::time::Duration,
    /// Memory of the instance, as `plugin.limits.memory`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    limit_memory: bytesize::ByteSize,
}

impl LimitArgs {
    fn limits(&self) -> PluginLimits {
        PluginLimits {
            time: self.limit_time,
            memory: usize::try_from(self.limit_memory.as_u64()).unwrap_or(usize::MAX),
            instances: 1,
            ..PluginLimits::default()
        }
    }
}

/// `plugin.config`, which is JSON.
fn config(text: &str) -> Result<String, String> {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    match read {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

/// The records of a file, one on each line.
fn events(path: &Path) -> Result<Vec<Arc<Event>>, AuthorError> {
    let read = std::fs::read(path).map_err(|source| AuthorError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(events_of(&read.into()))
}

async fn workshop(plugin: &Path, limits: &LimitArgs) -> Result<Workshop, AuthorError> {
    let cache = Workshop::cache_of_user(plugin);
    Ok(Workshop::open(plugin, limits.limits(), cache).await?)
}
