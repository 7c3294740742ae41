//! HTTP/2, frame by frame: each request is answered by a task of its own, one loop reads and writes.
//!
//! Heads are not decoded. DATA keeps to the client's windows, so that a flood of it is only endless, not invalid.

mod windows;

use std::{collections::HashMap, io, sync::atomic::Ordering};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::server::TlsStream;

use super::{
    Frame, Greeting, Shared, Step, WireRequest,
    frame::{ACK, DATA, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, encode},
};
use windows::Windows;

const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;

/// What a task wants done.
enum Out {
    /// Written as soon as the windows have room for its DATA.
    Frame { stream: u32, bytes: Vec<u8> },
    /// Everything is taken, nothing is said.
    Vanish,
    /// FIN after TLS's farewell.
    Finish,
    /// FIN alone.
    Cut,
    /// RST.
    Reset,
}

/// Serves a connection until a step or the client ends it.
pub(super) async fn serve(
    mut stream: TlsStream<TcpStream>,
    connection: u64,
    shared: &Shared,
    greeting: Greeting,
) {
    let keeps_window = matches!(greeting, Greeting::KeepWindow);
    let mut steps = match greeting {
        Greeting::Frames(steps) => steps,
        _ => vec![Step::Frames(vec![Frame::settings(&[])])],
    };
    // SETTINGS come before anything else.
    if let Some(Step::Frames(frames)) = steps.first() {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.encode(0)).collect();
        steps.remove(0);
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let (outbox, mut inbox) = mpsc::channel(1);
    let mut streams = Streams {
        connection,
        bodies: HashMap::new(),
        places: 0,
        windows: Windows::default(),
        keeps_window,
        tasks: JoinSet::new(),
        running: HashMap::new(),
        outbox: outbox.clone(),
    };
    streams.tasks.spawn(run(steps, 0, outbox));
    drop(talk(&mut stream, &mut streams, &mut inbox, shared).await);
}

async fn talk(
    stream: &mut TlsStream<TcpStream>,
    streams: &mut Streams,
    inbox: &mut mpsc::Receiver<Out>,
    shared: &Shared,
) -> io::Result<()> {
    let mut unread = BytesMut::new();
    while unread.len() < PREFACE {
        if stream.read_buf(&mut unread).await? == 0 {
            return Ok(());
        }
    }
    unread.advance(PREFACE);
    let mut waiting: Option<(u32, Vec<u8>)> = None;
    loop {
        while let Some(frame) = next(&mut unread) {
            let answer = streams.take(&frame, shared);
            stream.write_all(&answer).await?;
            stream.flush().await?;
        }
        if let Some((id, bytes)) = waiting.take() {
            if !streams.is_open(id) {
                continue;
            }
            if !streams.windows.admit(id, &bytes) {
                waiting = Some((id, bytes));
            } else {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                shared
                    .written
                    .fetch_add(bytes.len() as u64, Ordering::SeqCst);
            }
        }
        tokio::select! {
            read = stream.read_buf(&mut unread) => if read? == 0 {
                return Ok(());
            },
            Some(out) = inbox.recv(), if waiting.is_none() => match out {
                Out::Frame { stream, bytes } => waiting = Some((stream, bytes)),
                Out::Vanish => return drain(stream.get_mut().0).await,
                Out::Finish => {
                    stream.shutdown().await?;
                    return drain(stream.get_mut().0).await;
                }
                Out::Cut => {
                    stream.get_mut().0.shutdown().await?;
                    return drain(stream.get_mut().0).await;
                }
                Out::Reset => return stream.get_ref().0.set_zero_linger(),
            },
        }
    }
}

/// Reads what still comes, so that the client's reading is not disturbed by an RST.
async fn drain(tcp: &mut TcpStream) -> io::Result<()> {
    tokio::io::copy(tcp, &mut tokio::io::sink()).await?;
    Ok(())
}

struct Received {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Bytes,
}

/// The next frame, once it is whole.
fn next(unread: &mut BytesMut) -> Option<Received> {
    let [a, b, c, kind, flags, s, t, u, v] = *unread.first_chunk::<FRAME_HEAD>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if unread.len() < FRAME_HEAD + length {
        return None;
    }
    unread.advance(FRAME_HEAD);
    Some(Received {
        kind,
        flags,
        stream: u32::from_be_bytes([s, t, u, v]),
        payload: unread.split_to(length).freeze(),
    })
}

