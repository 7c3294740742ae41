//! `nozzle top`: the live view of a host that runs.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use super::{
    error::CliError,
    host::HostArgs,
    numbers::{grouped, short},
    speak::{is_read, print},
    table::aligned,
    view::{self, Lines, Rates},
};
use crate::{
    admin::{
        Client, FetchError,
        status::{IngressStatus, SinkStatus, Status},
    },
    shutdown::Shutdown,
};

/// What `nozzle top` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TopArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Prints one table, and ends.
    #[arg(long)]
    once: bool,
    /// Prints the host's status as JSON, and ends.
    #[arg(long, conflicts_with = "once")]
    json: bool,
}

/// How often a host is asked by a terminal.
const LOOK: Duration = Duration::from_secs(1);

/// Shows a host until it ends, or until a signal.
pub(super) async fn top(args: TopArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    let status = client.status().await.map_err(CliError::Fetch)?;
    if args.json {
        return Ok(print(&format!("{}\n", serde_json::json!(status)))?);
    }
    if args.once {
        return Ok(print(&tables(&status))?);
    }
    let shutdown = Shutdown::default();
    let signals = shutdown.listen().map_err(CliError::Signals)?;
    let shown = tokio::select! {
        biased;
        () = shutdown.drain.cancelled() => Ok(()),
        shown = follow(&client) => shown,
    };
    signals.abort();
    shown
}

async fn follow(host: &Client) -> Result<(), CliError> {
    let terminal = io::stderr().is_terminal() && io::stdout().is_terminal();
    let mut ticks = tokio::time::interval(if terminal { LOOK } else { view::LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut rates, mut lines) = (Rates::default(), Lines::default());
    loop {
        ticks.tick().await;
        let status = match host.status().await {
            // It was there before: so it has ended.
            Err(FetchError::Connect { .. }) => return Ok(()),
            status => status.map_err(CliError::Fetch)?,
        };
        let now = rates.lines(&status);
        if terminal {
            lines.draw(&now);
        } else if !is_read(&format!("{}\n", now.join("\n")))? {
            return Ok(());
        }
    }
}

const INGRESS_COLUMNS: [&str; 8] = [
    "ingress",
    "events",
    "settled",
    "unsettled",
    "unrouted",
    "oldest",
    "lag",
    "watermark",
];

const SINK_COLUMNS: [&str; 11] = [
    "sink",
    "read",
    "delivered",
    "dropped",
    "dead-lettered",
    "retried",
    "in flight",
    "buffered",
    "p50",
    "p99",
    "state",
];

fn tables(status: &Status) -> String {
    let state = match status.not_ready.is_empty() {
        true => "ready".to_owned(),
        false => status.not_ready.join("; "),
    };
    format!(
        "nozzle {}, started {}: {state}\n\n{}\n\n{}\n",
        status.nozzle,
        status.started,
        aligned(
            &INGRESS_COLUMNS,
            &[0],
            status.ingresses.iter().map(ingress_row)
        ),
        aligned(&SINK_COLUMNS, &[0], status.sinks.iter().map(sink_row)),
    )
}

fn ingress_row(ingress: &IngressStatus) -> Vec<String> {
    let age = |ms: u64| short(Duration::from_millis(ms));
    let none = || "-".to_owned();
    vec![
        ingress.id.clone(),
        grouped(ingress.events),
        grouped(ingress.settled),
        grouped(ingress.unsettled),
        grouped(ingress.unrouted),
        ingress.oldest_unsettled_ms.map_or_else(none, age),
        ingress
            .lag_ms
            .iter()
            .map(|(_, lag)| *lag)
            .max()
            .map_or_else(none, age),
        ingress.watermark.clone().unwrap_or_else(none),
    ]
}

fn sink_row(sink: &SinkStatus) -> Vec<String> {
    let micros = |us: u64| short(Duration::from_micros(us));
    vec![
        sink.id.clone(),
        grouped(sink.read),
        grouped(sink.delivered),
        grouped(sink.dropped),
        grouped(sink.dead_lettered),
        grouped(sink.retried),
        grouped(sink.in_flight),
        grouped(sink.buffered),
        micros(sink.p50_us),
        micros(sink.p99_us),
        view::state(sink).unwrap_or("-").to_owned(),
    ]
}
