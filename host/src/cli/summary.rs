//! The summary at the end of a run, and what it means for the exit code.

use std::time::Duration;

use tracing::info;

use super::{
    error::CliError,
    log::LogFormat,
    numbers::{grouped, short},
    speak::say,
    table::aligned,
};
use crate::pipeline::{SinkSummary, Summary};

const COLUMNS: [&str; 10] = [
    "sink",
    "read",
    "delivered",
    "dropped",
    "dead-lettered",
    "retried",
    "results",
    "records/s",
    "p50",
    "p99",
];

/// Prints the numbers of every sink, and that they add up.
pub(super) fn print(summary: &Summary, elapsed: Duration, format: LogFormat) {
    match format {
        LogFormat::Text => {
            say(&table(&summary.sinks, elapsed));
            for (ingress, count) in &summary.unrouted {
                say(&format!(
                    "{ingress}: no router took {} events",
                    grouped(*count)
                ));
            }
        }
        LogFormat::Json => {
            summary.sinks.iter().for_each(|sink| log(sink, elapsed));
            for (ingress, count) in &summary.unrouted {
                info!(%ingress, events = count, "no router took these");
            }
        }
    }
}

fn log(sink: &SinkSummary, elapsed: Duration) {
    info!(
        sink = %sink.id, read = sink.read, delivered = sink.delivered, dropped = sink.dropped,
        dead_lettered = sink.dead_lettered, retried = sink.retried, results = sink.results,
        records_per_second = rate(sink, elapsed), p50_us = sink.p50.as_micros() as u64,
        p99_us = sink.p99.as_micros() as u64, "summary"
    );
}

fn table(sinks: &[SinkSummary], elapsed: Duration) -> String {
    let mut out = aligned(&COLUMNS, &[0], sinks.iter().map(|sink| row(sink, elapsed)));
    out.push('\n');
    for sink in sinks {
        let sign = if sink.read == sink.ended() {
            "="
        } else {
            "≠"
        };
        out.push_str(&format!(
            "{}: {} read {sign} {} delivered + {} dropped + {} dead-lettered\n",
            sink.id,
            grouped(sink.read),
            grouped(sink.delivered),
            grouped(sink.dropped),
            grouped(sink.dead_lettered),
        ));
    }
    out.trim_end().to_owned()
}

fn row(sink: &SinkSummary, elapsed: Duration) -> Vec<String> {
    vec![
        sink.id.to_string(),
        grouped(sink.read),
        grouped(sink.delivered),
        grouped(sink.dropped),
        grouped(sink.dead_lettered),
        grouped(sink.retried),
        grouped(sink.results),
        grouped(rate(sink, elapsed)),
        short(sink.p50),
        short(sink.p99),
    ]
}

/// Records that ended in a second.
fn rate(sink: &SinkSummary, elapsed: Duration) -> u64 {
    (sink.ended() as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

/// What the summary means for the exit code.
pub(super) fn result(summary: Summary) -> Result<(), CliError> {
    let failures = summary.failures;
    let halted = failures.halted.iter();
    let halted = halted.map(|(id, reason)| format!("sink `{id}` halted: {reason}"));
    let reasons: Vec<String> = halted.chain(failures.broken).collect();
    if let Some(error) = failures.store {
        return Err(CliError::Store(error));
    }
    if let Some(error) = failures.source {
        return Err(CliError::Source(error));
    }
    if summary.unsettled > 0 || !reasons.is_empty() {
        return Err(CliError::Unsettled {
            unsettled: summary.unsettled,
            reasons,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_the_count_is_proved() {
        let sink = SinkSummary {
            id: "run/sink".into(),
            read: 10_000,
            delivered: 9_978,
            dropped: 0,
            dead_lettered: 22,
            retried: 412,
            results: 0,
            calls: 10_412,
            p50: Duration::from_micros(1200),
            p99: Duration::from_millis(31),
        };

        let table = table(&[sink], Duration::from_secs(2));

        insta::assert_snapshot!(table, @r"
        sink        read  delivered  dropped  dead-lettered  retried  results  records/s     p50    p99
        run/sink  10,000      9,978        0             22      412        0      5,000  1.2 ms  31 ms
        run/sink: 10,000 read = 9,978 delivered + 0 dropped + 22 dead-lettered
        ");
    }
}
