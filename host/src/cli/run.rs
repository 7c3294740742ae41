//! `nozzle run`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::{StateArgs, error::CliError, log::LogFormat, named::Named, summary, view};
use crate::{
    admin::{
        Admin, Board,
        settings::{self, EXPOSED, Listen},
    },
    config::{self, Flags, Module, Source, Sources},
    ingress::settings::StreamStart,
    pipeline::{self, ModuleFile, RunOptions, Summary},
    shutdown::Shutdown,
};

/// Flags that stand for what a module file says: beside one they would go unheard. (That they require `plugin` does not keep
/// them away: clap waives what conflicts with an argument that is there.)
const OF_A_RUN_WITHOUT_A_MODULE: [&str; 16] = [
    "plugin",
    "config",
    "url",
    "auth_header",
    "file",
    "kinesis",
    "start",
    "rate",
    "count",
    "seed",
    "max_records",
    "max_wait",
    "max_calls",
    "dead_letters",
    "results",
    "allow",
];

/// What `nozzle run` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RunArgs {
    /// The module file. Without one, name --plugin and --url.
    #[arg(value_name = "MODULE.yaml", required_unless_present_any = ["plugin", "url"], conflicts_with_all = OF_A_RUN_WITHOUT_A_MODULE)]
    module: Option<PathBuf>,
    /// A JSON list of property groups, for `${Group:key}`.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// The plugin of a run without a module file: a file, or a package (`oci://registry/repository:tag@sha256:…`).
    #[arg(long, value_name = "P.wasm", requires = "url")]
    plugin: Option<PathBuf>,
    /// The plugin's configuration, as JSON.
    #[arg(long, value_name = "JSON", requires = "plugin")]
    config: Option<String>,
    /// The endpoint's base URL; may hold `${env:NAME}` and the like.
    #[arg(long, requires = "plugin")]
    url: Option<String>,
    /// A header that authenticates, such as `x-api-key: ${env:API_KEY}`.
    #[arg(long, value_name = "NAME: VALUE", requires = "plugin")]
    auth_header: Option<String>,
    /// NDJSON to deliver; `-` is standard input. Without it, records are made up.
    #[arg(long, value_name = "PATH", requires = "plugin", conflicts_with_all = ["kinesis", "rate", "count", "seed"])]
    file: Option<PathBuf>,
    /// A Kinesis stream to read, by name or ARN; credentials and region come from the AWS SDK's standard chain.
    #[arg(
        long,
        value_name = "STREAM",
        requires = "plugin",
        conflicts_with_all = ["file", "rate", "count", "seed"]
    )]
    kinesis: Option<String>,
    /// Where a stream begins of which nothing is stored.
    #[arg(long, value_enum, requires = "kinesis", default_value_t = StartArg::Latest)]
    start: StartArg,
    /// Made-up records a second; as many as go through without it.
    #[arg(long, requires = "plugin")]
    rate: Option<u64>,
    /// Made-up records in all; no end without it.
    #[arg(long, requires = "plugin")]
    count: Option<u64>,
    /// The same seed makes up the same records.
    #[arg(long, requires = "plugin", default_value_t = 1)]
    seed: u64,
    /// Events in one batch.
    #[arg(long, value_name = "N", requires = "plugin")]
    max_records: Option<usize>,
    /// Age of the oldest event that forces a batch.
    #[arg(long, value_name = "DURATION", requires = "plugin", value_parser = config::parse_duration)]
    max_wait: Option<Duration>,
    /// Calls in flight.
    #[arg(long, value_name = "N", requires = "plugin")]
    max_calls: Option<usize>,
    /// A file for dead letters.
    #[arg(long, value_name = "PATH", requires = "plugin")]
    dead_letters: Option<PathBuf>,
    /// A file for results; `-` is standard output.
    #[arg(long, value_name = "PATH", requires = "plugin")]
    results: Option<PathBuf>,
    /// Addresses that may be dialled beside public ones and the URL's own: `private`, `10.1.0.0/16`, and what `network.allow` of a
    /// module file takes.
    #[arg(long, value_name = "NETWORK", requires = "plugin")]
    allow: Vec<String>,
    /// Serves metrics, health, status and the admin API: an IP address and a port, a port of this machine alone, such as
    /// `9464`, or `unix:PATH`. Overrides `admin.address` of the module file.
    #[arg(long, value_name = "ADDR", env = "NOZZLE_ADMIN", value_parser = settings::parse)]
    admin: Option<Listen>,
    /// Nothing can be changed by the admin address: others than this machine may then reach it without TLS and a token.
    #[arg(long)]
    admin_read_only: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// `--start`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum StartArg {
    /// With what arrives from now on.
    Latest,
    /// With the oldest records that the stream still has.
    Earliest,
}

