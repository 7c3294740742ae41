//! The live view: a line a sink that renews itself in a terminal, plain lines in a pipe.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};

use super::numbers::{grouped, short};
use crate::pipeline::{SinkSummary, SinkView};

/// How often a terminal is redrawn, and a pipe gets a line.
const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// The lines that renew themselves, while there are any: logs must go above them.
static LINES: OnceLock<MultiProgress> = OnceLock::new();

/// Shows the sinks until the future is dropped.
pub(super) async fn show(sinks: &[SinkView]) {
    if io::stderr().is_terminal() {
        redraw(sinks).await;
    } else {
        print_lines(sinks).await;
    }
}

async fn redraw(sinks: &[SinkView]) {
    let lines = LINES.get_or_init(MultiProgress::new);
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bars = Bars(
        sinks
            .iter()
            .map(|_| lines.add(ProgressBar::new_spinner().with_style(style.clone())))
            .collect(),
    );
    let mut ticks = tokio::time::interval(REDRAW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut rates: Vec<Rate> = sinks.iter().map(|_| Rate::default()).collect();
    loop {
        ticks.tick().await;
        for ((sink, bar), rate) in sinks.iter().zip(&bars.0).zip(&mut rates) {
            bar.set_message(line(sink, rate));
            bar.tick();
        }
    }
}

/// Lines that are gone when the view ends.
struct Bars(Vec<ProgressBar>);

impl Drop for Bars {
    fn drop(&mut self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "this is where the command line speaks to people"
)]
async fn print_lines(sinks: &[SinkView]) {
    let mut ticks = tokio::time::interval_at(Instant::now() + LINE, LINE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rates: Vec<Rate> = sinks.iter().map(|_| Rate::default()).collect();
    loop {
        ticks.tick().await;
        for (sink, rate) in sinks.iter().zip(&mut rates) {
            eprintln!("{}", line(sink, rate));
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
