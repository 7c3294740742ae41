//! A server that speaks raw bytes: what no well-behaved server would answer.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

/// What the server does with one request, once it is read.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes these bytes and reads the next request on the connection.
    Write(Vec<u8>),
    /// Waits for the signal, then does as `Write`.
    WriteWhen(Arc<Notify>, Vec<u8>),
    /// Writes these bytes and closes.
    WriteClose(Vec<u8>),
    /// Writes these bytes and resets the connection.
    WriteReset(Vec<u8>),
    /// Writes the first bytes, then the second ones again and again for as long as they are taken.
    Endless(Vec<u8>, Vec<u8>),
    /// Says nothing, and keeps the connection.
    Silent,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    requests: Arc<watch::Sender<Vec<Vec<u8>>>>,
    connections: Arc<watch::Sender<usize>>,
    closed: Arc<watch::Sender<usize>>,
    task: JoinHandle<()>,
}

impl RawServer {
    /// Answers the n-th request with the n-th act, later ones with the last.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(watch::Sender::new(Vec::new()));
        let connections = Arc::new(watch::Sender::new(0));
        let closed = Arc::new(watch::Sender::new(0));
        let (seen, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        let ended = Arc::clone(&closed);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.send_modify(|count| *count += 1);
                let (seen, ended) = (Arc::clone(&seen), Arc::clone(&ended));
                let acts = acts.clone();
                serving.spawn(async move {
                    serve(stream, acts, seen).await;
                    ended.send_modify(|count| *count += 1);
                });
            }
        });
        Self {
            address,
            requests,
            connections,
            closed,
            task,
        }
    }

    /// `http://address/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Every request as it stood on the wire, byte for byte.
    pub fn raw_requests(&self) -> Vec<Vec<u8>> {
        self.requests.borrow().clone()
    }

    /// Every request, for those that are text.
    pub fn requests(&self) -> Vec<String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        self.requests.borrow().iter().map(text).collect()
    }

    /// Returns once this many requests are read whole.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn received(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let waiting = requests.wait_for(|requests| requests.len() >= count);
        let came = tokio::time::timeout(crate::DEADLINE, waiting).await;
        assert!(matches!(came, Ok(Ok(_))), "{count} requests did not come");
    }

    /// Returns once this many connections are closed by both sides.
    ///
    /// # Panics
    /// When that takes longer than the deadline.
    pub async fn closed(&self, count: usize) {
        let mut closed = self.closed.subscribe();
        let waiting = closed.wait_for(|closed| *closed >= count);
        let came = tokio::time::timeout(crate::DEADLINE, waiting).await;
        assert!(
            matches!(came, Ok(Ok(_))),
            "{count} connections were not closed"
        );
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, acts: Vec<Act>, seen: Arc<watch::Sender<Vec<Vec<u8>>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let mut number = 0;
        seen.send_modify(|seen| {
            number = seen.len();
            seen.push(request);
        });
        let act = acts
            .get(number)
            .or(acts.last())
            .cloned()
            .unwrap_or(Act::Silent);
        let written = match act {
            Act::Write(bytes) => stream.write_all(&bytes).await,
            Act::WriteWhen(signal, bytes) => {
                signal.notified().await;
                stream.write_all(&bytes).await
            }
            Act::WriteClose(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
                // Until the client closes too.
                drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
                return;
            }
            Act::WriteReset(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.set_zero_linger());
                return;
            }
            Act::Endless(first, again) => {
                drop(stream.write_all(&first).await);
                while stream.write_all(&again).await.is_ok() {}
                return;
            }
            Act::Silent => std::future::pending().await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// Head and body; the body by `content-length`. What came beyond it in the same read is kept, for a
/// test to see.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(END.len()).position(|window| window == END);
        if let Some((head, body)) = end.and_then(|end| bytes.split_at_checked(end)) {
            let head = String::from_utf8_lossy(head).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() - END.len() >= length.unwrap_or(0) {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
