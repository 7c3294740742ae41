//! Reads NDJSON from a file or standard input: a line is a record, whatever it holds.
//!
//! # Invariants
//! - A position is the end of a line: reading goes on exactly behind it.
//! - Progress is kept by the file's absolute path, and ids depend on it: another folder's file of the same name is
//!   another file.

use super::{
    Ingress, IngressError, ReadLimit, Start,
    lines::Lines,
    paths,
    settings::{FileIngressSettings, FilePath},
};
use crate::event::{Event, Incoming, Position, now_ms};

/// The longest line, in bytes: more than any sink's batch should hold.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// A source of lines.
#[derive(Debug)]
pub struct FileIngress {
    lines: Lines,
    partitions: [String; 1],
    id_prefix: String,
    /// Whether a later run finds the same bytes at the same offsets: not in a pipe.
    keeps_progress: bool,
}

impl FileIngress {
    /// Opens the source, behind what `start` says is settled.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not the one that progress was stored for.
    pub async fn open(
        ingress: &str,
        settings: &FileIngressSettings,
        start: Start,
    ) -> Result<Self, IngressError> {
        match &settings.path {
            FilePath::Stdin => {
                // Another run's standard input is other data: its ids must differ.
                let partition = format!("stdin-{}", now_ms());
                Ok(Self::new(ingress, Lines::stdin(MAX_LINE), &partition))
            }
            FilePath::Path(path) => {
                let lines = Lines::open(path, MAX_LINE).await?;
                let name = path.file_name().map_or_else(
                    || lines.shown().to_owned(),
                    |name| name.to_string_lossy().into_owned(),
                );
                if !lines.is_file().await? {
                    // A pipe is read once, as standard input is.
                    let partition = format!("{name}-{}", now_ms());
                    return Ok(Self::new(ingress, lines, &partition));
                }
                let absolute = paths::absolute(path).map_err(|source| IngressError::Read {
                    path: lines.shown().to_owned(),
                    source,
                })?;
                let partition = absolute.to_string_lossy().into_owned();
                // An id goes to the endpoint, so it does not tell the folder.
                let name = format!("{name}-{:08x}", fingerprint(partition.as_bytes()));
                let mut source = Self::new(ingress, lines, &name);
                source.keeps_progress = true;
                source.partitions = [partition];
                let [partition] = &source.partitions;
                let stored = start.into_iter().find(|(name, _)| name == partition);
                if let Some((_, Position::Line { offset, line, crc })) = stored {
                    source.lines.resume(offset, line, crc).await?;
                }
                Ok(source)
            }
        }
    }

    fn new(ingress: &str, lines: Lines, partition: &str) -> Self {
        Self {
            lines,
            id_prefix: format!("{ingress}/{partition}:"),
            partitions: [partition.to_owned()],
            keeps_progress: false,
        }
    }

    /// Whether a restart can read on: standard input and pipes cannot.
    pub fn keeps_progress(&self) -> bool {
        self.keeps_progress
    }

    /// The next record that the buffer holds; empty lines are passed over.
    fn take_record(&mut self, now: u64) -> Option<Incoming> {
        let data = self.lines.take()?;
        let mut id = String::with_capacity(self.id_prefix.len() + 20);
        id.push_str(&self.id_prefix);
        id.push_str(&self.lines.line().to_string());
        let event = Event {
            id: id.into_boxed_str(),
            key: None,
            timestamp_ms: now,
            attributes: Vec::new(),
            data,
        };
        Some(Incoming {
            event,
            partition: 0,
            position: self.lines.position(),
        })
    }
}

impl Ingress for FileIngress {
    fn partitions(&self) -> &[String] {
        &self.partitions
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut now = now_ms();
        loop {
            while records.len() < limit.records && bytes < limit.bytes {
                let Some(record) = self.take_record(now) else {
                    break;
                };
                bytes += record.event.data.len();
                records.push(record);
            }
            if !records.is_empty() {
                return Ok(Some(records));
            }
            if self.lines.has_ended() {
                return Ok(None);
            }
            self.lines.fill().await?;
            // It may have been a while, where somebody writes into a pipe.
            now = now_ms();
        }
    }
}

