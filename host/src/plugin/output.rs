//! What a guest says, on its outputs and by `host.log`, as log lines of its sink; and what it counts.
//!
//! A guest is not trusted: lines are cut, control characters escaped, and a flood is cut off and counted.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncWrite, time::Instant};
use tracing::{debug, error, info, trace, warn};
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{bindings::nozzle::plugin::host::Level, last_words::LastWords};
use crate::metrics::PluginStats;

/// The longest line, in bytes.
const MAX_LINE: usize = 8 * 1024;
/// Bytes of all lines of a second; what is beyond is counted, as are lines beyond `limits.log-lines`.
const MAX_BYTES: usize = 64 * 1024;
/// Counters of one plugin.
const MAX_COUNTERS: usize = 64;

/// The log and the counters of one plugin, shared by its instances.
#[derive(Debug)]
pub(super) struct GuestLog {
    sink: String,
    /// Lines in a second.
    max_lines: u32,
    stats: Arc<PluginStats>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    window: Option<Instant>,
    lines: u32,
    bytes: usize,
    suppressed: u64,
    counters: BTreeMap<String, u64>,
}

impl GuestLog {
    /// For the plugin of `sink`, which writes `max_lines` in a second at most.
    pub(super) fn new(sink: &str, max_lines: u32) -> Self {
        Self {
            sink: sink.to_owned(),
            max_lines,
            stats: Arc::default(),
            inner: Mutex::default(),
        }
    }

    /// What the plugin counts, its log lines among it.
    pub(super) fn stats(&self) -> &Arc<PluginStats> {
        &self.stats
    }

    /// Logs one message; `fields` are added as `name=value`.
    pub(super) fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let mut text = clean(message);
        for (name, value) in fields.iter().take(32) {
            if text.len() >= MAX_LINE {
                break;
            }
            text.push_str(&format!(" {}={}", clean(name), clean(value)));
        }
        if text.len() > MAX_LINE {
            text.truncate(text.floor_char_boundary(MAX_LINE));
            text.push('…');
        }
        self.line(level, &text);
    }

    fn line(&self, level: Level, text: &str) {
        let suppressed = match self.admit(text.len()) {
            None => return,
            Some(suppressed) => suppressed,
        };
        let sink = &self.sink;
        if suppressed > 0 {
            warn!(%sink, suppressed, "the plugin logs too much; lines were left out");
        }
        match level {
            Level::Error => error!(%sink, "plugin: {text}"),
            Level::Warn => warn!(%sink, "plugin: {text}"),
            Level::Info => info!(%sink, "plugin: {text}"),
            Level::Debug => debug!(%sink, "plugin: {text}"),
            Level::Trace => trace!(%sink, "plugin: {text}"),
        }
    }

    /// None if the line is left out; otherwise how many were, before it.
    fn admit(&self, bytes: usize) -> Option<u64> {
        let mut inner = self.lock();
        let now = Instant::now();
        if inner
            .window
            .is_none_or(|window| now - window >= Duration::from_secs(1))
        {
            inner.window = Some(now);
            inner.lines = 0;
            inner.bytes = 0;
        }
        if inner.lines >= self.max_lines || inner.bytes + bytes > MAX_BYTES {
            inner.suppressed += 1;
            self.stats.suppressed_lines.add(1);
            return None;
        }
        inner.lines += 1;
        inner.bytes += bytes;
        Some(std::mem::take(&mut inner.suppressed))
    }

    /// Adds to a counter; false if it is refused.
    pub(super) fn count(&self, name: &str, by: u64) -> bool {
        let fits = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let mut inner = self.lock();
        if let Some(counter) = inner.counters.get_mut(name) {
            *counter = counter.saturating_add(by);
            return true;
        }
        let room = fits && inner.counters.len() < MAX_COUNTERS;
        if room {
            inner.counters.insert(name.to_owned(), by);
        }
        room
    }

    pub(super) fn counters(&self) -> Vec<(String, u64)> {
        self.lock()
            .counters
            .iter()
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cut to [`MAX_LINE`], with control characters escaped: a guest writes no escape sequences to a terminal.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_LINE));
    for character in text.chars() {
        if out.len() >= MAX_LINE {
            out.push('…');
            break;
        }
        if character.is_control()
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// A guest's standard output or error: each line is a log line.
#[derive(Clone)]
pub(super) struct GuestOutput {
    log: Arc<GuestLog>,
    /// Of standard error: who listens for what is said last.
    words: Option<LastWords>,
    line: Arc<Mutex<Vec<u8>>>,
}

impl GuestOutput {
    pub(super) fn stdout(log: Arc<GuestLog>) -> Self {
        Self::new(log, None)
    }

    pub(super) fn stderr(log: Arc<GuestLog>, words: LastWords) -> Self {
        Self::new(log, Some(words))
    }

    fn new(log: Arc<GuestLog>, words: Option<LastWords>) -> Self {
        Self {
            log,
            words,
            line: Arc::default(),
        }
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = (4 * MAX_LINE).saturating_sub(line.len());
            line.extend_from_slice(text.get(..room).unwrap_or(text));
            if part.ends_with(b"\n") {
                self.end(&std::mem::take(&mut *line));
            }
        }
    }

    /// Bytes of the line that is not ended.
    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn end(&self, line: &[u8]) {
        let text = clean(String::from_utf8_lossy(line).trim_end());
        if text.is_empty() {
            return;
        }
        let level = match &self.words {
            Some(words) => {
                words.hear(&text);
                Level::Warn
            }
            None => Level::Info,
        };
        self.log.line(level, &text);
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl AsyncWrite for GuestOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_writes_cannot_steer_a_terminal_or_flood_a_log() {
        let log = GuestLog::new("t/sink", 100);

        assert_eq!(
            clean("a\x1b[31mred\r\n\u{202e}x"),
            "a\\u{1b}[31mred\\u{d}\\u{a}\\u{202e}x"
        );
        assert_eq!(
            clean(&"x".repeat(MAX_LINE + 5)).chars().count(),
            MAX_LINE + 1
        );
        let admitted = (0..1000).filter(|_| log.admit(10).is_some()).count();
        assert_eq!(admitted, 100);
        assert_eq!(log.stats().suppressed_lines.get(), 900);
    }

    #[tokio::test(start_paused = true)]
    async fn long_lines_are_fewer_and_the_next_second_has_its_own() {
        let log = GuestLog::new("t/sink", 100);
        let line = clean(&"\u{1b}".repeat(1 << 20));

        let admitted = (0..100).filter(|_| log.admit(line.len()).is_some());
        assert_eq!(admitted.count(), MAX_BYTES / MAX_LINE - 1);
        tokio::time::advance(Duration::from_secs(1)).await;

        assert_eq!(log.admit(1), Some(93));
    }

    #[test]
    fn counters_are_bounded_and_named_by_the_rules() {
        let log = GuestLog::new("t/sink", 100);

        assert!(log.count("lines_seen", 2) && log.count("lines_seen", 3));
        for name in ["", "Upper", "a b", "ä", &"x".repeat(65)] {
            assert!(!log.count(name, 1), "{name}");
        }
        assert_eq!(log.counters(), [("lines_seen".to_owned(), 5)]);
        assert_eq!(
            (0..100).filter(|n| log.count(&format!("n{n}"), 1)).count(),
            MAX_COUNTERS - 1
        );
    }
}
