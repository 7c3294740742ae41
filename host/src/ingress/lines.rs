//! Lines of a file, a pipe or standard input, with the place where each ends.
//!
//! # Invariants
//! - A position is the end of a line: reading goes on exactly behind it.
//! - A fill that is dropped has taken nothing: the bytes of the read under way stay with the reader task.

use std::{
    io::{self, SeekFrom},
    path::Path,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt, Stdin},
};

use super::IngressError;
use crate::event::Position;

/// What is read in one go, in bytes.
const CHUNK: usize = 256 * 1024;

/// A source of lines.
#[derive(Debug)]
pub struct Lines {
    input: Input,
    /// As in messages: the path, or `-`.
    shown: String,
    /// The longest line, in bytes.
    max_line: usize,
    buffer: BytesMut,
    /// Bytes of `buffer` that are known to hold no line end.
    searched: usize,
    ended: bool,
    /// Bytes and lines taken or skipped.
    offset: u64,
    line: u64,
    /// Whether the last line had an end.
    closed: bool,
    /// The CRC-32 of the last line, without its end.
    crc: Option<u32>,
}

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(Stdin),
}

impl Lines {
    /// Opens a file or a pipe.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(path: &Path, max_line: usize) -> Result<Self, IngressError> {
        let shown = path.display().to_string();
        match File::open(path).await {
            Ok(file) => Ok(Self::new(Input::File(file), shown, max_line)),
            Err(source) => Err(IngressError::Read {
                path: shown,
                source,
            }),
        }
    }

    /// Standard input.
    pub fn stdin(max_line: usize) -> Self {
        Self::new(Input::Stdin(tokio::io::stdin()), "-".to_owned(), max_line)
    }

    fn new(input: Input, shown: String, max_line: usize) -> Self {
        Self {
            input,
            shown,
            max_line,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
            offset: 0,
            line: 0,
            closed: true,
            crc: None,
        }
    }

    /// The source as in messages: the path, or `-`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether a later run finds the same bytes at the same offsets: not in a pipe.
    ///
    /// # Errors
    /// When the file system does not say.
    pub async fn is_file(&self) -> Result<bool, IngressError> {
        match &self.input {
            Input::File(file) => {
                let metadata = file.metadata().await.map_err(|error| self.failed(error))?;
                Ok(metadata.is_file())
            }
            Input::Stdin(_) => Ok(false),
        }
    }

    /// Where the last line that was taken ends.
    pub fn position(&self) -> Position {
        Position::Line {
            offset: self.offset,
            line: self.line,
            crc: self.crc,
        }
    }

    /// The number of the last line that was taken, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the last line that was taken had an end: if not, somebody may still be writing it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn failed(&self, source: io::Error) -> IngressError {
        IngressError::Read {
            path: self.shown.clone(),
            source,
        }
    }

    /// Goes on behind a line of an earlier run, which had this CRC-32.
    ///
    /// # Errors
    /// When the file cannot be read, or is not the one of that run.
    pub async fn resume(
        &mut self,
        offset: u64,
        line: u64,
        crc: Option<u32>,
    ) -> Result<(), IngressError> {
        let Input::File(file) = &mut self.input else {
            return Ok(());
        };
        let shown = &self.shown;
        let failed = |source| IngressError::Read {
            path: shown.clone(),
            source,
        };
        let len = file.metadata().await.map_err(failed)?.len();
        if len < offset {
            return Err(IngressError::Shrunk {
                path: shown.clone(),
                len,
                offset,
            });
        }
        let replaced = || IngressError::Replaced {
            path: shown.clone(),
            offset,
            line,
        };
        if let Some(crc) = crc
            && crc_before(file, offset).await.map_err(failed)? != crc
        {
            return Err(replaced());
        }
        let mut settled = offset;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset - 1))
                .await
                .map_err(failed)?;
            let before = file.read_u8().await.map_err(failed)?;
            if before != b'\n' && len > offset {
                // The last line had ended with the file, which has grown since: first by that line's end,
                // which belongs to the line and is not one of its own.
                let mut next = file.read_u8().await.map_err(failed)?;
                settled += 1;
                if next == b'\r' && len > settled {
                    next = file.read_u8().await.map_err(failed)?;
                    settled += 1;
                }
                if next != b'\n' {
                    return Err(match crc {
                        Some(_) => IngressError::Grown {
                            path: shown.clone(),
                            line,
                        },
                        None => replaced(),
                    });
                }
            }
            file.seek(SeekFrom::Start(settled)).await.map_err(failed)?;
        }
        (self.offset, self.line, self.crc) = (settled, line, crc);
        Ok(())
    }

    /// The next line that the buffer holds and that is not empty, without its end. None if more must be read, or at
    /// the end.
    pub fn take(&mut self) -> Option<Bytes> {
        loop {
            let line = self.take_line()?;
            self.offset += line.len() as u64;
            self.line += 1;
            self.closed = line.ends_with(b"\n");
            let text = without_end(&line);
            if !text.is_empty() {
                self.crc = Some(crc32fast::hash(text));
                // Copied: a slice would keep the whole chunk alive, and the buffer's count would be wrong.
                return Some(Bytes::copy_from_slice(text));
            }
        }
    }

    /// Takes the next line out of the buffer, its end included.
    fn take_line(&mut self) -> Option<BytesMut> {
        let rest = self.buffer.get(self.searched..)?;
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                Some(line)
            }
            None if self.ended && !self.buffer.is_empty() => {
                self.searched = 0;
                Some(self.buffer.split())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    /// Whether all has been read; the buffer may still hold lines.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads more into the buffer, up to the end.
    ///
    /// # Errors
    /// When the source cannot be read, or a line is too long.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn fill(&mut self) -> Result<(), IngressError> {
        if self.buffer.len() > self.max_line {
            return Err(IngressError::LongLine {
                path: self.shown.clone(),
                line: self.line + 1,
                max: self.max_line,
            });
        }
        let read = match &mut self.input {
            Input::File(file) => read_some(file, &mut self.buffer).await,
            Input::Stdin(stdin) => read_some(stdin, &mut self.buffer).await,
        };
        let read = read.map_err(|error| self.failed(error))?;
        self.ended = read == 0;
        Ok(())
    }

    /// The next line that is not empty; none at the end.
    ///
    /// # Errors
    /// As [`Lines::fill`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, IngressError> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            self.fill().await?;
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The CRC-32 of the line that ends at this place.
async fn crc_before(file: &mut File, offset: u64) -> io::Result<u32> {
    let mut length = offset.min(CHUNK as u64);
    loop {
        file.seek(SeekFrom::Start(offset - length)).await?;
        let mut bytes = Vec::new();
        (&mut *file).take(length).read_to_end(&mut bytes).await?;
        let text = without_end(&bytes);
        match memchr::memrchr(b'\n', text) {
            Some(end) => return Ok(crc32fast::hash(&text[end + 1..])),
            None if length == offset => return Ok(crc32fast::hash(text)),
            // The line is longer.
            None => length = offset.min(2 * length),
        }
    }
}

async fn read_some(
    input: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<usize> {
    buffer.reserve(CHUNK);
    input.read_buf(buffer).await
}
