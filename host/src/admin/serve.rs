//! The server: a few connections at a time, one request each, and none of them for long. Where there are too many, those go
//! first that have been silent the longest: whoever reaches the port must not keep a probe of the host's life out.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Board,
    access::Access,
    answer::answer,
    audit::Peer,
    listen::{Accepted, Listener, SocketFile},
    settings::AdminSettings,
    tls::TlsError,
};
use crate::auth::Secret;

/// Connections at a time; for more, those go that say nothing, and else they wait.
const CONNECTIONS: usize = 32;
/// From the connection to the end of its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// What a new version of a plugin may take beyond that, as it is compiled, or a recording, which waits for what comes.
const SWAP_LIMIT: Duration = Duration::from_secs(1800);
/// The head of a request: hyper's least.
const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// Why the admin address cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// It cannot be listened on.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The admin address of a host that runs; it is closed when dropped.
#[derive(Debug)]
pub struct Admin {
    port: Option<u16>,
    access: Arc<Access>,
    task: JoinHandle<()>,
    /// Here and not with the task, which may end behind the process.
    _file: Option<SocketFile>,
}

/// What every connection works with.
#[derive(Debug)]
struct Shared {
    listener: Listener,
    board: Arc<Board>,
    access: Arc<Access>,
}

impl Admin {
    /// Listens, and answers with what `board` shows.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn bind(settings: &AdminSettings, board: Arc<Board>) -> Result<Self, BindError> {
        let (listener, file) = Listener::bind(settings).await?;
        let port = listener.port();
        let access = Arc::new(Access::new(settings.clone()));
        let shared = Shared {
            listener,
            board,
            access: Arc::clone(&access),
        };
        let task = tokio::spawn(accept(Arc::new(shared)));
        Ok(Self {
            port,
            access,
            task,
            _file: file,
        })
    }

    /// The port that it has; none on a Unix socket.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// From now on changes are done for those who show this token. Until then, none are.
    pub fn guard(&self, token: Secret) {
        self.access.guard(token);
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a connection has a request, or is to go for another one that may.
#[derive(Debug, Default)]
struct Silence {
    is_over: AtomicBool,
    goes: CancellationToken,
}

impl Silence {
    /// Ends when the connection is to go, unless its request has come meanwhile: what was begun is answered.
    async fn ends(&self) {
        self.goes.cancelled().await;
        if self.is_over.load(Relaxed) {
            std::future::pending().await
        }
    }
}

/// Owns every connection: they end with it.
async fn accept(shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    // The oldest first.
    let mut silent: VecDeque<Arc<Silence>> = VecDeque::new();
    loop {
        match shared.listener.accept().await {
            Ok((stream, peer)) => {
                silent.retain(|silence| !silence.is_over.load(Relaxed));
                if slots.available_permits() == 0
                    && let Some(oldest) = silent.pop_front()
                {
                    oldest.goes.cancel();
                }
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                let silence = Arc::<Silence>::default();
                silent.push_back(Arc::clone(&silence));
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    tokio::select! {
                        () = serve(stream, peer, &shared, &silence.is_over) => {}
                        () = silence.ends() => {}
                    }
                    silence.is_over.store(true, Relaxed);
                    drop(slot);
                });
            }
            // No file descriptor left, say: others may end meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection; `spoke` is set when its request has come.
async fn serve(stream: Accepted, peer: Peer, shared: &Shared, spoke: &AtomicBool) {
    let patience = AtomicBool::new(false);
    let then: Mutex<Option<CancellationToken>> = Mutex::default();
    let service = service_fn(async |request: Request<Incoming>| {
        spoke.store(true, Relaxed);
        let (board, access) = (&shared.board, &shared.access);
        let answered = answer(request, board, access, &peer, &patience).await;
        *then.lock().unwrap_or_else(PoisonError::into_inner) = answered.then;
        Ok::<_, Infallible>(answered.response)
    });
    let connection = async {
        let stream = shared.listener.open(stream).await.ok()?;
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(LIMIT)
            .keep_alive(false)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .await
            .ok()
    };
    let limit = async {
        tokio::time::sleep(LIMIT).await;
        if patience.load(Relaxed) {
            tokio::time::sleep(SWAP_LIMIT).await;
        }
    };
    // A client that goes away, or takes too long, is nothing to report.
    tokio::select! {
        _ = connection => {}
        () = limit => {}
    }
    // The host may end at once: then the answer is sent already.
    if let Some(token) = then.into_inner().unwrap_or_else(PoisonError::into_inner) {
        token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::admin::settings::Listen;

    async fn admin() -> (Admin, SocketAddr) {
        admin_with(None).await
    }

    async fn admin_with(token: Option<Secret>) -> (Admin, SocketAddr) {
        let settings = AdminSettings {
            listen: Listen::Tcp((Ipv4Addr::LOCALHOST, 0).into()),
            token,
            ..AdminSettings::default()
        };
        let board = Arc::new(Board::default());
        let admin = Admin::bind(&settings, board).await.expect("a free port");
        let port = admin.port().expect("it has one");
        (admin, (Ipv4Addr::LOCALHOST, port).into())
    }

    async fn ask(address: SocketAddr, line: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("open");
        let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    #[tokio::test]
    async fn a_host_that_starts_is_live_and_not_ready_and_takes_no_changes() {
        let (_admin, address) = admin().await;

        let (live, ready, metrics) = tokio::join!(
            ask(address, "GET /live"),
            ask(address, "GET /ready"),
            ask(address, "GET /metrics")
        );
        let (sinks, pause) = tokio::join!(
            ask(address, "GET /v1/sinks"),
            ask(address, "POST /v1/sinks/t/sink/pause")
        );

        assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ready.contains("starting: plugins are loaded"), "{ready}");
        assert!(metrics.contains("\nnozzle_ready 0\n"), "{metrics}");
        for answer in [sinks, pause] {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(answer.contains("urn:nozzle:problem:starting"), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_or_a_body_that_does_not_come_is_waited_for_no_longer_than_an_answer() {
        let (_admin, address) = admin_with(Some(Secret::fixed("token"))).await;
        let slow = [
            "POST /v1/drain HTTP/1.1\r\nhost: localhost\r\nauthorization: ",
            "POST /v1/drain HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer token\r\ncontent-length: 9\r\n\r\n12345678",
        ];
        for text in slow {
            let started = tokio::time::Instant::now();
            let mut stream = TcpStream::connect(address).await.expect("open");
            stream.write_all(text.as_bytes()).await.expect("sent");

            let mut answer = String::new();
            // Reset or closed: either way it is over.
            let _ended = stream.read_to_string(&mut answer).await;

            assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
            assert!(started.elapsed() <= LIMIT + Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_say_nothing_are_closed_and_keep_nobody_out() {
        let (_admin, address) = admin().await;
        let mut silent = Vec::new();
        for _ in 0..2 * CONNECTIONS {
            let stream = TcpStream::connect(address).await;
            silent.push(stream.expect("a place in the backlog"));
        }

        let answer = ask(address, "GET /live").await;
        let mut read = Vec::new();
        for stream in &mut silent {
            let mut rest = Vec::new();
            // Reset or closed: either way it is over.
            read.push(stream.read_to_end(&mut rest).await.unwrap_or(0));
        }

        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(read.len(), silent.len());
    }

    #[tokio::test]
    async fn the_oldest_of_those_who_say_nothing_goes_for_one_who_speaks() {
        let (_admin, address) = admin().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await;
            silent.push(stream.expect("a place in the backlog"));
        }

        let answer = ask(address, "GET /live").await;
        let mut rest = Vec::new();
        let oldest = silent[0].read_to_end(&mut rest).await;
        let newest = silent[CONNECTIONS - 1].try_read(&mut [0]);

        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(matches!(oldest, Ok(0) | Err(_)), "it is closed");
        let is_open = newest.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        assert!(is_open, "nobody waited until all of them were closed");
    }
}
