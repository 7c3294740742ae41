//! NDJSON on standard output, a line a record, as the file egress writes it.

use std::io;

use rustix::io::Errno;

use super::{Egress, EgressError, file::push_line};
use crate::event::Record;

/// Standard output. Accepted means handed to the kernel.
#[derive(Debug, Default)]
pub struct StdoutEgress {
    /// Bytes of the write under way that were taken before it failed: it is tried again with the same records, and goes on
    /// behind them.
    taken: usize,
}

impl Egress for StdoutEgress {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        let mut lines = Vec::new();
        for record in records {
            push_line(&mut lines, &record.data);
        }
        let before = self.taken;
        let writing = tokio::task::spawn_blocking(move || write_on(&lines, before));
        let (taken, written) = match writing.await {
            Ok(written) => written,
            Err(panicked) => (before, Err(io::Error::other(panicked))),
        };
        self.taken = match written {
            Ok(()) => 0,
            Err(_) => taken,
        };
        written.map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => EgressError::NobodyReads,
            _ => EgressError::Io {
                action: "write to",
                path: "standard output".to_owned(),
                source,
            },
        })
    }
}

/// Writes what is behind the first `taken` bytes; gives how many are taken then.
fn write_on(lines: &[u8], mut taken: usize) -> (usize, io::Result<()>) {
    while let Some(rest) = lines.get(taken..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(io::stdout(), rest) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(Errno::INTR) => {}
            Err(error) => return (taken, Err(error.into())),
        }
    }
    (taken, Ok(()))
}
