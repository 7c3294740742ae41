//! `nozzle replay`: delivers dead letters again.

use std::path::{Path, PathBuf};

use super::{
    StateArgs,
    error::CliError,
    letters::{FilterArgs, counted, table},
    log::LogFormat,
    named::Named,
    run::drive,
    speak::{print, say},
    summary,
};
use crate::{
    config::{self, IngressKind, Module, Replay},
    dead_letter::Groups,
    ingress::{
        Start,
        dead_letters::open_for_replay,
        settings::{DeadLetterSettings, Taken},
    },
    pipeline::{RunOptions, StartError},
    progress::{AnyStore, state_dir::StateDir, store::Store},
};

/// What `nozzle replay` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReplayArgs {
    /// Files of dead letters, read one after the other: the oldest first.
    #[arg(value_name = "FAILED.ndjson", required = true)]
    files: Vec<PathBuf>,
    /// The module file that has the sink.
    #[arg(long, value_name = "MODULE.yaml")]
    module: PathBuf,
    /// A JSON list of property groups, for `${Group:key}`.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// The sink that sends them; not needed where the module has only one. Letters of other sinks are left out, unless
    /// --sink names them.
    #[arg(long, value_name = "SINK")]
    to: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Says what would be sent, by cause, and sends nothing.
    #[arg(long)]
    dry_run: bool,
    /// Begins at the front, though some were replayed before.
    #[arg(long)]
    again: bool,
    /// A file for what fails again, in place of what the module says; `-` is standard output.
    #[arg(long, value_name = "PATH")]
    dead_letters: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
}

/// Where a replay keeps its progress: beside that of a host, which may be running.
fn state_dir(state: &Path) -> PathBuf {
    state.join("replay")
}

/// Sends dead letters again, on from where a replay of the same files, sink and filters has stopped.
pub(super) async fn replay(args: ReplayArgs, format: LogFormat) -> Result<(), CliError> {
    let filter = args.filter.filter()?;
    let state_dir = state_dir(&args.state.state_dir);
    let module =
        config::load(&args.module, args.properties.as_deref()).map_err(CliError::Config)?;
    let replay = Replay {
        files: args.files,
        to: args.to,
        filter,
        dead_letters: args.dead_letters,
        state_dir: state_dir.clone(),
    };
    let module = module.replay(replay).map_err(|error| CliError::Usage {
        message: error.to_string(),
        hint: error.hint(),
    })?;
    let (id, settings) = source(&module);
    let lens = settings.files.iter().map(std::fs::metadata);
    let is_empty = lens.flatten().all(|file| file.len() == 0);
    if args.dry_run {
        let start = match args.again {
            true => Start::new(),
            false => stored(&module, &id, &state_dir).await?,
        };
        return dry_run(&settings, &start).await;
    }
    if args.again {
        forget(&module, &id, &settings, &state_dir).await?;
    }
    let options = RunOptions {
        state_dir,
        grace: args.state.grace,
        program: super::this_program(),
    };
    let named = Named::of(&args.module, &module);
    let driven = drive(module, None, &options, format).await;
    let (summary, elapsed) = driven.map_err(|error| named.located(error))?;
    summary::print(&summary, elapsed, format);
    let counts = summary.replayed;
    let mut words = vec![format!("{} read", counted(counts.sent, "dead letter"))];
    if counts.left_out > 0 {
        words.push(format!("{} left out", counts.left_out));
    }
    if counts.unreadable > 0 {
        words.push(format!(
            "{} no dead letters",
            counted(counts.unreadable, "line")
        ));
    }
    say(&words.join(", "));
    if summary.stopped {
        say("stopped: the same command goes on behind what is settled");
    } else if counts.sent + counts.left_out + counts.unreadable == 0
        && summary.failures.source.is_none()
    {
        say(match is_empty {
            true => "there is nothing in these files",
            false => "nothing was left to read; --again begins at the front",
        });
    }
    summary::result(summary)
}

/// The ingress of a replay, and what it reads.
fn source(module: &Module) -> (String, DeadLetterSettings) {
    let mut ingresses = module.ingresses.iter();
    let found = ingresses.find_map(|ingress| match &ingress.kind {
        IngressKind::DeadLetters(settings) => Some((ingress.id.to_string(), settings.clone())),
        _ => None,
    });
    found.expect("a replay reads dead letters")
}

/// Progress of earlier replays; none where there was none.
async fn stored(module: &Module, ingress: &str, state_dir: &Path) -> Result<Start, CliError> {
    if !std::fs::exists(state_dir).unwrap_or(true) {
        return Ok(Start::new());
    }
    let _held = StateDir::open(state_dir).map_err(CliError::StateDir)?;
    let store = AnyStore::open(&module.progress.store, state_dir).await;
    let store = store.map_err(StartError::Store)?;
    Ok(store.load(ingress).await.map_err(StartError::Store)?)
}

/// Forgets the progress of this replay; that of others stays.
async fn forget(
    module: &Module,
    ingress: &str,
    settings: &DeadLetterSettings,
    state_dir: &Path,
) -> Result<(), CliError> {
    let _held = StateDir::open(state_dir).map_err(CliError::StateDir)?;
    let store = AnyStore::open(&module.progress.store, state_dir).await;
    let mut store = store.map_err(StartError::Store)?;
    let mut partitions = Vec::new();
    for path in &settings.files {
        let opened = open_for_replay(path, settings, &Start::new()).await;
        partitions.push(opened.map_err(CliError::Source)?.1);
    }
    let forgotten = store.forget(ingress, partitions).await;
    Ok(forgotten.map_err(StartError::Store)?)
}

/// Counts what would be sent, and sends nothing.
async fn dry_run(settings: &DeadLetterSettings, start: &Start) -> Result<(), CliError> {
    let mut sent = Groups::default();
    let (mut before, mut others, mut filtered, mut results, mut unreadable) = (0, 0, 0, 0, 0);
    for path in &settings.files {
        let opened = open_for_replay(path, settings, start).await;
        let (mut file, _) = opened.map_err(CliError::Source)?;
        before += file.line();
        while let Some(letter) = file.next().await.map_err(CliError::Source)? {
            match letter.map(|letter| (settings.takes(&letter), letter)) {
                Ok((Taken::Sent, letter)) => sent.add(&letter),
                Ok((Taken::OtherSink, _)) => others += 1,
                Ok((Taken::Filtered, _)) => filtered += 1,
                Ok((Taken::Result, _)) => results += 1,
                Err(_) => unreadable += 1,
            }
        }
    }
    if sent.total() > 0 {
        print(&table(&sent))?;
    }
    let of = counted(sent.total(), "dead letter");
    say(&format!("{of} would be sent to `{}`", settings.to));
    for (count, what) in [
        (
            before,
            "of lines that were replayed before (--again begins at the front)",
        ),
        (others, "of other sinks (--sink takes them)"),
        (filtered, "left out by the filters"),
        (results, "of results, which hold no event"),
        (unreadable, "of lines that are no dead letters"),
    ] {
        if count > 0 {
            say(&format!("not sent: {count} {what}"));
        }
    }
    Ok(())
}
