//! HTTP/1.1: requests are read strictly enough for what the host sends, answers are whatever the steps say.

use std::{
    io,
    ops::ControlFlow::{self, Break, Continue},
    sync::atomic::Ordering,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use super::{Shared, Step, WireRequest, socket::Socket};

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Serves a connection until a step or the client ends it.
pub(super) async fn serve(socket: &mut Socket, connection: u64, shared: &Shared) {
    let mut unread = BytesMut::new();
    for place in 0.. {
        let Some(length) = head(socket, &mut unread).await else {
            return;
        };
        let head = parse(unread.get(..length).unwrap_or_default(), connection, place);
        let early = shared.script.early(&head);
        let answered = early.is_some();
        if run(socket, early.unwrap_or_default(), shared)
            .await
            .is_break()
        {
            return;
        }
        let whole = length + body_length(&head);
        if !fill(socket, &mut unread, whole).await {
            return;
        }
        if answered {
            unread.advance(whole);
            continue;
        }
        let raw = unread.split_to(whole).freeze();
        let request = WireRequest {
            body: raw.slice(length..),
            raw,
            ..head
        };
        shared.record(&request);
        let steps = shared.script.reply(&request);
        if run(socket, steps, shared).await.is_break() {
            return;
        }
    }
}

/// Reads until a head is whole; its length with the empty line.
async fn head(socket: &mut Socket, unread: &mut BytesMut) -> Option<usize> {
    loop {
        let mut windows = unread.windows(END_OF_HEAD.len());
        if let Some(end) = windows.position(|window| window == END_OF_HEAD) {
            return Some(end + END_OF_HEAD.len());
        }
        if socket.read(unread).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads until there are so many bytes.
async fn fill(socket: &mut Socket, unread: &mut BytesMut, length: usize) -> bool {
    while unread.len() < length {
        if !matches!(socket.read(unread).await, Ok(1..)) {
            return false;
        }
    }
    true
}

fn parse(head: &[u8], connection: u64, place: u64) -> WireRequest {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    WireRequest {
        method: word(),
        target: word(),
        headers: lines.filter_map(header).collect(),
        body: Bytes::new(),
        connection,
        place,
        raw: Bytes::new(),
    }
}

/// The host always says it by `content-length`.
fn body_length(head: &WireRequest) -> usize {
    head.headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

/// Whether the connection is over.
async fn run(socket: &mut Socket, steps: Vec<Step>, shared: &Shared) -> ControlFlow<()> {
    for step in steps {
        match take(socket, step, shared).await {
            Ok(Continue(())) => {}
            Ok(Break(())) | Err(_) => return Break(()),
        }
    }
    Continue(())
}

async fn take(socket: &mut Socket, step: Step, shared: &Shared) -> io::Result<ControlFlow<()>> {
    let written = |bytes: &[u8]| {
        shared
            .written
            .fetch_add(bytes.len() as u64, Ordering::SeqCst);
    };
    match step {
        Step::Answer {
            status,
            headers,
            body,
        } => {
            let message = message(status, &headers, &body);
            socket.write(&message).await?;
            written(&message);
        }
        Step::Write(bytes) => {
            socket.write(&bytes).await?;
            written(&bytes);
        }
        Step::Drip { bytes, every } => {
            for byte in bytes {
                socket.write(&[byte]).await?;
                written(&[byte]);
                tokio::time::sleep(every).await;
            }
        }
        Step::Flood { bytes, times } => {
            for _ in 0..times {
                socket.write(&bytes).await?;
                written(&bytes);
            }
        }
        Step::Frames(_) | Step::FloodFrames { .. } => {
            unreachable!("frames are for HTTP/2 alone")
        }
        Step::Wait(time) => tokio::time::sleep(time).await,
        Step::WaitFor(signal) => signal.notified().await,
        Step::Hang => std::future::pending().await,
        Step::Vanish => {
            tokio::io::copy(socket.tcp(), &mut tokio::io::sink()).await?;
            return Ok(Break(()));
        }
        Step::Close => {
            socket.finish().await?;
            tokio::io::copy(socket.tcp(), &mut tokio::io::sink()).await?;
            return Ok(Break(()));
        }
        Step::HalfClose => {
            socket.finish().await?;
            std::future::pending().await
        }
        Step::Cut => {
            socket.tcp().shutdown().await?;
            tokio::io::copy(socket.tcp(), &mut tokio::io::sink()).await?;
            return Ok(Break(()));
        }
        Step::Reset => {
            socket.tcp().set_zero_linger()?;
            return Ok(Break(()));
        }
    }
    Ok(Continue(()))
}

fn message(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let fields: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("content-length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} Told\r\n{fields}{length}\r\n");
    [head.as_bytes(), body].concat()
}
