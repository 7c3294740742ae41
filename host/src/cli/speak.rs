//! What commands say: what they are asked for on standard output, anything else on standard error.

use std::io::{self, Write};

/// What was asked for could not be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written")]
pub(super) struct StdoutError(#[source] io::Error);

/// Writes what a command is asked for. Whoever reads it may have seen enough: that is no failure.
///
/// # Errors
/// When it cannot be written for another reason: a full disk, say.
pub(super) fn print(text: &str) -> Result<(), StdoutError> {
    is_read(text).map(drop)
}

/// As [`print()`], for a command that has more to write: whether somebody still reads it.
pub(super) fn is_read(text: &str) -> Result<bool, StdoutError> {
    let mut out = io::stdout().lock();
    came_through(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn came_through(written: io::Result<()>) -> Result<bool, StdoutError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(StdoutError(error)),
    }
}

/// Writes a line for people. A command goes on if nobody can hear it: there is nowhere left to say so.
pub(super) fn say(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
        let failed = |kind: io::ErrorKind| came_through(Err(kind.into()));

        assert!(matches!(failed(io::ErrorKind::BrokenPipe), Ok(false)));
        assert!(failed(io::ErrorKind::StorageFull).is_err());
        assert!(matches!(came_through(Ok(())), Ok(true)));
    }
}
