//! An endpoint that keeps every body that it accepts, in the order of arrival.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::DEADLINE;

/// What a recorder answers to a body: a status, once it is let.
type Script = Arc<dyn Fn(&str) -> u16 + Send + Sync>;

/// A running endpoint; it stops when dropped.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    accepted: watch::Sender<Vec<String>>,
    /// While it is closed, calls wait for their answer.
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Answers each body with the status that `script` says, and the body itself; those with 2xx are kept.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl Fn(&str) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let accepted = watch::Sender::new(Vec::new());
        let open = watch::Sender::new(true);
        let waiting = watch::Sender::new(0);
        let script: Script = Arc::new(script);
        let (kept, gate, counted) = (accepted.clone(), open.clone(), waiting.clone());
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept, gate, counted) = (
                    Arc::clone(&script),
                    kept.clone(),
                    gate.clone(),
                    counted.clone(),
                );
                serving.spawn(async move {
                    let service = service_fn(move |request| {
                        let (script, kept, gate, counted) = (
                            Arc::clone(&script),
                            kept.clone(),
                            gate.clone(),
                            counted.clone(),
                        );
                        async move {
                            Ok::<_, Infallible>(serve(request, script, kept, gate, counted).await)
                        }
                    });
                    // The client may go at any time.
                    drop(
                        auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        Self {
            address,
            accepted,
            open,
            waiting,
            task,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What was accepted so far.
    pub fn accepted(&self) -> Vec<String> {
        self.accepted.borrow().clone()
    }

    /// Waits until `enough` says so of what was accepted.
    ///
    /// # Panics
    /// When that does not come within the deadline.
    pub async fn until(&self, what: &str, enough: impl Fn(&[String]) -> bool) {
        let mut accepted = self.accepted.subscribe();
        let came = tokio::time::timeout(DEADLINE, accepted.wait_for(|bodies| enough(bodies))).await;
        assert!(
            matches!(came, Ok(Ok(_))),
            "{what}: only {} came",
            self.accepted.borrow().len()
        );
    }

    /// Lets no call be answered from now on.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets calls be answered again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until so many calls wait for their answer.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn held(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        let came =
            tokio::time::timeout(DEADLINE, waiting.wait_for(|waiting| *waiting >= calls)).await;
        assert!(matches!(came, Ok(Ok(_))), "{calls} calls did not come");
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    script: Script,
    kept: watch::Sender<Vec<String>>,
    gate: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
) -> Response<Full<Bytes>> {
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes());
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    waiting.send_modify(|count| *count += 1);
    // The recorder may be dropped meanwhile.
    drop(gate.subscribe().wait_for(|open| *open).await);
    waiting.send_modify(|count| *count -= 1);
    let status = script(&body);
    let mut response = Response::new(Full::new(Bytes::from(body.clone())));
    if (200..300).contains(&status) {
        kept.send_modify(|bodies| bodies.push(body));
    }
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}
