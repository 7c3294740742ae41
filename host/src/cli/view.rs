//! The live view: a line a sink that renews itself in a terminal, plain lines in a pipe.

use std::{
    cmp::Reverse,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};

use super::numbers::{grouped, short};
use crate::pipeline::{IngressView, SinkSummary, SinkView};

/// How often a terminal is redrawn, and a pipe gets a line.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// The lines that renew themselves, while there are any: logs must go above them.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

/// Shows the ingresses that have something to tell, and the sinks, until the future is dropped.
pub(super) async fn show(ingresses: &[IngressView], sinks: &[SinkView]) {
    let mut shown: Vec<Shown> = ingresses.iter().map(Shown::Ingress).collect();
    shown.extend(sinks.iter().map(|sink| Shown::Sink(sink, Rate::default())));
    if io::stderr().is_terminal() {
        redraw(shown).await;
    } else {
        print_lines(shown).await;
    }
}

/// What has a line of its own.
enum Shown<'a> {
    Ingress(&'a IngressView),
    Sink(&'a SinkView, Rate),
}

impl Shown<'_> {
    fn line(&mut self) -> Option<String> {
        match self {
            Self::Ingress(ingress) => ingress_line(ingress),
            Self::Sink(sink, rate) => Some(line(sink, rate)),
        }
    }
}

async fn redraw(mut shown: Vec<Shown<'_>>) {
    let lines = LINES.get_or_init(MultiProgress::new);
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut bars = Bars(shown.iter().map(|_| None).collect());
    let mut ticks = tokio::time::interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        for (place, shown) in shown.iter_mut().enumerate() {
            let Some(line) = shown.line() else { continue };
            let Some(bar) = bars.0.get_mut(place) else {
                continue;
            };
            // A source without shards has no line, and takes no place.
            let bar = bar.get_or_insert_with(|| {
                lines.insert(place, ProgressBar::new_spinner().with_style(style.clone()))
            });
            bar.set_message(line);
            bar.tick();
        }
    }
}

/// Lines that are gone when the view ends.
struct Bars(Vec<Option<ProgressBar>>);

impl Drop for Bars {
    fn drop(&mut self) {
        self.0
            .iter()
            .flatten()
            .for_each(ProgressBar::finish_and_clear);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "this is where the command line speaks to people"
)]
async fn print_lines(mut shown: Vec<Shown<'_>>) {
    let mut ticks = tokio::time::interval_at(Instant::now() + LINE, LINE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for line in shown.iter_mut().filter_map(Shown::line) {
            eprintln!("{line}");
        }
    }
}

/// Events that ended in each second, over the time between two looks.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    smoothed: f64,
}

impl Rate {
    fn update(&mut self, ended: u64) -> u64 {
        let now = Instant::now();
        if let Some((at, before)) = self.last.replace((now, ended)) {
            let seconds = (now - at).as_secs_f64().max(0.001);
            let rate = ended.saturating_sub(before) as f64 / seconds;
            self.smoothed = 0.7 * self.smoothed + 0.3 * rate;
        }
        self.smoothed as u64
    }
}

/// Shards whose lag is named, the longest first.
const NAMED: usize = 4;

/// None for a source without shards.
fn ingress_line(ingress: &IngressView) -> Option<String> {
    let stats = &ingress.stats;
    let mut lags = stats.lags();
    if lags.is_empty() && stats.shards.get() == 0 {
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
    let lost = match stats.losses.get() {
        0 => String::new(),
        ranges => format!("  {} ranges LOST", grouped(ranges)),
    };
    Some(format!(
        "{}  {} shards  {} events  {} reads  {} throttled  {} failed  {} reshards{lost}  lag {}",
        ingress.id,
        grouped(stats.shards.get()),
        grouped(stats.events.get()),
        grouped(stats.reads.get()),
        grouped(stats.throttled.get()),
        grouped(stats.failed_reads.get()),
        grouped(stats.reshards.get()),
        named.join(", "),
    ))
}

fn line(sink: &SinkView, rate: &mut Rate) -> String {
    let now = SinkSummary::of(sink);
    let stats = &sink.stats;
    let state = if stats.down.get() > 0 {
        "  endpoint down, holding"
    } else {
        ""
    };
    format!(
        "{}  {} read  {} delivered  {} dropped  {} dead-lettered  {} retried  {} in flight  {} buffered  {}/s  p50 {}  p99 {}{state}",
        now.id,
        grouped(now.read),
        grouped(now.delivered),
        grouped(now.dropped),
        grouped(now.dead_lettered),
        grouped(now.retried),
        grouped(stats.in_flight.get()),
        grouped(stats.buffered.get()),
        grouped(rate.update(now.ended())),
        short(now.p50),
        short(now.p99),
    )
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
