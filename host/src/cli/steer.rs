//! `nozzle sinks`, `nozzle pause`, `nozzle resume` and `nozzle drain`: what a host that runs is told.

use serde::Serialize;

use super::{
    error::CliError,
    host::HostArgs,
    letters::counted,
    numbers::grouped,
    speak::{print, say},
    table::aligned,
};
use crate::{
    admin::{
        Client,
        api::{Changed, Draining, Sinks},
        status::{SinkMode, SinkStatus},
    },
    config::Id,
};

/// What `nozzle sinks` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SinksArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What `nozzle pause`, `nozzle resume` and `nozzle plugin rollback` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SinkArgs {
    /// The sink's id.
    #[arg(value_name = "SINK", value_parser = id)]
    pub(super) sink: Id,
    #[command(flatten)]
    pub(super) host: HostArgs,
    /// Prints what came of it as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What `nozzle drain` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DrainArgs {
    /// The sink's id.
    #[arg(value_name = "SINK", value_parser = id, required_unless_present = "all")]
    sink: Option<Id>,
    /// All of them: the host reads no more, delivers what it has, and ends, as at SIGTERM.
    #[arg(long, conflicts_with = "sink")]
    all: bool,
    #[command(flatten)]
    host: HostArgs,
    /// Prints what came of it as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn id(text: &str) -> Result<Id, &'static str> {
    Id::parse(text).ok_or("an id is `namespace/name`, of lower-case letters, digits and `-`")
}

const COLUMNS: [&str; 8] = [
    "sink",
    "mode",
    "read",
    "delivered",
    "dead-lettered",
    "in flight",
    "delayed",
    "buffered",
];

/// Lists the sinks of a host.
pub(super) async fn sinks(args: SinksArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    let sinks: Sinks = client.get("/v1/sinks").await.map_err(CliError::Fetch)?;
    if args.json {
        return json(&sinks);
    }
    let row = |sink: &SinkStatus| {
        vec![
            sink.id.clone(),
            sink.mode.to_string(),
            grouped(sink.read),
            grouped(sink.delivered),
            grouped(sink.dead_lettered),
            grouped(sink.in_flight),
            grouped(sink.delayed),
            grouped(sink.buffered),
        ]
    };
    let table = aligned(&COLUMNS, &[0, 1], sinks.sinks.iter().map(row));
    Ok(print(&format!("{table}\n"))?)
}

/// Tells a sink to make no new call.
pub(super) async fn pause(args: SinkArgs) -> Result<(), CliError> {
    steer(&args.host.client()?, &args.sink, "pause", args.json).await
}

/// Tells a sink to go on.
pub(super) async fn resume(args: SinkArgs) -> Result<(), CliError> {
    steer(&args.host.client()?, &args.sink, "resume", args.json).await
}

/// Tells a sink, or the host, to deliver what is there and take in no more.
pub(super) async fn drain(args: DrainArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    if let Some(sink) = &args.sink {
        return steer(&client, sink, "drain", args.json).await;
    }
    let draining: Draining = client.post("/v1/drain").await.map_err(CliError::Fetch)?;
    if args.json {
        return json(&draining);
    }
    say("the host reads no more, delivers what it has, and ends");
    Ok(())
}

async fn steer(client: &Client, sink: &Id, what: &str, as_json: bool) -> Result<(), CliError> {
    let path = format!("/v1/sinks/{sink}/{what}");
    let changed: Changed = client.post(&path).await.map_err(CliError::Fetch)?;
    if as_json {
        return json(&changed);
    }
    say(&words(&changed));
    Ok(())
}

fn words(changed: &Changed) -> String {
    let SinkStatus {
        id,
        mode,
        in_flight,
        buffered,
        ..
    } = &changed.sink;
    let already = match *mode == changed.was {
        true => " already",
        false => "",
    };
    let (calls, events) = (counted(*in_flight, "call"), counted(*buffered, "event"));
    match mode {
        SinkMode::Paused => format!("`{id}` is paused{already}: {calls} in flight, {events} held"),
        SinkMode::Draining => format!(
            "`{id}` drains{already}: {events} to deliver; nothing new is taken in until it is resumed"
        ),
        SinkMode::Drained => {
            format!("`{id}` is drained{already}: nothing new is taken in until it is resumed")
        }
        SinkMode::Running => format!("`{id}` runs{already}"),
        SinkMode::Halted | SinkMode::Ended => format!("`{id}` has {mode}"),
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    Ok(print(&format!("{}\n", serde_json::json!(value)))?)
}
