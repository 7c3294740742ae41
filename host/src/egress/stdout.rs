//! NDJSON on standard output, a line a record, as the file egress writes it.

use std::{io, os::fd::AsFd};

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
        let writing = tokio::task::spawn_blocking(move || write_on(io::stdout(), &lines, before));
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
fn write_on(out: impl AsFd, lines: &[u8], mut taken: usize) -> (usize, io::Result<()>) {
    while let Some(rest) = lines.get(taken..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(&out, rest) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(Errno::INTR) => {}
            Err(error) => return (taken, Err(error.into())),
        }
    }
    (taken, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn what_was_taken_before_a_failure_is_not_written_again() {
        let (out, mut reader) = UnixStream::pair().expect("a pair");
        out.set_nonblocking(true).expect("it is a socket");
        let lines = b"0123456789\n".repeat(500_000);

        let (taken, failed) = write_on(&out, &lines, 0);
        let reads = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        out.set_nonblocking(false).expect("it is a socket");
        let (all, written) = write_on(&out, &lines, taken);
        drop(out);

        assert!(0 < taken && taken < lines.len(), "{taken}");
        assert_eq!(
            failed.map_err(|error| error.kind()),
            Err(io::ErrorKind::WouldBlock)
        );
        assert!(written.is_ok() && all == lines.len());
        let read = reads.join().expect("no panic").expect("read");
        assert!(read == lines, "{} bytes of {}", read.len(), lines.len());
    }
}
