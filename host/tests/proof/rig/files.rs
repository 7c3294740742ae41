//! The files of a host under proof, as they are read and cut.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use nozzle_testkit::OsFaults;

/// A file that the host appends lines to, and how far it is read.
pub(crate) struct Written {
    path: PathBuf,
    read: u64,
}

/// What a power cut takes of a file.
#[derive(Default)]
pub(crate) struct Cut {
    /// Bytes.
    pub(crate) gone: u64,
    /// What was read before, and is gone.
    pub(crate) lines: String,
}

impl Written {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// The whole lines that came since the last time.
    pub(crate) fn read_on(&mut self) -> String {
        let Ok(mut file) = File::open(&self.path) else {
            return String::new();
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read)).expect("it seeks");
        file.read_to_end(&mut bytes).expect("it reads");
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(end.map_or(0, |at| at + 1));
        self.read += bytes.len() as u64;
        String::from_utf8(bytes).expect("the files are text")
    }

    /// Cuts off what was not synced.
    pub(crate) fn cut(&mut self, faults: &OsFaults) -> Cut {
        let Ok(bytes) = std::fs::read(&self.path) else {
            return Cut::default();
        };
        let kept = faults.synced(&self.path).min(bytes.len() as u64);
        let read = self.read.max(kept);
        let lost = bytes.get(kept as usize..read as usize);
        self.read = self.read.min(kept);
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| file.set_len(kept))
            .expect("it can be cut");
        Cut {
            gone: bytes.len() as u64 - kept,
            lines: String::from_utf8_lossy(lost.unwrap_or_default()).into_owned(),
        }
    }
}

/// Appends to a file, which is made if need be.
pub(crate) fn append(path: &Path, bytes: &[u8]) {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(path)
        .expect("it opens");
    file.write_all(bytes).expect("written");
}
