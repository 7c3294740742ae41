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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn admin() -> Admin {
        let settings = AdminSettings {
            address: ([127, 0, 0, 1], 0).into(),
            label: String::new(),
        };
        let board = Arc::new(Board::default());
        Admin::bind(&settings, board).await.expect("a free port")
    }

    async fn ask(admin: &Admin, path: &str) -> String {
        let mut stream = TcpStream::connect(admin.address()).await.expect("open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    #[tokio::test]
    async fn a_host_that_starts_is_live_and_not_ready() {
        let admin = admin().await;

        let (live, ready, metrics) = tokio::join!(
            ask(&admin, "/live"),
            ask(&admin, "/ready"),
            ask(&admin, "/metrics")
        );

        assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ready.contains("starting: plugins are loaded"), "{ready}");
        assert!(metrics.contains("\nnozzle_ready 0\n"), "{metrics}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_say_nothing_are_closed_and_keep_nobody_out() {
        let admin = admin().await;
        let mut silent = Vec::new();
        for _ in 0..2 * CONNECTIONS {
            let stream = TcpStream::connect(admin.address()).await;
            silent.push(stream.expect("a place in the backlog"));
        }

        let answer = ask(&admin, "/live").await;
        let mut read = Vec::new();
        for stream in &mut silent {
            let mut rest = Vec::new();
            // Reset or closed: either way it is over.
            read.push(stream.read_to_end(&mut rest).await.unwrap_or(0));
        }

        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(read.len(), silent.len());
    }
}