impl RunArgs {
    /// The module file, if there is one.
    fn file(&self) -> Option<ModuleFile> {
        let path = self.module.clone()?;
        let properties = self.properties.clone();
        let files = [Some(path.clone()), properties.clone()];
        let (listen, read_only) = (self.admin.clone(), self.admin_read_only);
        let load = move || {
            let mut module = config::load(&path, properties.as_deref())?;
            serve_on(&mut module, listen.clone(), read_only);
            Ok(module)
        };
        Some(ModuleFile::new(
            files.iter().flatten().map(|file| &**file),
            load,
        ))
    }

    fn module(&self) -> Result<Module, CliError> {
        let properties = self.properties.as_deref();
        let (Some(plugin), Some(url)) = (self.plugin.clone(), self.url.clone()) else {
            return Err(CliError::Usage {
                message: "there is nothing to run".to_owned(),
                hint: "name a module file, or --plugin and --url".to_owned(),
            });
        };
        let groups = match properties {
            None => Default::default(),
            Some(path) => config::load_properties(path).map_err(CliError::Config)?,
        };
        let sources = Sources {
            groups,
            env: |name| std::env::var(name).ok(),
            folder: PathBuf::new(),
        };
        let source = match (self.file.clone(), self.kinesis.clone()) {
            (Some(path), _) => Source::File(path),
            (None, Some(stream)) => Source::Kinesis {
                stream,
                start: match self.start {
                    StartArg::Latest => StreamStart::Latest,
                    StartArg::Earliest => StreamStart::Earliest,
                },
            },
            (None, None) => Source::Datagen {
                rate: self.rate,
                count: self.count,
                seed: self.seed,
            },
        };
        let flags = Flags {
            plugin,
            plugin_config: self.config.clone(),
            url,
            auth_header: self.auth_header.clone(),
            source,
            max_records: self.max_records,
            max_wait: self.max_wait,
            max_calls: self.max_calls,
            dead_letters: self.dead_letters.clone(),
            results: self.results.clone(),
            allow: self.allow.clone(),
        };
        config::from_flags(flags, &sources).map_err(|message| CliError::Usage {
            message,
            hint: "see `nozzle run --help`".to_owned(),
        })
    }
}

/// Runs a module to its end, or until a signal.
pub(super) async fn run(args: RunArgs, format: LogFormat) -> Result<(), CliError> {
    let file = args.file();
    let module = match &file {
        Some(file) => file.load().map_err(CliError::Config)?,
        None => {
            let mut module = args.module()?;
            serve_on(&mut module, args.admin, args.admin_read_only);
            module
        }
    };
    if let Some(admin) = &module.admin
        && let Some(exposed) = admin.exposed()
    {
        return Err(CliError::Usage {
            message: format!("`{}` must not be served like this: {exposed}", admin.label),
            hint: format!("{EXPOSED}; --admin-read-only is the same"),
        });
    }
    let options = RunOptions {
        state_dir: args.state.state_dir,
        grace: args.state.grace,
        program: super::this_program(),
    };
    let named = args.module.map(|path| Named::of(&path, &module));
    let driven = drive(module, file, &options, format).await;
    let (summary, elapsed) = driven.map_err(|error| match named {
        None => CliError::Flags(Box::new(error)),
        Some(named) => named.located(error),
    })?;
    summary::print(&summary, elapsed, format);
    summary::result(summary)
}

