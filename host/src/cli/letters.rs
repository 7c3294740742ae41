//! What `nozzle dead-letters` and `nozzle replay` have in common: the filters, and counted letters as a table.

use serde_json::json;

use super::{error::CliError, numbers::grouped, table::aligned};
use crate::{
    dead_letter::{CauseKind, Filter, FilterError, GroupKey, Groups, StatusFilter, parse_time},
    event::rfc3339,
};

/// Which dead letters are meant. A flag that is given more than once takes any of its values; of different flags, all
/// must hold.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FilterArgs {
    /// Only letters with this cause, such as `timed-out`.
    #[arg(long, value_name = "CAUSE", value_parser = str::parse::<CauseKind>)]
    cause: Vec<CauseKind>,
    /// Only letters with this last status: `503`, `5xx`, or `none` where no complete response arrived.
    #[arg(long, value_name = "STATUS", value_parser = str::parse::<StatusFilter>)]
    status: Vec<StatusFilter>,
    /// Only letters of this time or later: `2026-07-01T12:00:00Z`, or a day.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<u64>,
    /// Only letters from before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<u64>,
    /// Only letters of events with this key.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Only letters of this sink, which gave up on them.
    #[arg(long, value_name = "SINK")]
    sink: Vec<String>,
}

fn time(text: &str) -> Result<u64, FilterError> {
    parse_time(text)
}

impl FilterArgs {
    pub(super) fn filter(self) -> Result<Filter, CliError> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(CliError::Usage {
                message: "no time is before --until and not before --since".to_owned(),
                hint: "--since is the earlier one".to_owned(),
            });
        }
        Ok(Filter {
            causes: self.cause,
            statuses: self.status,
            since_ms: self.since,
            until_ms: self.until,
            keys: self.key,
            sinks: self.sink,
        })
    }
}

/// A row for each sink, cause and status.
pub(super) fn table(groups: &Groups) -> String {
    let head = [
        "sink", "cause", "status", "count", "first", "last", "example",
    ];
    let rows = groups.iter().map(|(key, group)| {
        vec![
            or_dash(key.sink.clone()),
            key.cause.clone(),
            or_dash(key.status.map(|status| status.to_string())),
            grouped(group.count),
            rfc3339(group.first_ms),
            rfc3339(group.last_ms),
            group.example.to_string(),
        ]
    });
    format!("{}\n", aligned(&head, &[0, 1, 4, 5, 6], rows))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The same as JSON: a list.
pub(super) fn to_json(groups: &Groups) -> serde_json::Value {
    let rows = groups.iter().map(|(key, group)| {
        let GroupKey {
            sink,
            cause,
            status,
        } = key;
        json!({
            "sink": sink,
            "cause": cause,
            "status": status,
            "count": group.count,
            "first": rfc3339(group.first_ms),
            "last": rfc3339(group.last_ms),
            "example": group.example,
        })
    });
    rows.collect()
}

/// `1 dead letter`, `7 dead letters`.
pub(super) fn counted(count: u64, of: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {of}{plural}", grouped(count))
}
