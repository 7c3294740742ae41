//! `nozzle plugin test`: what the author of a plugin works with.

mod test;

use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::{
    author::{CasesError, Workshop, WorkshopError},
    config::Problems,
    plugin::{LoadError, settings::PluginLimits},
};

/// What `nozzle plugin` can do for authors.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AuthorCommand {
    /// Runs cases against a plugin, without a network: batches and responses in, requests and verdicts out.
    Test(test::TestArgs),
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
            Self::Failed { .. } | Self::Write { .. } => 1,
            Self::Cases(_) | Self::CaseFiles(_) | Self::NoSuchCase { .. } => 2,
            Self::Workshop(_) | Self::Plugin(_) => 3,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Plugin(error) | Self::Workshop(WorkshopError::Plugin(error)) => error.hint(),
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
        AuthorCommand::Test(args) => test::test(args).await,
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

async fn workshop(plugin: &Path, limits: &LimitArgs) -> Result<Workshop, AuthorError> {
    let cache = Workshop::cache_of_user(plugin);
    Ok(Workshop::open(plugin, limits.limits(), cache).await?)
}
