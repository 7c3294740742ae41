//! An endpoint that keeps every body that it accepts, in the order of arrival.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use tokio::{sync::watch, task::JoinHandle};

use crate::{DEADLINE, serve::serve};

/// A running endpoint; it stops when dropped.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What a recorder has seen, and whether it answers.
#[derive(Debug)]
struct Seen {
    accepted: watch::Sender<Vec<String>>,
    /// While it is closed, calls wait for their answer.
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    /// The most that waited at a time.
    most: AtomicUsize,
}

impl Recorder {
    /// Answers each body with the status that `script` says, and the body itself; those with 2xx are kept.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl Fn(&str) -> u16 + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Seen {
            accepted: watch::Sender::new(Vec::new()),
            open: watch::Sender::new(true),
            waiting: watch::Sender::new(0),
            most: AtomicUsize::new(0),
        });
        let (script, keeps) = (Arc::new(script), Arc::clone(&seen));
        let handler = move |request| {
            let (script, seen) = (Arc::clone(&script), Arc::clone(&keeps));
            async move { Ok::<_, Infallible>(seen.answer(request, &*script).await) }
        };
        let (address, task) = serve(handler).await;
        Self {
            address,
            seen,
            task,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What was accepted so far.
    pub fn accepted(&self) -> Vec<String> {
        self.seen.accepted.borrow().clone()
    }

    /// Waits until `enough` says so of what was accepted; it may ask this recorder, too.
    ///
    /// # Panics
    /// When that does not come within the deadline.
    pub async fn until(&self, what: &str, enough: impl Fn(&[String]) -> bool) {
        let mut accepted = self.seen.accepted.subscribe();
        let came = async {
            // Not while they are borrowed: whoever asks again would wait behind the one who writes, who waits for that.
            while !enough(&self.accepted()) {
                accepted.changed().await.expect("the recorder is there");
            }
        };
        let came = tokio::time::timeout(DEADLINE, came).await;
        assert!(
            came.is_ok(),
            "{what}: only {} came",
            self.seen.accepted.borrow().len()
        );
    }

    /// Lets no call be answered from now on.
    pub fn close(&self) {
        self.seen.open.send_replace(false);
    }

    /// Lets calls be answered again.
    pub fn open(&self) {
        self.seen.open.send_replace(true);
    }

    /// Waits until so many calls wait for their answer.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn held(&self, calls: usize) {
        let mut waiting = self.seen.waiting.subscribe();
        let came =
            tokio::time::timeout(DEADLINE, waiting.wait_for(|waiting| *waiting >= calls)).await;
        assert!(matches!(came, Ok(Ok(_))), "{calls} calls did not come");
    }

    /// The most calls that were here at a time.
    pub fn most_held(&self) -> usize {
        self.seen.most.load(Relaxed)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    async fn answer(
        &self,
        request: Request<Incoming>,
        script: &(impl Fn(&str) -> u16 + Sync),
    ) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        self.waiting.send_modify(|count| {
            *count += 1;
            self.most.fetch_max(*count, Relaxed);
        });
        // The recorder may be dropped meanwhile.
        drop(self.open.subscribe().wait_for(|open| *open).await);
        self.waiting.send_modify(|count| *count -= 1);
        let status = script(&body);
        let mut response = Response::new(Full::new(Bytes::from(body.clone())));
        if (200..300).contains(&status) {
            self.accepted.send_modify(|bodies| bodies.push(body));
        }
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        response
    }
}
