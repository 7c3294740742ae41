//! What the process takes, as Linux says it.

use std::{fs, time::Duration};

use crate::metrics::ProcessStats;

/// Clock ticks a second, in what `/proc` says: the same on every Linux.
const TICKS: u32 = 100;

/// Reads it anew; what cannot be read stays as it is.
pub(super) fn read(stats: &ProcessStats) {
    if let Ok(status) = fs::read_to_string("/proc/self/status")
        && let Some(kib) = number_behind(&status, "VmRSS:")
    {
        stats.memory.set(kib.saturating_mul(1024));
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits")
        && let Some(files) = number_behind(&limits, "Max open files")
    {
        stats.max_files.set(files);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Without the one that reads this.
        stats.open_files.set(open.count().saturating_sub(1));
    }
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(ticks) = ticks(&stat)
    {
        stats.cpu.set(Duration::from_secs(ticks) / TICKS);
    }
}

/// The first number of the line that begins so.
fn number_behind(text: &str, start: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(start))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time: the fields 14 and 15. The second one, the name, may hold anything but ends with the last `)`.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_linux_are_understood() {
        let stat = "7 (a) R 1) S 1 7 7 0 -1 4194560 151 0 0 0 250 17 0 0 20 0 9 0 100 1 2 3";
        let limits = "Limit      Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";

        assert_eq!(ticks(stat), Some(267));
        assert_eq!(number_behind(limits, "Max open files"), Some(1024));
        assert_eq!(number_behind("VmRSS:\t    5120 kB\n", "VmRSS:"), Some(5120));
    }
}
