//! The server: a few connections at a time, one request each, and none of them for long.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

use super::{Board, answer::answer, settings::AdminSettings};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 32;
/// From the connection to the end of its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The head of a request: hyper's least.
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// The admin address of a host that runs; it is closed when dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Admin {
    /// Listens, and answers with what `board` shows.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn bind(settings: &AdminSettings, board: Arc<Board>) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, board));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Owns every connection: they end with it.
async fn accept(listener: TcpListener, board: Arc<Board>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let board = Arc::clone(&board);
                connections.spawn(async move {
                    serve(stream, &board).await;
                    drop(slot);
                });
            }
            // No file descriptor left, say: others may end meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, board: &Board) {
    let service = service_fn(async |request: Request<Incoming>| {
        // The body, if there is one, is never read: the connection is closed behind the answer.
        let (head, _) = request.into_parts();
        Ok::<_, Infallible>(answer(&head, board))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIMIT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away, or takes too long, is nothing to report.
    drop(tokio::time::timeout(LIMIT, connection).await);
}
