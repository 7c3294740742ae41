//! Faults of the operating system, for one process: a full disk, a sync that fails, a clock that jumps, a power cut.
//!
//! They are real to the process: a library of C (`os_faults.c`, compiled by `build.rs`) is loaded before the system's own.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

/// What is switched on and off, by its place in the control file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OsFault {
    /// Writes fail with ENOSPC.
    DiskFull = 0,
    /// `fsync` and `fdatasync` fail with EIO.
    SyncFails = 1,
    /// A write takes one byte.
    ShortWrites = 2,
    /// No name is resolved.
    NamesFail = 3,
}

const CLOCK: u64 = 4;
const FIRED: u64 = 5;
const NUMBERS: u64 = 6;
/// Bytes of a number.
const NUMBER: u64 = 8;

/// The faults of the processes that are started with them; none at first.
#[derive(Debug)]
pub struct OsFaults {
    control: File,
    path: PathBuf,
    folder: PathBuf,
}

impl OsFaults {
    /// Faults for files in `folder`.
    ///
    /// # Panics
    /// When the control file cannot be made.
    pub fn new(folder: &Path) -> Self {
        let path = folder.with_extension("faults");
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .expect("the control file can be made");
        control.set_len(NUMBERS * NUMBER).expect("it has room");
        Self {
            control,
            path,
            folder: folder.to_owned(),
        }
    }

    /// Has `command` start with these faults.
    pub fn preload(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", env!("NOZZLE_OS_FAULTS_LIBRARY"))
            .env("NOZZLE_OS_FAULTS", &self.path)
            .env("NOZZLE_OS_FAULTS_IN", &self.folder);
    }

    /// Switches a fault on or off.
    pub fn set(&self, fault: OsFault, on: bool) {
        self.write(fault as u64, i64::from(on));
    }

    /// Sets the wall clock ahead, or back.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.write(CLOCK, seconds);
    }

    /// How often a fault was met, clocks aside.
    pub fn fired(&self) -> i64 {
        let mut number = [0; NUMBER as usize];
        self.control
            .read_exact_at(&mut number, FIRED * NUMBER)
            .expect("the control file is there");
        i64::from_ne_bytes(number)
    }

    /// How much of a file that is appended to a power cut would leave, in bytes: what was synced last.
    pub fn synced(&self, path: &Path) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push(".synced");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let length = |line: &str| {
            let (length, of) = line.split_once(' ')?;
            (path == Path::new(of)).then(|| length.parse().ok())?
        };
        log.lines().rev().find_map(length).unwrap_or(0)
    }

    fn write(&self, place: u64, value: i64) {
        self.control
            .write_all_at(&value.to_ne_bytes(), place * NUMBER)
            .expect("the control file is there");
    }
}
