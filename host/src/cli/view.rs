//! The live view: a line a sink that renews itself in a terminal, plain lines in a pipe, log events in JSON.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::info;

use super::{
    log::LogFormat,
    numbers::{grouped, short},
    speak::say,
};
use crate::admin::status::{IngressStatus, SinkMode, SinkStatus, Status};

/// How often a terminal is redrawn, and a pipe gets a line.
pub(super) const REDRAW: Duration = Duration::from_millis(200);
pub(super) const LINE: Duration = Duration::from_secs(5);

/// The lines that renew themselves, while there are any: logs must go above them.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

/// Shows what `look` sees of a host in this process, until the future is dropped.
pub(super) async fn show(format: LogFormat, look: impl Fn() -> Status) {
    let mut rates = Rates::default();
    // What the first rate is reckoned from.
    rates.lines(&look());
    if format == LogFormat::Text && io::stderr().is_terminal() {
        let mut ticks = tokio::time::interval(REDRAW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut lines = Lines::default();
        loop {
            ticks.tick().await;
            lines.draw(&rates.lines(&look()));
        }
    }
    let mut ticks = tokio::time::interval_at(Instant::now() + LINE, LINE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match format {
            LogFormat::Text => rates.lines(&look()).iter().for_each(|line| say(line)),
            LogFormat::Json => log(&look()),
        }
    }
}

fn log(status: &Status) {
    for sink in &status.sinks {
        info!(
            sink = %sink.id, read = sink.read, delivered = sink.delivered, dropped = sink.dropped,
            dead_lettered = sink.dead_lettered, retried = sink.retried, in_flight = sink.in_flight,
            buffered = sink.buffered, p50_us = sink.p50_us, p99_us = sink.p99_us, down = sink.endpoint_down,
            "progress"
        );
    }
}

/// Lines that renew themselves, and are gone when the view ends.
#[derive(Default)]
pub(super) struct Lines(Vec<ProgressBar>);

impl Lines {
    pub(super) fn draw(&mut self, lines: &[String]) {
        let all = LINES.get_or_init(MultiProgress::new);
        while self.0.len() > lines.len() {
            self.0.pop().iter().for_each(ProgressBar::finish_and_clear);
        }
        while self.0.len() < lines.len() {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.0
                .push(all.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (bar, line) in self.0.iter().zip(lines) {
            bar.set_message(line.clone());
            bar.tick();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// How fast each sink is.
#[derive(Debug, Default)]
pub(super) struct Rates(BTreeMap<String, Rate>);

impl Rates {
    /// The ingresses that have something to tell, and the sinks.
    pub(super) fn lines(&mut self, status: &Status) -> Vec<String> {
        let mut lines: Vec<String> = status.ingresses.iter().filter_map(ingress_line).collect();
        for sink in &status.sinks {
            let rate = self.0.entry(sink.id.clone()).or_default();
            lines.push(line(sink, rate.update(sink.ended())));
        }
        lines
    }
}

/// Events that ended in each second, over the time between two looks.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    /// None before the second look.
    smoothed: Option<f64>,
}

impl Rate {
    fn update(&mut self, ended: u64) -> u64 {
        let now = Instant::now();
        if let Some((at, before)) = self.last.replace((now, ended)) {
            let seconds = (now - at).as_secs_f64().max(0.001);
            let rate = ended.saturating_sub(before) as f64 / seconds;
            let before = self.smoothed.unwrap_or(rate);
            self.smoothed = Some(0.7 * before + 0.3 * rate);
        }
        self.smoothed.unwrap_or_default() as u64
    }
}

/// Shards whose lag is named, the longest first.
const NAMED: usize = 4;

/// None for a source without shards.
fn ingress_line(ingress: &IngressStatus) -> Option<String> {
    let mut lags = ingress.lag_ms.clone();
    if lags.is_empty() && ingress.shards == 0 {
        return None;
    }
    lags.sort_by_key(|(_, lag)| Reverse(*lag));
    let behind = lags.iter().filter(|(_, lag)| *lag > 0);
    let mut named: Vec<String> = behind
        .take(NAMED)
        .map(|(shard, lag)| format!("{} of {shard}", short(Duration::from_millis(*lag))))
        .collect();
    match lags.iter().filter(|(_, lag)| *lag > 0).count() {
        0 => named.push("none".to_owned()),
        all if all > NAMED => named.push(format!("{} more", all - NAMED)),
        _ => {}
    }
    let lost = match ingress.losses {
        0 => String::new(),
        ranges => format!("  {} ranges LOST", grouped(ranges)),
    };
    Some(format!(
        "{}  {} shards  {} events  {} reads  {} throttled  {} failed  {} reshards{lost}  lag {}",
        ingress.id,
        grouped(ingress.shards),
        grouped(ingress.events),
        grouped(ingress.reads),
        grouped(ingress.throttled),
        grouped(ingress.failed_reads),
        grouped(ingress.reshards),
        named.join(", "),
    ))
}

fn line(sink: &SinkStatus, rate: u64) -> String {
    let state = state(sink).map_or(String::new(), |state| format!("  {state}"));
    format!(
        "{}  {} read  {} delivered  {} dropped  {} dead-lettered  {} retried  {} in flight  {} buffered  {}/s  p50 {}  p99 {}{state}",
        sink.id,
        grouped(sink.read),
        grouped(sink.delivered),
        grouped(sink.dropped),
        grouped(sink.dead_lettered),
        grouped(sink.retried),
        grouped(sink.in_flight),
        grouped(sink.buffered),
        grouped(rate),
        short(Duration::from_micros(sink.p50_us)),
        short(Duration::from_micros(sink.p99_us)),
    )
}

/// What is out of the ordinary with a sink.
pub(super) fn state(sink: &SinkStatus) -> Option<&'static str> {
    match (sink.mode, sink.endpoint_down) {
        (_, _) if sink.halted => Some("halted"),
        (SinkMode::Paused, true) => Some("paused, endpoint down"),
        (SinkMode::Paused, false) => Some("paused"),
        (SinkMode::Draining, _) => Some("draining"),
        (SinkMode::Drained, _) => Some("drained"),
        (_, _) if sink.plugin_failing => Some("plugin fails, holding"),
        (_, true) => Some("endpoint down, holding"),
        (_, false) => None,
    }
}

/// Writes a log line to standard error, above the lines that renew themselves.
#[derive(Debug, Default)]
pub(super) struct LogWriter(Vec<u8>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let write = || io::stderr().write_all(&self.0);
        let written = match LINES.get() {
            Some(lines) => lines.suspend(write),
            None => write(),
        };
        // A closed log pipe must not stop delivery, and there is nowhere left to say it.
        drop(written);
    }
}
