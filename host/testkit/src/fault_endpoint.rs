//! An HTTP endpoint that misbehaves as it is told, byte by byte: every fault of the catalogue goes through it.
//!
//! A [`Script`] says what becomes of each connection and each request; [`FAULTS`] names what a server can do
//! wrong, and what a sender may conclude from it.

mod catalogue;
mod frame;
mod http1;
mod http2;
mod socket;
mod step;
mod tls;

pub use catalogue::{At, FAULTS, Fault, Faulty, Meaning};
pub use frame::{Frame, Place};
pub use step::{Replies, Step, answer, cut, ok, write};
pub use tls::Certificate;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use socket::Socket;
use tls::Identities;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct WireRequest {
    /// Such as `POST`; empty over HTTP/2, whose heads are not decoded.
    pub method: String,
    /// Such as `/path`; empty over HTTP/2.
    pub target: String,
    /// In their order, names as written; none over HTTP/2.
    pub headers: Vec<(String, String)>,
    /// Empty in [`Script::early`].
    pub body: Bytes,
    /// Which connection it came on, from 0.
    pub connection: u64,
    /// How many requests came before it on this connection.
    pub place: u64,
    /// Head and body as they stood on the wire, byte for byte; empty over HTTP/2.
    pub raw: Bytes,
}

/// What becomes of a connection before a request is read.
#[derive(Debug, Clone)]
pub enum Greeting {
    /// Requests are read and answered.
    Serve,
    /// RST at once.
    Reset,
    /// FIN at once.
    Close,
    /// Nothing is ever read or written.
    Hang,
    /// HTTP/2: taken in place of the usual SETTINGS, before the first answer.
    Frames(Vec<Step>),
    /// HTTP/2: the connection's window is never given back, only the streams' own: after 65,535 bytes of bodies no more
    /// are taken, and everything else goes on.
    KeepWindow,
    /// TLS with this certificate instead of the right one.
    BadCertificate(Certificate),
    /// Instead of a TLS handshake, a whole 200 in the clear.
    PlainText,
    /// The client's hello is read, and not answered.
    StallHandshake,
    /// The client's hello is read, and half of an answer written before FIN.
    CutHandshake,
    /// The client's hello is answered with bytes that are no TLS.
    GarbageHandshake,
    /// TLS that asks for a client's certificate, and refuses without.
    WantClientCertificate,
    /// TLS without ALPN.
    NoAlpn,
}

/// What an endpoint does.
pub trait Script: Send + Sync + 'static {
    /// What becomes of a connection, counted from 0.
    fn greet(&self, connection: u64) -> Greeting {
        let _ = connection;
        Greeting::Serve
    }

    /// What is done in answer to a request.
    fn reply(&self, request: &WireRequest) -> Vec<Step>;

    /// Whether requests are kept, so that [`FaultEndpoint::requests`] can give them.
    fn keeps_requests(&self) -> bool {
        true
    }

    /// An answer to a request whose head has come, and whose body has not been read. After it, the body is
    /// read and dropped, unless a step ended the connection. Not over HTTP/2.
    fn early(&self, head: &WireRequest) -> Option<Vec<Step>> {
        let _ = head;
        None
    }
}

impl<F: Fn(&WireRequest) -> Vec<Step> + Send + Sync + 'static> Script for F {
    fn reply(&self, request: &WireRequest) -> Vec<Step> {
        self(request)
    }
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 over TLS, by ALPN; HTTP/1.1 where the client does not offer `h2`.
    Http2,
}

/// A running endpoint; it stops when dropped, with all its connections.
#[derive(Debug)]
pub struct FaultEndpoint {
    address: SocketAddr,
    // The PEM file stands in the folder.
    ca: Option<(tempfile::TempDir, PathBuf)>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    script: Box<dyn Script>,
    requests: watch::Sender<Vec<WireRequest>>,
    connections: watch::Sender<u64>,
    closed: watch::Sender<u64>,
    written: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn record(&self, request: &WireRequest) {
        if self.script.keeps_requests() {
            self.requests
                .send_modify(|requests| requests.push(request.clone()));
        }
    }
}