/// The requests of a connection.
struct Streams {
    connection: u64,
    /// Of requests that are not whole yet.
    bodies: HashMap<u32, BytesMut>,
    /// Requests that were read.
    places: u64,
    windows: Windows,
    /// [`Greeting::KeepWindow`].
    keeps_window: bool,
    tasks: JoinSet<()>,
    running: HashMap<u32, AbortHandle>,
    outbox: mpsc::Sender<Out>,
}

impl Streams {
    /// Takes a frame; what is to be written at once.
    fn take(&mut self, frame: &Received, shared: &Shared) -> Vec<u8> {
        let id = frame.stream;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                self.windows.set(&frame.payload);
                return encode(SETTINGS, ACK, 0, &[]);
            }
            PING if frame.flags & ACK == 0 => return encode(PING, ACK, 0, &frame.payload),
            WINDOW_UPDATE => self.windows.widen(id, &frame.payload),
            RST_STREAM => {
                self.bodies.remove(&id);
                if let Some(task) = self.running.remove(&id) {
                    task.abort();
                }
            }
            HEADERS | DATA => {
                let body = self.bodies.entry(id).or_default();
                let is_last = frame.flags & END_STREAM != 0;
                let mut room = Vec::new();
                if frame.kind == DATA && !frame.payload.is_empty() {
                    body.extend_from_slice(&frame.payload);
                    let taken = u32::try_from(frame.payload.len()).expect("a frame is short");
                    // The connection's window is for all streams, those that have ended among them.
                    if !self.keeps_window {
                        room.extend(encode(WINDOW_UPDATE, 0, 0, &taken.to_be_bytes()));
                    }
                    if !is_last {
                        room.extend(encode(WINDOW_UPDATE, 0, id, &taken.to_be_bytes()));
                    }
                }
                if is_last {
                    let body = self.bodies.remove(&id).unwrap_or_default().freeze();
                    self.answer(id, body, shared);
                }
                return room;
            }
            _ => {}
        }
        Vec::new()
    }

    fn answer(&mut self, id: u32, body: Bytes, shared: &Shared) {
        let request = WireRequest {
            method: String::new(),
            target: String::new(),
            headers: Vec::new(),
            body,
            connection: self.connection,
            place: self.places,
            raw: Bytes::new(),
        };
        self.places += 1;
        shared.record(&request);
        let steps = shared.script.reply(&request);
        let task = self.tasks.spawn(run(steps, id, self.outbox.clone()));
        self.running.insert(id, task);
    }

    fn is_open(&self, id: u32) -> bool {
        id == 0 || self.running.contains_key(&id)
    }
}

/// Ends early when the connection is over.
async fn run(steps: Vec<Step>, stream: u32, outbox: mpsc::Sender<Out>) {
    for step in steps {
        let (frames, times) = match step {
            Step::Frames(frames) => (frames, 1),
            Step::FloodFrames { frames, times } => (frames, times),
            Step::Answer {
                status,
                headers,
                body,
            } => (whole(status, &headers, &body), 1),
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                continue;
            }
            Step::WaitFor(signal) => {
                signal.notified().await;
                continue;
            }
            Step::Hang => std::future::pending().await,
            ending => {
                let out = match ending {
                    Step::Vanish => Out::Vanish,
                    Step::Close | Step::HalfClose => Out::Finish,
                    Step::Cut => Out::Cut,
                    Step::Reset => Out::Reset,
                    other => unreachable!("{other:?} is for HTTP/1.1 alone"),
                };
                drop(outbox.send(out).await);
                return;
            }
        };
        let encoded: Vec<_> = frames.iter().map(|frame| frame.encode(stream)).collect();
        for _ in 0..times {
            for bytes in &encoded {
                let bytes = bytes.clone();
                if outbox.send(Out::Frame { stream, bytes }).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A whole answer; its body in frames of a size that every client takes.
fn whole(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<Frame> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut frames = vec![Frame::head(status, &headers)];
    frames.extend(body.chunks(16_384).map(Frame::data));
    let last = frames.pop().map(Frame::last);
    frames.extend(last);
    frames
}
