//! NDJSON in a file: appended, synced before a write counts, moved aside by size.
//!
//! A record that is one line of UTF-8 is written as it is. Anything else becomes an object with the one
//! key `data-base64`, so that a line of the file is always a record; so does a record that is such an object itself,
//! so that a reader knows which is which, and one that ends with a carriage return, which readers take for the line's.
//!
//! # Invariants
//! - After a failed write or sync the file is opened anew: what the kernel holds of it is not trusted.
//! - What counts as written stands in a file that has a name: one that somebody removes or moves away is begun anew.
//! - A line that a crash has cut off is closed before the next record is written.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use tracing::warn;

use super::{Egress, EgressError, settings::FileEgressSettings};
use crate::{event::Record, fail_point::FailPoint, json::Object};

/// A file that records are appended to.
#[derive(Debug)]
pub struct FileEgress {
    settings: FileEgressSettings,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Its device and number, by which it is known again.
    inode: (u64, u64),
    len: u64,
    /// A device such as `/dev/null` cannot be synced: accepted is all that it offers.
    is_file: bool,
}

impl FileEgress {
    /// Opens or creates the file, and its folder.
    ///
    /// # Errors
    /// When either is impossible.
    pub async fn open(settings: FileEgressSettings) -> Result<Self, EgressError> {
        let mut egress = Self {
            settings,
            open: None,
        };
        egress.run(|egress| egress.opened().map(|_| ())).await?;
        Ok(egress)
    }

