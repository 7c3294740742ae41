//! The command line. Standard output carries data only; everything for people goes to standard error.

mod author;
mod check;
mod dead_letters;
mod demo;
mod endpoint;
mod error;
mod host;
mod letters;
mod log;
mod named;
mod numbers;
mod package;
mod progress;
mod record;
mod reload;
mod replay;
mod run;
mod speak;
mod steer;
mod summary;
mod swap;
mod table;
mod top;
mod view;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::{error::CliError, log::LogFormat, speak::print};

/// Delivers a stream of records to any HTTP endpoint; a WebAssembly component decides what each
/// call looks like and what each response means.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
struct Args {
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `nozzle=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "NOZZLE_LOG",
        default_value = "info"
    )]
    log: String,
    /// How it is logged. With `json`, all that `run` writes to standard error is a JSON object a line.
    #[arg(
        long,
        global = true,
        value_enum,
        env = "NOZZLE_LOG_FORMAT",
        default_value_t = LogFormat::Text
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done: every event has its end
  1  the process could not work at all, a case of `plugin test` failed, or `plugin record` has recorded nothing
  2  usage or configuration
  3  a plugin was refused
  4  a source, an egress or the progress store failed
  5  stopped with events unsettled; what has stored progress is read again at the next start";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a module, or a single plugin without one.
    Run(Box<run::RunArgs>),
    /// Prints every problem of a module file at once, and loads and dry-runs its plugins.
    Check(check::CheckArgs),
    /// Shows, exports or resets progress: up to where every event is settled.
    Progress(progress::ProgressArgs),
    /// Helps to write plugins, replaces them in a running host, moves them between files and registries.
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Shows what a running host does, by its admin address.
    Top(top::TopArgs),
    /// Lists the sinks of a running host.
    Sinks(steer::SinksArgs),
    /// Tells a sink of a running host to make no new call, until it is resumed. Calls in flight end.
    Pause(steer::SinkArgs),
    /// Tells a sink of a running host to go on.
    Resume(steer::SinkArgs),
    /// Tells a sink of a running host to deliver what it has, and take in no more until it is resumed.
    Drain(steer::DrainArgs),
    /// Has a running host read its module file again, and change what differs.
    Reload(reload::ReloadArgs),
    /// Counts dead letters by sink, cause and status.
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Delivers dead letters again. Interrupted, it goes on where it stopped.
    Replay(Box<replay::ReplayArgs>),
    /// Shows it: datagen, a plugin, and a local endpoint that misbehaves, for about 15 seconds.
    Demo(demo::DemoArgs),
    /// Serves that endpoint alone: random statuses, latency, Retry-After, resets, an API key.
    Endpoint(endpoint::EndpointArgs),
    /// Prints the JSON Schema of the module file.
    Schema,
    /// Compiles a plugin for the host that has started this process, within limits.
    #[command(hide = true)]
    CompilePlugin {
        /// Where the machine code goes.
        path: PathBuf,
        /// Processor time.
        seconds: u64,
        /// Bytes of address space.
        memory: u64,
    },
    /// Prints the OpenAPI document of the admin API.
    Openapi,
    /// Prints a completion script.
    Completions {
        /// The shell to complete for.
        shell: Shell,
    },
}

/// What `nozzle plugin` can do.
#[derive(Debug, Subcommand)]
enum PluginCommand {
    #[command(flatten)]
    Author(author::AuthorCommand),
    #[command(flatten)]
    Version(swap::VersionCommand),
    #[command(flatten)]
    Package(package::PackageCommand),
}

/// Where a run keeps what must survive it.
#[derive(Debug, Clone, clap::Args)]
struct StateArgs {
    /// Progress, compiled plugins, and dead letters of sinks that name no egress for them.
    #[arg(long, value_name = "DIR", default_value = ".nozzle")]
    state_dir: PathBuf,
    /// How long what was read may still be delivered once the host stops: at the first SIGINT or SIGTERM, when a sink
    /// halts, or when a source fails. A second signal exits at once.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    grace: std::time::Duration,
}

/// The file of this program, where it can be known: it compiles plugins in processes of its own.
fn this_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let format = args.log_format;
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match format {
                LogFormat::Text => error.print(),
                LogFormat::Json => error.log(),
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Schema => Ok(print(&format!("{:#}\n", crate::config::schema()))?),
        Command::CompilePlugin {
            path,
            seconds,
            memory,
        } => {
            let (code, words) = crate::plugin::compile_for_parent(&path, seconds, memory);
            // The parent hears the exit code even if it hears nothing else.
            drop(writeln!(std::io::stdout(), "{words}"));
            std::process::exit(code.into());
        }
        Command::Openapi => Ok(print(&format!("{:#}\n", crate::admin::openapi()))?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "nozzle", &mut script);
            Ok(print(&String::from_utf8_lossy(&script))?)
        }
        command => {
            log::to_stderr(&args.log, args.log_format)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(CliError::Runtime)?;
            let result = runtime.block_on(Box::pin(serve(command, args.log_format)));
            // A read of standard input may still be blocked; nothing waits for it.
            runtime.shutdown_background();
            result
        }
    }
}

async fn plugin(command: PluginCommand) -> Result<(), CliError> {
    match command {
        PluginCommand::Author(command) => author::author(command).await,
        PluginCommand::Version(command) => swap::versions(command).await,
        PluginCommand::Package(command) => package::package(command).await,
    }
}

async fn serve(command: Command, format: LogFormat) -> Result<(), CliError> {
    match command {
        Command::Run(args) => Box::pin(run::run(*args, format)).await,
        Command::Check(args) => check::check(args).await,
        Command::Progress(args) => progress::progress(args).await,
        Command::DeadLetters(args) => dead_letters::dead_letters(args).await,
        Command::Replay(args) => Box::pin(replay::replay(*args, format)).await,
        Command::Plugin { command } => plugin(command).await,
        Command::Top(args) => top::top(args).await,
        Command::Sinks(args) => steer::sinks(args).await,
        Command::Pause(args) => steer::pause(args).await,
        Command::Resume(args) => steer::resume(args).await,
        Command::Drain(args) => steer::drain(args).await,
        Command::Reload(args) => reload::reload(args).await,
        Command::Demo(args) => Box::pin(demo::demo(args, format)).await,
        Command::Endpoint(args) => endpoint::endpoint(args).await,
        Command::Schema
        | Command::Openapi
        | Command::Completions { .. }
        | Command::CompilePlugin { .. } => Ok(()),
    }
}