impl FaultEndpoint {
    /// Listens on a free port of loopback, with certificates of its own for `localhost`.
    ///
    /// # Panics
    /// When there is no free port, or no folder for temporary files.
    pub async fn start(wire: Wire, script: impl Script) -> Self {
        let listener = listen().expect("a free port");
        let address = listener.local_addr().expect("an address");
        let identities = (wire != Wire::Http).then(|| Arc::new(Identities::new(wire)));
        let ca = identities.as_ref().map(|identities| {
            let folder = tempfile::tempdir().expect("a folder");
            let pem = folder.path().join("ca.pem");
            std::fs::write(&pem, identities.root_pem()).expect("written");
            (folder, pem)
        });
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: watch::Sender::new(Vec::new()),
            connections: watch::Sender::new(0),
            closed: watch::Sender::new(0),
            written: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let number = *serving.connections.borrow();
                serving.connections.send_modify(|count| *count += 1);
                let (shared, identities) = (Arc::clone(&serving), identities.clone());
                connections.spawn(async move {
                    connection(stream, number, &shared, identities.as_deref()).await;
                    shared.closed.send_modify(|count| *count += 1);
                });
            }
        });
        Self {
            address,
            ca,
            shared,
            task,
        }
    }

    /// `http://127.0.0.1:port/` or `https://localhost:port/`.
    pub fn url(&self) -> String {
        match self.ca {
            None => format!("http://{}/", self.address),
            Some(_) => format!("https://localhost:{}/", self.address.port()),
        }
    }

    /// The PEM file of the root that signed its certificate, for `endpoint.ca-file`. None over `Wire::Http`.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca.as_ref().map(|(_, pem)| pem.as_path())
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        *self.shared.connections.borrow()
    }

    /// Bytes that the kernel has taken so far, below TLS; floods over HTTP/1.1 and HTTP/2 count.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// Every request that was read whole.
    pub fn requests(&self) -> Vec<WireRequest> {
        self.shared.requests.borrow().clone()
    }

    /// Returns once this many requests are read whole.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn received(&self, count: usize) {
        let requests = &self.shared.requests;
        reached("requests", count, requests, Vec::len).await;
    }

    /// Returns once this many connections are accepted.
    ///
    /// # Panics
    /// When that takes longer than the deadline.
    pub async fn connected(&self, count: u64) {
        reached("connections", count, &self.shared.connections, |count| {
            *count
        })
        .await;
    }

    /// Returns once this many connections are over.
    ///
    /// # Panics
    /// When that takes longer than the deadline.
    pub async fn closed(&self, count: u64) {
        reached("ends", count, &self.shared.closed, |count| *count).await;
    }
}

async fn reached<T, N: PartialOrd + std::fmt::Display>(
    what: &str,
    count: N,
    watched: &watch::Sender<T>,
    counted: impl Fn(&T) -> N,
) {
    let mut watched = watched.subscribe();
    let waiting = watched.wait_for(|watched| counted(watched) >= count);
    let came = tokio::time::timeout(crate::DEADLINE, waiting).await;
    assert!(matches!(came, Ok(Ok(_))), "{count} {what} did not come");
}

impl Drop for FaultEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepted connections inherit the buffer: what nobody reads is soon no longer taken.
fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(64 * 1024)?;
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1024)
}

async fn connection(tcp: TcpStream, number: u64, shared: &Shared, tls: Option<&Identities>) {
    drop(tcp.set_nodelay(true));
    let greeting = shared.script.greet(number);
    match greeting {
        Greeting::Reset => {
            drop(tcp.set_zero_linger());
            return;
        }
        Greeting::Close => return,
        Greeting::Hang => std::future::pending().await,
        _ => {}
    }
    let Some(identities) = tls else {
        return http1::serve(&mut Socket::Plain(tcp), number, shared).await;
    };
    let Some(stream) = tls::accept(tcp, identities, &greeting).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(stream, number, shared, greeting).await;
    } else {
        http1::serve(&mut Socket::Tls(Box::new(stream)), number, shared).await;
    }
}