    /// Runs `work` where it may block.
    async fn run(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), EgressError> + Send + 'static,
    ) -> Result<(), EgressError> {
        let mut own = Self {
            settings: self.settings.clone(),
            open: self.open.take(),
        };
        let joined = tokio::task::spawn_blocking(move || {
            let result = work(&mut own);
            (own, result)
        })
        .await;
        let (own, result) =
            joined.map_err(|error| self.error("write to")(io::Error::other(error)))?;
        // What failed is opened anew the next time.
        self.open = own.open.filter(|_| result.is_ok());
        result
    }

    fn opened(&mut self) -> Result<&mut Open, EgressError> {
        if self.open.is_none() {
            let open = open(&self.settings.path).map_err(self.error("open"))?;
            self.open = Some(open);
        }
        Ok(self.open.as_mut().expect("it was opened above"))
    }

    fn append(&mut self, mut lines: &[u8]) -> Result<(), EgressError> {
        self.look()?;
        while !lines.is_empty() {
            let (max, open) = (self.settings.max_bytes, self.opened()?);
            let room = match max {
                Some(max) if open.is_file => max.saturating_sub(open.len),
                _ => u64::MAX,
            };
            let (now, later) = lines.split_at(fitting(lines, room, open.len == 0));
            if now.is_empty() {
                self.move_aside()?;
            } else if self.append_some(now)? {
                lines = later;
            }
        }
        Ok(())
    }

    /// Sees to it that what is open is what the path names: somebody may have removed it, moved it away, or cut it.
    fn look(&mut self) -> Result<(), EgressError> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_file) else {
            return Ok(());
        };
        match std::fs::metadata(&self.settings.path) {
            Ok(metadata) if inode(&metadata) == open.inode => open.len = metadata.len(),
            Ok(_) => self.begin_anew(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.begin_anew(),
            Err(error) => return Err(self.error("look at")(error)),
        }
        Ok(())
    }

    fn begin_anew(&mut self) {
        let path = self.settings.path.display();
        warn!(%path, "the file was removed or moved away: another one is begun");
        self.open = None;
    }

    /// Writes lines, and syncs them; whether they stand in a file that has a name still.
    fn append_some(&mut self, lines: &[u8]) -> Result<bool, EgressError> {
        let open = self.opened()?;
        let written = open
            .file
            .write_all(lines)
            .map(|()| open.len += lines.len() as u64);
        written.map_err(self.error("write to"))?;
        FailPoint::BeforeSync.pass();
        let open = self.opened()?;
        let synced = if open.is_file {
            open.file.sync_data()
        } else {
            Ok(())
        };
        synced.map_err(self.error("sync"))?;
        FailPoint::AfterSync.pass();
        let open = self.opened()?;
        let metadata = open.is_file.then(|| open.file.metadata()).transpose();
        match metadata.map_err(self.error("look at"))? {
            Some(metadata) if metadata.nlink() == 0 => {
                // Somebody has removed it meanwhile, and these lines with it.
                self.begin_anew();
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// `name` becomes `name.1`, what was `name.1` becomes `name.2`, and so on.
    fn move_aside(&mut self) -> Result<(), EgressError> {
        self.open = None;
        let path = self.settings.path.clone();
        let mut last = 0;
        while numbered(&path, last + 1).exists() {
            last += 1;
        }
        for number in (1..=last).rev() {
            let (from, to) = (numbered(&path, number), numbered(&path, number + 1));
            let moved = match self.settings.keep {
                Some(keep) if number >= keep => remove(&from),
                _ => std::fs::rename(&from, &to),
            };
            moved.map_err(self.error("rotate"))?;
        }
        let moved = match self.settings.keep {
            Some(0) => remove(&path),
            _ => std::fs::rename(&path, numbered(&path, 1)),
        };
        moved.map_err(self.error("rotate"))
    }

    fn error(&self, action: &'static str) -> impl FnOnce(io::Error) -> EgressError + use<> {
        let path = self.settings.path.display().to_string();
        move |source| EgressError::Io {
            action,
            path,
            source,
        }
    }
}

impl Egress for FileEgress {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        let mut lines = Vec::new();
        for record in records {
            push_line(&mut lines, &record.data);
        }
        self.run(move |egress| egress.append(&lines)).await
    }
}

/// Appends a record as one line.
pub(super) fn push_line(lines: &mut Vec<u8>, data: &[u8]) {
    let is_line = !data.is_empty() && !data.contains(&b'\n') && !data.ends_with(b"\r");
    if is_line && std::str::from_utf8(data).is_ok() && !is_encoded(data) {
        lines.extend_from_slice(data);
    } else {
        let object = json!({ "data-base64": BASE64_STANDARD.encode(data) });
        lines.extend_from_slice(object.to_string().as_bytes());
    }
    lines.push(b'\n');
}

/// Whether a record looks like one that is written in base64; for any other, the first key tells.
fn is_encoded(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Encoded {
        #[serde(rename = "data-base64")]
        _data: IgnoredAny,
    }
    serde_json::from_slice::<Object<Encoded>>(data).is_ok()
}

fn open(path: &Path) -> io::Result<Open> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    // The file's name must survive a crash as well as its content.
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    let metadata = file.metadata()?;
    let mut len = metadata.len();
    if len > 0 {
        file.seek(SeekFrom::Start(len - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            warn!(path = %path.display(), "the last line was cut off; it is closed and left in place");
            file.write_all(b"\n")?;
            len += 1;
        }
    }
    Ok(Open {
        file,
        inode: inode(&metadata),
        len,
        is_file: metadata.is_file(),
    })
}

/// How many bytes of these lines go into a file that has `room` for so many: whole lines, and one at least if it is empty.
fn fitting(lines: &[u8], room: u64, is_empty: bool) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let Some(most) = lines.get(..room) else {
        return lines.len();
    };
    let end = match memchr::memrchr(b'\n', most) {
        None if is_empty => memchr::memchr(b'\n', lines),
        end => end,
    };
    end.map_or(0, |end| end + 1)
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Removes a file that `keep` has no room for.
fn remove(path: &Path) -> io::Result<()> {
    warn!(path = %path.display(), "the file is removed with all that it holds, as `keep` says");
    std::fs::remove_file(path)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(data: &[u8]) -> Record {
        Record {
            key: None,
            attributes: Vec::new(),
            data: Bytes::copy_from_slice(data),
        }
    }

    async fn written(
        max_bytes: Option<u64>,
        keep: Option<usize>,
        writes: &[&[&[u8]]],
    ) -> Vec<Option<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/out.ndjson");
        let settings = FileEgressSettings {
            path: path.clone(),
            max_bytes,
            keep,
        };
        let mut egress = FileEgress::open(settings).await.expect("opens");
        for write in writes {
            let records: Vec<_> = write.iter().map(|data| record(data)).collect();
            egress.write(&records).await.expect("writes");
        }
        let files =
            std::iter::once(path.clone()).chain((1..4).map(|number| numbered(&path, number)));
        files
            .map(|path| std::fs::read_to_string(path).ok())
            .collect()
    }

    #[tokio::test]
    async fn a_line_is_a_record() {
        let files = written(
            None,
            None,
            &[&[b"{\"a\":1}", b"two", b"[3]"], &[b"a\nb", b"\xff", b""]],
        )
        .await;

        let expected = "{\"a\":1}\ntwo\n[3]\n{\"data-base64\":\"YQpi\"}\n{\"data-base64\":\"/w==\"}\n{\"data-base64\":\"\"}\n";
        assert_eq!(files[0].as_deref(), Some(expected));
    }

    #[tokio::test]
    async fn a_file_is_moved_aside_before_it_grows_too_large() {
        let writes: [&[&[u8]]; 4] = [&[b"one"], &[b"two"], &[b"three"], &[b"four"]];

        let all = written(Some(8), None, &writes).await;
        let one = written(Some(8), Some(1), &writes).await;

        let many = written(Some(8), None, &[&[b"one", b"two", b"three is long", b"4"]]).await;

        let file = |text: &str| Some(text.to_owned());
        let expected = [
            file("4\n"),
            file("three is long\n"),
            file("one\ntwo\n"),
            None,
        ];
        assert_eq!(many, expected, "of one write");
        assert_eq!(
            all,
            [file("four\n"), file("three\n"), file("one\ntwo\n"), None]
        );
        assert_eq!(one, [file("four\n"), file("three\n"), None, None]);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_has_cut_off_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.ndjson");
        std::fs::write(&path, "whole\ncut o").expect("written");
        let settings = FileEgressSettings {
            path: path.clone(),
            max_bytes: None,
            keep: None,
        };

        let mut egress = FileEgress::open(settings).await.expect("opens");
        egress.write(&[record(b"next")]).await.expect("writes");

        assert_eq!(
            std::fs::read_to_string(path).expect("readable"),
            "whole\ncut o\nnext\n"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_removed_moved_or_cut_takes_no_record_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.ndjson");
        let settings = FileEgressSettings {
            path: path.clone(),
            max_bytes: None,
            keep: None,
        };
        let mut egress = FileEgress::open(settings).await.expect("opens");
        let moved = folder.path().join("moved");
        let mut write = async |data: &[u8]| {
            egress.write(&[record(data)]).await.expect("writes");
            std::fs::read_to_string(&path).expect("readable")
        };

        let first = write(b"one").await;
        std::fs::rename(&path, &moved).expect("moved");
        let behind_a_move = write(b"two").await;
        std::fs::remove_file(&path).expect("removed");
        let behind_a_removal = write(b"three").await;
        std::fs::write(&path, "").expect("cut, as `logrotate` does with `copytruncate`");
        let behind_a_cut = write(b"four").await;

        assert_eq!(first, "one\n");
        assert_eq!(std::fs::read_to_string(&moved).expect("readable"), first);
        assert_eq!(behind_a_move, "two\n");
        assert_eq!(behind_a_removal, "three\n");
        assert_eq!(behind_a_cut, "four\n");
    }

    #[tokio::test]
    async fn a_device_takes_records_without_a_sync_and_is_not_moved_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        // By a link, so that no test removes a device.
        let path = folder.path().join("out");
        std::os::unix::fs::symlink("/dev/null", &path).expect("linked");
        let settings = FileEgressSettings {
            path: path.clone(),
            max_bytes: Some(1),
            keep: None,
        };
        let mut egress = FileEgress::open(settings).await.expect("opens");

        for _ in 0..2 {
            let written = egress.write(&[record(b"x")]).await;
            assert!(written.is_ok(), "{written:?}");
        }

        assert!(path.is_symlink() && !numbered(&path, 1).exists());
    }
}
