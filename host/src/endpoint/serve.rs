//! The server: reads a request, rolls the dice, counts, answers.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    Counts, EndpointOptions, Roll,
    count::Counter,
    records::{self, Carried},
};

/// The largest request body that is read.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A running endpoint; it stops when dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    options: EndpointOptions,
    state: Mutex<State>,
    /// Told after each answer.
    answered: Notify,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    counter: Counter,
}

impl Endpoint {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn bind(address: &str, options: EndpointOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let rng = Rng::with_seed(options.seed);
        let state = Mutex::new(State {
            rng,
            counter: Counter::default(),
        });
        let shared = Arc::new(Shared {
            options,
            state,
            answered: Notify::new(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has accepted so many different records.
    pub async fn accepted(&self, unique: u64) {
        loop {
            let answered = self.shared.answered.notified();
            if self.counts().unique >= unique {
                return;
            }
            answered.await;
        }
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counter.counts()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns every connection: they end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // No file descriptor left, say: others may end meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Set when the dice say so: the connection is dropped, and with lingering off that is a reset.
    let reset = CancellationToken::new();
    let token = reset.clone();
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), token.clone()));
    drop(stream.set_nodelay(true));
    drop(stream.set_zero_linger());
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = reset.cancelled() => {}
        // A client that goes away is nothing to report.
        _ = connection => {}
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    reset: CancellationToken,
) -> Result<Answer, Infallible> {
    if request.method() == Method::GET && request.uri().path() == "/stats" {
        let counts = serde_json::to_vec(&shared.lock().counter.counts()).unwrap_or_default();
        return Ok(respond(StatusCode::OK, counts));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(respond(StatusCode::PAYLOAD_TOO_LARGE, Vec::new()));
    };
    let body = body.to_bytes();
    let options = &shared.options;
    let (roll, latency) = options.roll(&mut shared.lock().rng);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let key = head
        .headers
        .get("x-api-key")
        .and_then(|key| key.to_str().ok());
    if options.api_key.is_some() && key != options.api_key.as_deref() {
        shared.lock().counter.answered(401);
        return Ok(respond(
            StatusCode::UNAUTHORIZED,
            json_text("error", "the x-api-key header is missing or wrong"),
        ));
    }
    let status = match roll {
        Roll::Reset => {
            shared.lock().counter.reset();
            reset.cancel();
            return std::future::pending().await;
        }
        Roll::Status(status) => status,
    };
    let bulk = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"));
    let carried = records::read(&body, bulk, &options.id_field);
    let mut state = shared.lock();
    state.counter.answered(status);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Every 2xx says to the caller that its records were taken: all of them count.
    if !status.is_success() {
        drop(state);
        let mut response = respond(status, json_text("error", "the dice said so"));
        if let (429 | 503, Some(seconds)) = (status.as_u16(), options.retry_after) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        return Ok(response);
    }
    let body = match carried {
        Carried::Whole(ids) => {
            let count = ids.len();
            state.counter.accept(ids);
            json!({ "accepted": count })
        }
        Carried::Items(ids) => {
            let statuses: Vec<u16> = ids
                .iter()
                .map(|_| options.roll_item(&mut state.rng))
                .collect();
            let accepted = ids
                .into_iter()
                .zip(&statuses)
                .filter(|(_, status)| **status == 200)
                .map(|(id, _)| id);
            let accepted: Vec<u64> = accepted.collect();
            state.counter.accept(accepted);
            let item = |status: &u16| match status {
                400 => json!({ "status": 400, "error": "the dice said so" }),
                status => json!({ "status": status }),
            };
            json!({ "items": statuses.iter().map(item).collect::<Vec<_>>() })
        }
    };
    drop(state);
    shared.answered.notify_waiters();
    Ok(respond(status, body.to_string().into_bytes()))
}

fn json_text(key: &str, text: &str) -> Vec<u8> {
    json!({ key: text }).to_string().into_bytes()
}

fn respond(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Makes one call with the record `1`; gives the first line of the answer.
    async fn call(endpoint: &Endpoint) -> String {
        let mut stream = TcpStream::connect(endpoint.address())
            .await
            .expect("it listens");
        let request = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 8\r\n\r\n{\"id\":1}";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_record_is_accepted_with_every_2xx_and_with_no_other_status() {
        for (status, accepted) in [(200, 1), (201, 1), (204, 1), (302, 0), (400, 0), (503, 0)] {
            let options = EndpointOptions {
                statuses: vec![(status, 100.0)],
                ..EndpointOptions::default()
            };
            let endpoint = Endpoint::bind("127.0.0.1:0", options)
                .await
                .expect("a free port");

            let line = call(&endpoint).await;

            assert!(line.contains(&status.to_string()), "{line}");
            assert_eq!(endpoint.counts().accepted, accepted, "{status}");
        }
    }
}
