//! Reads dead letters: each event comes back as it was, with the id that it had.
//!
//! # Invariants
//! - Progress is that of one replay: it is kept by the file's path and first line, the sink, and the filter. Another
//!   filter begins at the front; so does another file that has taken the name, as the next rotation brings.
//! - A line that is left out is passed, so that a replay of a large file does not look at it again; one that somebody
//!   may still be writing is not.
//! - A read that is dropped has taken nothing that it does not remember.

use std::{path::Path, sync::Arc};

use tracing::{info, warn};

use super::{
    Ingress, IngressError, ReadLimit, Start,
    file::fingerprint,
    lines::Lines,
    paths,
    settings::{DeadLetterSettings, Taken},
};
use crate::{
    dead_letter::{Letter, NoLetter},
    event::{Incoming, Position},
    metrics::IngressStats,
};

/// The longest line, in bytes: the longest record, with every byte of it escaped.
const MAX_LINE: usize = 512 * 1024 * 1024;

/// Lines that are no letters and are named; more are only counted.
const NAMED: usize = 20;

/// A file of dead letters.
#[derive(Debug)]
pub struct LetterFile {
    lines: Lines,
}

impl LetterFile {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, IngressError> {
        let lines = Lines::open(path, MAX_LINE).await?;
        Ok(Self { lines })
    }

    /// Standard input.
    pub fn stdin() -> Self {
        let lines = Lines::stdin(MAX_LINE);
        Self { lines }
    }

    /// The next line, as a letter if it is one; none at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn next(&mut self) -> Result<Option<Result<Letter, NoLetter>>, IngressError> {
        let line = self.lines.next().await?;
        Ok(line.map(|line| Letter::parse(&line)))
    }

    /// The number of the line that was given last, from 1.
    pub fn line(&self) -> u64 {
        self.lines.line()
    }
}

/// Opens a file for a replay, behind what `start` says is settled; gives the name of its partition, too.
///
/// # Errors
/// When it cannot be opened, is no regular file, or is not the one that progress was stored for.
pub async fn open_for_replay(
    path: &Path,
    settings: &DeadLetterSettings,
    start: &Start,
) -> Result<(LetterFile, String), IngressError> {
    if path.as_os_str() == "-" {
        return Err(IngressError::NoFile {
            path: "-".to_owned(),
        });
    }
    let mut file = LetterFile::open(path).await?;
    let shown = file.lines.shown().to_owned();
    if !file.lines.is_file().await? {
        return Err(IngressError::NoFile { path: shown });
    }
    let absolute = paths::absolute(path).map_err(|source| IngressError::Read {
        path: shown,
        source,
    })?;
    let first = LetterFile::open(path).await?.lines.next().await?;
    let first = fingerprint(first.as_deref().unwrap_or_default());
    let partition = format!(
        "{} ({first:08x}) --to {} {}",
        absolute.display(),
        settings.to,
        settings.filter
    );
    let partition = partition.trim_end().to_owned();
    let stored = start.iter().find(|(name, _)| *name == partition);
    if let Some((_, Position::Line { offset, line, crc })) = stored {
        file.lines.resume(*offset, *line, *crc).await?;
    }
    Ok((file, partition))
}

/// Files of dead letters, one after the other: each is a partition.
#[derive(Debug)]
pub struct DeadLetters {
    settings: DeadLetterSettings,
    files: Vec<LetterFile>,
    partitions: Vec<String>,
    /// The file that is being read.
    current: usize,
    held: bool,
    /// Up to where lines were left out, behind all that was returned.
    passed: Option<(u32, Position)>,
    named: usize,
    stats: Arc<IngressStats>,
}

impl DeadLetters {
    /// Opens the files, each behind what `start` says is settled.
    ///
    /// # Errors
    /// When one cannot be opened, is no regular file, or is not the one that progress was stored for.
    pub async fn open(
        settings: &DeadLetterSettings,
        start: Start,
        stats: Arc<IngressStats>,
    ) -> Result<Self, IngressError> {
        let (mut files, mut partitions) = (Vec::new(), Vec::new());
        for path in &settings.files {
            let (file, partition) = open_for_replay(path, settings, &start).await?;
            if file.line() > 0 {
                info!(file = %file.lines.shown(), line = file.line(), "going on behind what was replayed before");
            }
            files.push(file);
            partitions.push(partition);
        }
        Ok(Self {
            settings: settings.clone(),
            files,
            partitions,
            current: 0,
            held: false,
            passed: None,
            named: 0,
            stats,
        })
    }

    /// The next event that the current file's buffer holds; what is left out is passed.
    fn take_event(&mut self) -> Option<Incoming> {
        let partition = u32::try_from(self.current).unwrap_or(u32::MAX);
        let file = self.files.get_mut(self.current)?;
        loop {
            let line = file.lines.take()?;
            match Letter::parse(&line) {
                Ok(letter) if self.settings.takes(&letter) == Taken::Sent => {
                    // What was left out before it lies in front of it.
                    self.passed = None;
                    self.stats.events.add(1);
                    self.stats.bytes.add(letter.event.data.len());
                    return Some(Incoming {
                        event: letter.event,
                        partition,
                        position: file.lines.position(),
                    });
                }
                Ok(_) => self.stats.left_out.add(1),
                Err(reason) => {
                    self.stats.unreadable.add(1);
                    self.named += 1;
                    if self.named <= NAMED {
                        warn!(file = %file.lines.shown(), line = file.line(), %reason, "a line is no dead letter, and is left out");
                    }
                    if !file.lines.is_closed() {
                        continue;
                    }
                }
            }
            self.passed = Some((partition, file.lines.position()));
        }
    }
}

