//! HTTP/2 frames (RFC 9113, section 4.1), valid or not.

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The connection: stream 0.
    Connection,
    /// The stream of the request that is answered.
    Request,
    /// Another stream, open or not.
    Stream(u32),
}

/// One frame.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Any frame.
    Any {
        /// Its type.
        kind: u8,
        /// Its flags.
        flags: u8,
        /// Its stream.
        place: Place,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// GOAWAY.
    GoAway {
        /// The last stream that was or might be processed.
        last: Place,
        /// The error code.
        code: u32,
    },
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
/// Of HEADERS and DATA.
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;

impl Frame {
    /// HEADERS with a status and these headers. More frames of the stream follow.
    pub fn head(status: u16, headers: &[(&str, &str)]) -> Self {
        // HPACK, literal fields without indexing (RFC 7541, section 6.2.2): `:status` is the eighth name of
        // the static table.
        let mut payload = vec![8];
        payload.extend(text(&status.to_string()));
        for (name, value) in headers {
            payload.push(0);
            payload.extend(text(name));
            payload.extend(text(value));
        }
        Self::on_request(HEADERS, END_HEADERS, payload)
    }

    /// DATA. More follows.
    pub fn data(bytes: &[u8]) -> Self {
        Self::on_request(DATA, 0, bytes.to_vec())
    }

    /// This frame as the last one of its stream.
    ///
    /// # Panics
    /// Unless it is HEADERS or DATA.
    pub fn last(self) -> Self {
        match self {
            Self::Any {
                kind: kind @ (HEADERS | DATA),
                flags,
                place,
                payload,
            } => Self::Any {
                kind,
                flags: flags | END_STREAM,
                place,
                payload,
            },
            other => panic!("{other:?} cannot end a stream"),
        }
    }

    /// RST_STREAM with this code.
    pub fn reset(code: u32) -> Self {
        Self::on_request(RST_STREAM, 0, code.to_be_bytes().to_vec())
    }

    /// SETTINGS with these pairs of identifier and value.
    pub fn settings(pairs: &[(u16, u32)]) -> Self {
        let pair =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Self::on_connection(SETTINGS, pairs.iter().flat_map(pair).collect())
    }

    /// PING.
    pub fn ping() -> Self {
        Self::on_connection(PING, vec![7; 8])
    }

    fn on_request(kind: u8, flags: u8, payload: Vec<u8>) -> Self {
        Self::Any {
            kind,
            flags,
            place: Place::Request,
            payload,
        }
    }

    fn on_connection(kind: u8, payload: Vec<u8>) -> Self {
        Self::Any {
            kind,
            flags: 0,
            place: Place::Connection,
            payload,
        }
    }

    /// The bytes of it, where the answered request came on stream `request`.
    pub(super) fn encode(&self, request: u32) -> Vec<u8> {
        let id = |place: &Place| match place {
            Place::Connection => 0,
            Place::Request => request,
            Place::Stream(id) => *id,
        };
        match self {
            Self::Any {
                kind,
                flags,
                place,
                payload,
            } => encode(*kind, *flags, id(place), payload),
            Self::GoAway { last, code } => {
                // No text of the host may have the debug data.
                let fields = [
                    &id(last).to_be_bytes()[..],
                    &code.to_be_bytes(),
                    b"canary\x1b[2J",
                ];
                encode(GOAWAY, 0, 0, &fields.concat())
            }
        }
    }
}

pub(super) fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let head = [&[a, b, c, kind, flags], &stream.to_be_bytes()[..]].concat();
    [&head, payload].concat()
}

/// A string without Huffman coding (RFC 7541, section 5.2), of less than 127 + 128 bytes.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = match u8::try_from(text.len()).expect("a short text") {
        length @ ..127 => vec![length],
        length @ 127.. => vec![127, length - 127],
    };
    bytes.extend(text.as_bytes());
    bytes
}
