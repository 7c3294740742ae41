//! How much DATA the client still takes: pure.

use std::collections::HashMap;

use bytes::BytesMut;

use super::{DATA, next};

const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// What the client still takes (RFC 9113, section 5.2).
pub(super) struct Windows {
    connection: i64,
    initial: i64,
    /// What each stream's window differs from the initial one.
    streams: HashMap<u32, i64>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            connection: 65_535,
            initial: 65_535,
            streams: HashMap::new(),
        }
    }
}

impl Windows {
    /// Takes the client's SETTINGS.
    pub(super) fn set(&mut self, settings: &[u8]) {
        for pair in settings.chunks_exact(6) {
            if let [a, b, value @ ..] = pair
                && [*a, *b] == INITIAL_WINDOW_SIZE
            {
                self.initial = number(value);
            }
        }
    }

    /// Takes a WINDOW_UPDATE.
    pub(super) fn widen(&mut self, stream: u32, payload: &[u8]) {
        match stream {
            0 => self.connection += number(payload),
            id => *self.streams.entry(id).or_default() += number(payload),
        }
    }

    /// Whether there is room for the DATA in these frames; takes it.
    pub(super) fn admit(&mut self, stream: u32, frames: &[u8]) -> bool {
        let mut size = 0;
        let mut rest = BytesMut::from(frames);
        while let Some(frame) = next(&mut rest) {
            if frame.kind == DATA {
                size += i64::try_from(frame.payload.len()).expect("a frame is short");
            }
        }
        let own = self.streams.entry(stream).or_default();
        let fits = size <= self.connection && size <= self.initial + *own;
        if fits {
            self.connection -= size;
            *own -= size;
        }
        fits || size == 0
    }
}

fn number(bytes: &[u8]) -> i64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)))
}