impl Ingress for DeadLetters {
    fn partitions(&self) -> &[String] {
        &self.partitions
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        if self.held {
            // Until the hold is lifted; whoever waits drops this read.
            std::future::pending::<()>().await;
        }
        let mut records = Vec::new();
        let mut bytes = 0;
        loop {
            while records.len() < limit.records && bytes < limit.bytes {
                let Some(record) = self.take_event() else {
                    break;
                };
                bytes += record.event.data.len();
                records.push(record);
            }
            if !records.is_empty() || self.passed.is_some() {
                return Ok(Some(records));
            }
            let Some(file) = self.files.get_mut(self.current) else {
                return Ok(None);
            };
            if file.lines.has_ended() {
                self.current += 1;
            } else {
                file.lines.fill().await?;
            }
        }
    }

    fn active(&self) -> usize {
        1
    }

    fn hold(&mut self, held: &[bool]) {
        self.held = held.get(self.current).copied().unwrap_or(false);
    }

    fn passed(&mut self) -> Vec<(u32, Position)> {
        self.passed.take().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::dead_letter::{CauseKind, Filter};

    const LIMIT: ReadLimit = ReadLimit {
        records: 2,
        bytes: 1 << 20,
    };

    /// The letter of an event, by its number.
    fn letter(number: u32, sink: &str, cause: &str) -> String {
        format!(
            "{{\"event\":{{\"id\":\"t/in/a:{number}\",\"timestamp-ms\":{number},\"data\":\"{number}\"}},\"ingress\":\"t/in\",\"sink\":\"{sink}\",\"cause\":\"{cause}\"}}\n"
        )
    }

    fn settings(files: &[&PathBuf], causes: &[CauseKind]) -> DeadLetterSettings {
        DeadLetterSettings {
            files: files.iter().map(|path| (*path).clone()).collect(),
            to: "t/sink".to_owned(),
            filter: Filter {
                causes: causes.to_vec(),
                ..Filter::default()
            },
        }
    }

    async fn open(settings: &DeadLetterSettings, start: Start) -> DeadLetters {
        let stats = Arc::default();
        DeadLetters::open(settings, start, stats)
            .await
            .expect("opens")
    }

    /// The data of all events, and the last position of each partition.
    async fn all(source: &mut DeadLetters) -> (Vec<String>, Start) {
        let (mut events, mut last) = (Vec::new(), Start::new());
        let mut reached = |names: &[String], partition: u32, position| {
            let name = names[partition as usize].clone();
            last.retain(|(other, _)| *other != name);
            last.push((name, position));
        };
        while let Some(more) = source.read(LIMIT).await.expect("readable") {
            for read in more {
                events.push(String::from_utf8_lossy(&read.event.data).into_owned());
                reached(source.partitions(), read.partition, read.position);
            }
            for (partition, position) in source.passed() {
                reached(source.partitions(), partition, position);
            }
        }
        (events, last)
    }

    #[tokio::test]
    async fn what_is_left_out_is_passed_and_files_follow_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        let other = letter(9, "t/other", "status");
        let result = letter(8, "t/sink", "result-too-large");
        let one = [
            &other,
            &*letter(1, "t/sink", "status"),
            "no letter\n",
            &result,
        ]
        .concat();
        std::fs::write(&old, one).expect("written");
        let two = [2, 3]
            .map(|number| letter(number, "t/sink", "timed-out"))
            .concat();
        std::fs::write(&new, two + &other + "{\"event").expect("written");
        let settings = settings(&[&old, &new], &[]);

        let mut source = open(&settings, Start::new()).await;
        let (events, progress) = all(&mut source).await;

        assert_eq!(events, ["1", "2", "3"]);
        assert_eq!(source.stats.left_out.get(), 3);
        assert_eq!(source.stats.unreadable.get(), 2);
        // The line that was still being written is read again; nothing else is.
        let text = std::fs::read_to_string(&new).expect("readable");
        let whole = text.strip_suffix("{\"event").expect("it was cut off");
        std::fs::write(&new, whole.to_owned() + &letter(4, "t/sink", "status")).expect("written");
        let mut again = open(&settings, progress).await;
        assert_eq!(all(&mut again).await.0, ["4"]);
        assert_eq!(
            (again.stats.left_out.get(), again.stats.unreadable.get()),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn another_filter_or_another_file_begins_at_the_front() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("letters");
        let letters = [
            letter(1, "t/sink", "status"),
            letter(2, "t/sink", "timed-out"),
        ]
        .concat();
        std::fs::write(&path, &letters).expect("written");
        let timed_out = settings(&[&path], &[CauseKind::TimedOut]);
        let (first, progress) = all(&mut open(&timed_out, Start::new()).await).await;

        let same = all(&mut open(&timed_out, progress.clone()).await).await;
        let wider = all(&mut open(&settings(&[&path], &[]), progress.clone()).await).await;
        std::fs::write(&path, letter(7, "t/sink", "timed-out") + &letters).expect("written");
        let rotated = all(&mut open(&timed_out, progress).await).await;

        assert_eq!(first, ["2"]);
        assert_eq!((same.0.len(), wider.0.len()), (0, 2));
        assert_eq!(rotated.0, ["7", "2"]);
    }

    #[tokio::test]
    async fn a_pipe_is_refused() {
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let path = PathBuf::from(format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&reader)
        ));

        let refused =
            DeadLetters::open(&settings(&[&path], &[]), Start::new(), Arc::default()).await;

        assert!(matches!(refused, Err(IngressError::NoFile { .. })));
    }
}