/// Serves the admin address as the flags say.
fn serve_on(module: &mut Module, listen: Option<Listen>, read_only: bool) {
    if let Some(listen) = listen {
        let admin = module.admin.get_or_insert_default();
        admin.label = match &listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => format!("unix:{}", path.display()),
        };
        admin.listen = listen;
    }
    if let Some(admin) = &mut module.admin {
        admin.read_only |= read_only;
    }
}

/// Runs a module under a live view; signals stop it. With a file, it is read again when that changes.
pub(super) async fn drive(
    module: Module,
    file: Option<ModuleFile>,
    options: &RunOptions,
    format: LogFormat,
) -> Result<(Summary, Duration), CliError> {
    let shutdown = Shutdown::default();
    let signals = shutdown.listen().map_err(CliError::Signals)?;
    let board = Arc::new(Board::new(shutdown.drain.clone()));
    let admin = match &module.admin {
        Some(settings) => Some(open_admin(settings, &board).await?),
        None => None,
    };
    let mut starting = Box::pin(pipeline::start(module, options));
    let mut running = tokio::select! {
        biased;
        running = &mut starting => running?,
        () = shutdown.drain.cancelled() => {
            info!("told to stop while it starts: it stops when it has; a second signal ends it at once");
            tokio::select! {
                biased;
                running = &mut starting => running?,
                () = shutdown.now.cancelled() => return Err(CliError::Interrupted),
            }
        }
    };
    drop(starting);
    if let (Some(admin), Some(token)) = (&admin, running.token()) {
        admin.guard(token);
    }
    board.running(running.views());
    if let Some(file) = file {
        running.reload_from(file, &board);
    }
    let started = Instant::now();
    let summary = tokio::select! {
        biased;
        summary = Box::pin(running.finish(&shutdown)) => summary,
        () = view::show(format, || board.status()) => unreachable!("the view ends with the run"),
    };
    signals.abort();
    Ok((summary, started.elapsed()))
}

/// Before anything else is opened: a port that is taken costs nothing, and health can be asked for at once.
async fn open_admin(
    settings: &settings::AdminSettings,
    board: &Arc<Board>,
) -> Result<Admin, CliError> {
    let admin = Admin::bind(settings, Arc::clone(board))
        .await
        .map_err(|source| CliError::Admin {
            address: settings.label.clone(),
            source,
        })?;
    let port = admin.port();
    info!(address = %settings.label, port, "metrics, health and status are served");
    Ok(admin)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    #[test]
    fn no_flag_of_a_run_without_a_module_stands_beside_one() {
        use clap::CommandFactory;

        let command = Line::command();
        let alone = [
            "module",
            "properties",
            "admin",
            "admin_read_only",
            "state_dir",
            "grace",
            "help",
        ];
        for argument in command.get_arguments() {
            let (id, name) = (argument.get_id().as_str(), argument.get_long());
            let Some(name) = name.filter(|_| !alone.contains(&id)) else {
                continue;
            };
            let value = match id {
                "start" => "latest",
                "max_wait" => "1s",
                _ => "1",
            };
            let line = ["run", "m.yaml", &format!("--{name}"), value].map(str::to_owned);
            let refused = Line::try_parse_from(line).map(drop);
            assert!(refused.is_err(), "--{name} goes unheard");
        }
    }

    #[test]
    fn a_wait_is_read_as_in_a_module_file() {
        let wait = |text: &str| {
            let flags = ["run", "--plugin", "p", "--url", "u", "--max-wait", text];
            Line::try_parse_from(flags).map(|line| line.run.max_wait)
        };

        assert_eq!(
            wait("2min").expect("two minutes"),
            Some(Duration::from_secs(120))
        );
        for text in ["2M", "2years", "18446744073709551615s"] {
            let error = wait(text).expect_err(text).to_string();
            assert!(
                error.contains("--max-wait") && error.contains("write "),
                "{error}"
            );
        }
    }
}
