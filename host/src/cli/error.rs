//! What went wrong, in prose: the message, its causes, one hint, and an exit code.

use std::{io, path::PathBuf};

use super::{
    author::AuthorError,
    package::PackageError,
    record::RecordError,
    speak::{StdoutError, say},
};
use crate::{
    admin::{BindError, FetchError},
    causes::causes,
    config::{Mark, Problem, Problems},
    event::{now_ms, rfc3339},
    ingress::IngressError,
    pipeline::StartError,
    progress::{state_dir::StateDirError, store::StoreError},
};

/// Any failure of a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),
    #[error("`{filter}` is no log filter")]
    LogFilter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("signals cannot be handled")]
    Signals(#[source] io::Error),
    #[error("{message}")]
    Usage { message: String, hint: String },
    /// Each is printed with its place.
    #[error("{0}")]
    Config(Problems),
    /// What the module file names and could not be opened; each is printed with its place.
    #[error("{problems}")]
    Located { problems: Problems, exit_code: u8 },
    #[error(transparent)]
    Start(#[from] StartError),
    /// Of a run without a module file.
    #[error(transparent)]
    Flags(Box<CliError>),
    #[error(transparent)]
    StateDir(StateDirError),
    #[error("could not read the plugin `{}`", path.display())]
    PluginFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no plugin at `{}`", path.display())]
    NoDemoPlugin { path: PathBuf },
    #[error("the endpoint cannot listen on `{address}`")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the admin address `{address}` cannot be listened on")]
    Admin {
        address: String,
        #[source]
        source: BindError,
    },
    #[error("the token in `{}` cannot be read", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Fetch(FetchError),
    #[error(transparent)]
    Author(AuthorError),
    #[error(transparent)]
    Package(PackageError),
    #[error(transparent)]
    Record(RecordError),
    #[error(transparent)]
    Stdout(#[from] StdoutError),
    #[error("ended by a second signal, before it had started")]
    Interrupted,
    #[error(
        "the demo's counts differ: that is a bug of Nozzle, or its plugin sends other calls than the demo counts"
    )]
    Demo,
    #[error("a source failed")]
    Source(#[source] IngressError),
    #[error("stopped")]
    Store(#[source] StoreError),
    #[error("stopped with {unsettled} events unsettled{}", lines(reasons))]
    Unsettled {
        unsettled: usize,
        reasons: Vec<String>,
    },
}

fn lines(reasons: &[String]) -> String {
    reasons
        .iter()
        .map(|reason| format!("\n  {reason}"))
        .collect()
}

impl CliError {
    /// As listed in `--help` and the README.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) | Self::Signals(_) | Self::Stdout(_) => 1,
            Self::Interrupted | Self::Demo => 1,
            Self::LogFilter { .. } | Self::Usage { .. } | Self::Config(_) => 2,
            Self::Listen { .. } | Self::Admin { .. } | Self::Fetch(_) | Self::TokenFile { .. } => 2,
            Self::Start(StartError::Endpoint { .. } | StartError::BaseUrl { .. }) => 2,
            Self::Start(StartError::Telemetry(_) | StartError::Collector(_)) => 2,
            Self::NoDemoPlugin { .. } | Self::PluginFile { .. } => 3,
            Self::Author(error) => error.exit_code(),
            Self::Package(error) => error.exit_code(),
            Self::Record(_) => 1,
            Self::Start(StartError::Plugin { .. } | StartError::PluginHost(_)) => 3,
            Self::Start(_) | Self::Source(_) | Self::Store(_) | Self::StateDir(_) => 4,
            Self::Unsettled { .. } => 5,
            Self::Flags(error) => error.exit_code(),
            Self::Located { exit_code, .. } => *exit_code,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::LogFilter { .. } => Some("try `info`, `debug`, or `nozzle=debug`".to_owned()),
            Self::Start(error) => error.hint(),
            Self::Flags(error) => error.hint().map(|hint| {
                hint.replace(
                    "`plugin.path`: it is relative to the module file's folder",
                    "`--plugin`: it is relative to this folder",
                )
                .replace("`plugin.config` of the sink", "`--config`")
            }),
            Self::StateDir(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Author(error) => error.hint(),
            Self::Package(error) => error.hint(),
            Self::Record(error) => error.hint(),
            Self::NoDemoPlugin { .. } => {
                Some("run `make rust-guests` in the repository, or name one with --plugin".to_owned())
            }
            Self::Listen { .. } => Some("pass another --listen address; port 0 takes a free one".to_owned()),
            Self::Admin { source: BindError::Tls(_), .. } => Some("correct `admin.tls` in the module file".to_owned()),
            Self::Admin { .. } => Some("another host may have it: pass another address with --admin, or stop that host".to_owned()),
            Self::Fetch(FetchError::Connect { .. }) => Some(
                "start the host with --admin, or with `admin` in its module file; name its address with --admin".to_owned(),
            ),
            Self::Fetch(FetchError::Foreign { .. }) => Some("name the admin address of a host with --admin".to_owned()),
            Self::Fetch(FetchError::Refused(problem)) => problem.hint.clone(),
            Self::Fetch(FetchError::Tls(_)) => Some("pass another --ca-file".to_owned()),
            Self::Fetch(FetchError::Version { .. }) => Some("use the `nozzle` of the same version as the host".to_owned()),
            Self::Unsettled { .. } => Some(
                "a file or stream is read on from its stored progress at the next start; what came from \
                 standard input or datagen must be sent again"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The same as a line of JSON, as logs are written: also where nothing is logged yet.
    pub(super) fn log(&self) {
        let causes: Vec<_> = causes(self).map(ToString::to_string).collect();
        let mut fields = serde_json::json!({
            "causes": causes, "hint": self.hint(), "exit-code": self.exit_code(),
        });
        let mut message = self.to_string();
        // What is drawn for a terminal is no text for a field.
        if let Self::Config(problems) | Self::Located { problems, .. } = self {
            message = problems.in_one_line();
            fields["problems"] = problems.problems.iter().map(problem).collect();
        }
        let line = serde_json::json!({
            "timestamp": rfc3339(now_ms()),
            "level": "error",
            "target": "nozzle::cli",
            "message": message,
            "fields": fields,
        });
        say(&line.to_string());
    }

    /// `error:`, the causes, then one hint.
    pub(super) fn print(&self) {
        if let Self::Config(problems) | Self::Located { problems, .. } = self {
            say(problems.to_string().trim_end());
            return;
        }
        if let Self::Author(AuthorError::CaseFiles(all)) = self {
            for problems in all {
                say(problems.to_string().trim_end());
            }
        }
        say(format!("error: {self}").trim_end());
        for cause in causes(self) {
            say(format!("  caused by: {cause}").trim_end());
        }
        if let Some(hint) = self.hint() {
            say(format!("  hint: {hint}").trim_end());
        }
    }
}

fn problem(problem: &Problem) -> serde_json::Value {
    let Mark { line, column, .. } = problem.mark;
    serde_json::json!({ "line": line, "column": column, "message": problem.message, "hint": problem.hint })
}
