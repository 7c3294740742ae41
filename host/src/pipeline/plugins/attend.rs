//! What goes on with a plugin while its sink runs: its file is watched, and trials are looked at.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::warn;

use super::SinkPlugin;
use crate::plugin::{Compared, SwapError, settings::PluginSource};

/// How often a file is looked at. Asking for its times costs microseconds, works on every file system, and sees a link
/// that points elsewhere, as Kubernetes changes mounted files.
pub(in crate::pipeline) const EVERY: Duration = Duration::from_millis(500);

/// How often a canary is looked at: what it does to the batches that it is given until then is done.
const CANARY: Duration = Duration::from_millis(20);

/// What tells a file from the one that was there before, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

/// None where there is no file. A package is pinned: nothing changes behind its name.
pub(super) fn stamp(source: &PluginSource) -> Option<Stamp> {
    let PluginSource::File(path) = source else {
        return None;
    };
    stamp_of(path)
}

/// What a file looks like.
pub(in crate::pipeline) fn stamp_of(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: found.modified().ok(),
        size: found.len(),
        inode: found.ino(),
    })
}

/// Whether a file is to be read, by what it looked like now and before: once it is another than the one that was read
/// last, and has stayed the same for one look. A copy that is under way is not read.
#[derive(Debug)]
pub(in crate::pipeline) struct Watch {
    read: Option<Stamp>,
    seen: Option<Stamp>,
}

impl Watch {
    /// Of a file that looked like this when it was read.
    pub(in crate::pipeline) fn new(read: Option<Stamp>) -> Self {
        Self { read, seen: None }
    }

    /// It is read now.
    pub(in crate::pipeline) fn is_read(&mut self, now: Option<Stamp>) {
        self.read = now;
    }

    /// Whether it is to be read now; then it is taken for read.
    pub(in crate::pipeline) fn is_due(&mut self, now: Option<Stamp>) -> bool {
        let settled = self.seen == now;
        self.seen = now;
        let due = now.is_some() && settled && self.read != now;
        if due {
            self.read = now;
        }
        due
    }
}

/// Attends to a plugin until its sink is gone: SIGHUP, or a change of its file, swaps it.
///
/// # Errors
/// When no handler for SIGHUP can be installed.
pub async fn attend(plugin: Arc<SinkPlugin>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut intake: Option<mpsc::Receiver<Compared>> = None;
    loop {
        tokio::select! {
            _ = look.tick() => {
                if plugin.setup().is_due() {
                    read_again(&plugin).await;
                }
            }
            () = sleep(CANARY), if plugin.has_canary() => plugin.look_at_canary().await,
            _ = hangup.recv() => {
                plugin.setup().is_read();
                read_again(&plugin).await;
            }
            () = plugin.changed.notified() => {}
            Some(compared) = received(intake.as_mut()) => plugin.compare(compared).await,
        }
        intake = plugin.take_intake().or(intake);
    }
}

async fn read_again(plugin: &SinkPlugin) {
    // The reason is in the log and in the metric; here is nobody else to tell.
    if let Err(SwapError::Busy(sink)) = plugin.take_changed().await {
        warn!(%sink, "the plugin's file has changed while another version was being loaded: send SIGHUP to load it");
    }
}

async fn received(intake: Option<&mut mpsc::Receiver<Compared>>) -> Option<Compared> {
    match intake {
        Some(intake) => intake.recv().await,
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(size: u64) -> Option<Stamp> {
        Some(Stamp {
            modified: None,
            size,
            inode: 1,
        })
    }

    #[test]
    fn a_file_is_read_once_when_it_has_come_to_rest() {
        let mut watch = Watch {
            read: at(1),
            seen: None,
        };

        let looks = [
            at(1),
            at(1),
            at(2),
            at(3),
            at(3),
            at(3),
            None,
            None,
            at(3),
            at(3),
            at(4),
            at(4),
        ];
        let due: Vec<bool> = looks.into_iter().map(|now| watch.is_due(now)).collect();

        let read = due.iter().enumerate().filter(|(_, due)| **due);
        let read: Vec<usize> = read.map(|(look, _)| look).collect();
        // When 3 has come to rest, and 4; what was gone and came back the same is no news.
        assert_eq!(read, [4, 11]);
    }
}