/// FNV-1a: the same on every machine and in every version, as ids must be.
pub(super) fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::fd::AsRawFd};

    use tempfile::NamedTempFile;

    use super::*;

    const ALL: ReadLimit = ReadLimit {
        records: 3,
        bytes: 1 << 20,
    };

    fn file(content: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(content).expect("written");
        file
    }

    /// As a version that knew no CRC has stored it.
    fn at(offset: u64, line: u64) -> Position {
        Position::Line {
            offset,
            line,
            crc: None,
        }
    }

    async fn open(
        file: &NamedTempFile,
        start: Option<(u64, u64)>,
    ) -> Result<FileIngress, IngressError> {
        let settings = FileIngressSettings {
            path: FilePath::Path(file.path().to_owned()),
        };
        let name = file.path().to_string_lossy().into_owned();
        let start = start.map(|(offset, line)| (name, at(offset, line)));
        FileIngress::open("t/in", &settings, start.into_iter().collect()).await
    }

    async fn all(source: &mut FileIngress) -> Vec<(Vec<u8>, u64, u64)> {
        let mut records = Vec::new();
        while let Some(more) = source.read(ALL).await.expect("readable") {
            assert!(more.len() <= 3);
            records.extend(more.into_iter().map(|record| match record.position {
                Position::Line { offset, line, .. } => (record.event.data.to_vec(), offset, line),
                Position::Count(_) | Position::Shard(_) => unreachable!("a file counts lines"),
            }));
        }
        records
    }

    #[tokio::test]
    async fn a_line_is_a_record_whatever_it_holds() {
        let file = file(b"{\"a\":1}\r\n\nno json\n\xff\xfe\nlast");

        let records = all(&mut open(&file, None).await.expect("opens")).await;

        let expected: [(&[u8], u64, u64); 4] = [
            (b"{\"a\":1}", 9, 1),
            (b"no json", 18, 3),
            (b"\xff\xfe", 21, 4),
            (b"last", 25, 5),
        ];
        assert_eq!(
            records,
            expected.map(|(data, offset, line)| (data.to_vec(), offset, line))
        );
    }

    #[tokio::test]
    async fn reading_goes_on_behind_every_position() {
        let file = file(b"one\n\ntwo\nthree\nfour");
        let whole = all(&mut open(&file, None).await.expect("opens")).await;

        for (index, (_, offset, line)) in whole.iter().enumerate() {
            let mut source = open(&file, Some((*offset, *line))).await.expect("resumes");
            assert_eq!(all(&mut source).await, whole[index + 1..]);
        }
    }

    #[tokio::test]
    async fn an_id_names_ingress_file_and_line() {
        let file = file(b"x\n");
        let name = file
            .path()
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();

        let records = open(&file, None)
            .await
            .expect("opens")
            .read(ALL)
            .await
            .expect("reads")
            .expect("a record");

        let path = file.path().as_os_str().as_encoded_bytes();
        let expected = format!("t/in/{name}-{:08x}:1", fingerprint(path));
        assert_eq!(*records[0].event.id, *expected);
        // Ids outlive versions (draft-eastlake-fnv, appendix C).
        assert_eq!(fingerprint(b"foobar"), 0xbf9c_f968);
    }

    #[tokio::test]
    async fn a_file_that_is_not_the_one_of_the_progress_is_refused() {
        let file = file(b"one\ntwo\n");

        let shrunk = open(&file, Some((9, 3))).await.expect_err("it has 8 bytes");
        let replaced = open(&file, Some((2, 1)))
            .await
            .expect_err("no line ends there");

        assert!(matches!(
            shrunk,
            IngressError::Shrunk {
                len: 8,
                offset: 9,
                ..
            }
        ));
        assert!(matches!(replaced, IngressError::Replaced { .. }));
    }

    #[tokio::test]
    async fn a_file_whose_lines_end_where_those_of_the_other_did_is_refused() {
        for end in ["\n", ""] {
            let file = file(format!("one\n\ntwo{end}").as_bytes());
            let mut source = open(&file, None).await.expect("opens");
            all(&mut source).await;
            let last = source.lines.position();
            let open = async || {
                let settings = FileIngressSettings {
                    path: FilePath::Path(file.path().to_owned()),
                };
                let start = vec![(source.partitions()[0].clone(), last.clone())];
                FileIngress::open("t/in", &settings, start).await
            };

            std::fs::write(file.path(), "ONE\n\ntwo\nthree\n").expect("written");
            let same_line = open().await;
            std::fs::write(file.path(), "one\n\nTWO\nthree\n").expect("written");
            let another = open().await;

            assert!(same_line.is_ok(), "what follows is read");
            assert!(matches!(another, Err(IngressError::Replaced { .. })));
        }
    }

    #[tokio::test]
    async fn a_last_line_that_goes_on_after_it_was_delivered_is_told_as_such() {
        let file = file(b"one\ntw");
        let mut source = open(&file, None).await.expect("opens");
        all(&mut source).await;
        let settings = FileIngressSettings {
            path: FilePath::Path(file.path().to_owned()),
        };
        let start = vec![(source.partitions()[0].clone(), source.lines.position())];

        std::fs::write(file.path(), "one\ntwo\n").expect("written");
        let grown = FileIngress::open("t/in", &settings, start).await;

        assert!(matches!(grown, Err(IngressError::Grown { line: 2, .. })));
    }

    #[tokio::test]
    async fn a_line_that_is_longer_than_a_chunk_is_known_again() {
        let long = "x".repeat(700_000);
        let file = file(format!("{long}\nnext\n{long}\n").as_bytes());
        let mut source = open(&file, None).await.expect("opens");
        let partition = source.partitions()[0].clone();
        let mut positions = Vec::new();
        while let Some(more) = source.read(ALL).await.expect("readable") {
            positions.extend(more.into_iter().map(|record| record.position));
        }

        for (position, left) in positions.into_iter().zip([2, 1, 0]) {
            let start = vec![(partition.clone(), position)];
            let settings = FileIngressSettings {
                path: FilePath::Path(file.path().to_owned()),
            };
            let mut again = FileIngress::open("t/in", &settings, start)
                .await
                .expect("it is the same file");
            assert_eq!(all(&mut again).await.len(), left);
        }
    }

    #[tokio::test]
    async fn a_file_of_the_same_name_elsewhere_is_read_from_its_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |day: &str| folder.path().join(day).join("orders.ndjson");
        for day in ["monday", "tuesday"] {
            std::fs::create_dir(folder.path().join(day)).expect("made");
            std::fs::write(path(day), "1\n2\n").expect("written");
        }
        let open = async |day, start| {
            let settings = FileIngressSettings {
                path: FilePath::Path(path(day)),
            };
            FileIngress::open("t/in", &settings, start)
                .await
                .expect("opens")
        };
        let monday = open("monday", Vec::new()).await.partitions()[0].clone();
        let progress = vec![(monday, at(4, 2))];

        let again = all(&mut open("monday", progress.clone()).await).await;
        let other = all(&mut open("tuesday", progress).await).await;
        let mut ids = Vec::new();
        for day in ["monday", "tuesday"] {
            let records = open(day, Vec::new()).await.read(ALL).await;
            ids.push(
                records.expect("readable").expect("not empty")[0]
                    .event
                    .id
                    .clone(),
            );
        }

        assert_eq!((again.len(), other.len()), (0, 2));
        assert_ne!(
            ids[0], ids[1],
            "an endpoint must not take one for the other"
        );
    }

    #[tokio::test]
    async fn a_line_keeps_its_number_when_the_file_grows_behind_an_open_end() {
        for end in ["\n", "\r\n"] {
            let mut file = file(b"one\ntwo");
            writeln!(file, "{end}three").expect("written");

            let resumed = all(&mut open(&file, Some((7, 2))).await.expect("resumes")).await;

            let fresh = all(&mut open(&file, None).await.expect("opens")).await;
            assert_eq!(resumed, fresh[2..]);
        }
    }

    #[tokio::test]
    async fn a_pipe_keeps_no_progress() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"one\ntwo\n").expect("it fits the pipe");
        drop(writer);
        // As `<(…)` of a shell names it.
        let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let settings = FileIngressSettings {
            path: FilePath::Path(path.clone()),
        };
        let name = path.to_string_lossy().into_owned();
        let start = vec![(name, at(99, 9))];

        let mut source = FileIngress::open("t/in", &settings, start)
            .await
            .expect("progress of another run does not hold for it");

        assert_eq!(all(&mut source).await.len(), 2);
        assert!(!source.keeps_progress());
    }
}
