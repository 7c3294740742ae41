//! A server that speaks raw bytes: what no well-behaved server would answer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// What the server does with one request, once it is read.
#[derive(Debug, Clone)]
pub enum Act {
    /// Writes these bytes and reads the next request on the connection.
    Write(Vec<u8>),
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
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
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
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let (seen, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                serving.spawn(serve(stream, acts.clone(), Arc::clone(&seen)));
            }
        });
        Self {
            address,
            requests,
            connections,
            task,
        }
    }

    /// `http://address/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Every request as it stood on the wire.
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        *self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, acts: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(request);
            seen.len() - 1
        };
        let act = acts
            .get(number)
            .or(acts.last())
            .cloned()
            .unwrap_or(Act::Silent);
        let written = match act {
            Act::Write(bytes) => stream.write_all(&bytes).await,
            Act::WriteClose(bytes) => {
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
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

/// Head and body; the body by `content-length`.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse()
                    .ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
