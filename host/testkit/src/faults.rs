//! A layer of faults in front of a server of the AWS JSON protocol: calls fail, are throttled, or succeed in part.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use crate::serve::serve;

/// One call, as the rules see it.
#[derive(Debug)]
pub struct ServiceCall<'a> {
    /// Such as `GetRecords`.
    pub name: &'a str,
    /// How many calls of this name came before.
    pub number: u64,
    /// The request.
    pub body: &'a Value,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server answers.
    None,
    /// The service refuses, with this code.
    Refuse(&'static str),
    /// 500 without a body.
    Broken,
    /// The connection closes without an answer.
    Cut,
    /// The server answers, and the connection closes after so many parts of its body.
    CutAfter(usize),
    /// Of `PutRecords`: every n-th entry fails, the others reach the server.
    Partial(usize),
    /// The server answers; what it said is replaced.
    Answer(Value),
}

type Rules = Arc<dyn Fn(&ServiceCall<'_>) -> Fault + Send + Sync>;
type Body = BoxBody<Bytes, hyper::Error>;
type Upstream = Client<HttpConnector, Full<Bytes>>;

/// A running layer; it stops when dropped.
#[derive(Debug)]
pub struct FaultLayer {
    address: SocketAddr,
    counts: watch::Sender<HashMap<String, u64>>,
    task: JoinHandle<()>,
}

impl FaultLayer {
    /// In front of `upstream`, an address without a path.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(
        upstream: &str,
        rules: impl Fn(&ServiceCall<'_>) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let counts = watch::Sender::new(HashMap::new());
        let layer = Arc::new(Layer {
            upstream: upstream.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            rules: Arc::new(rules),
            counts: counts.clone(),
        });
        let handler = move |request| {
            let layer = Arc::clone(&layer);
            async move { layer.serve(request).await }
        };
        let (address, task) = serve(handler).await;
        Self {
            address,
            counts,
            task,
        }
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many calls of this name came.
    pub fn calls(&self, name: &str) -> u64 {
        self.counts.borrow().get(name).copied().unwrap_or(0)
    }

    /// Waits until so many calls of this name came.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn called(&self, name: &str, times: u64) {
        let mut counts = self.counts.subscribe();
        let enough =
            |counts: &HashMap<String, u64>| counts.get(name).is_some_and(|count| *count >= times);
        let came = tokio::time::timeout(crate::DEADLINE, counts.wait_for(enough)).await;
        assert!(
            matches!(came, Ok(Ok(_))),
            "{times} calls of {name} did not come"
        );
    }
}

impl Drop for FaultLayer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Layer {
    upstream: String,
    client: Upstream,
    rules: Rules,
    counts: watch::Sender<HashMap<String, u64>>,
}

/// The connection is to be closed.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by the fault layer")
    }
}

impl std::error::Error for Cut {}

impl Layer {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let target = head.headers.get("x-amz-target");
        let target = target
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        let name = target.rsplit('.').next().unwrap_or_default().to_owned();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut number = 0;
        self.counts.send_modify(|counts| {
            let count = counts.entry(name.clone()).or_default();
            number = *count;
            *count += 1;
        });
        let fault = (self.rules)(&ServiceCall {
            name: &name,
            number,
            body: &json,
        });
        head.uri = format!("{}{}", self.upstream, head.uri.path())
            .parse()
            .map_err(|_| Cut)?;
        head.version = http::Version::HTTP_11;
        head.headers.remove(http::header::CONTENT_LENGTH);
        head.headers.remove(http::header::HOST);
        match fault {
            Fault::None => self.pass(Request::from_parts(head, Full::new(body))).await,
            Fault::Refuse(code) => Ok(answer(
                400,
                &json!({ "__type": code, "message": "by the fault layer" }),
            )),
            Fault::Broken => Ok(answer(500, &Value::Null)),
            Fault::Cut => Err(Cut),
            Fault::CutAfter(parts) => {
                let response = self
                    .pass(Request::from_parts(head, Full::new(body)))
                    .await?;
                Ok(response.map(|body| FirstParts { body, left: parts }.boxed()))
            }
            Fault::Answer(value) => Ok(answer(200, &value)),
            Fault::Partial(each) => self.partial(head, json, each).await,
        }
    }

    async fn pass(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Cut> {
        let response = self.client.request(request).await.map_err(|_| Cut)?;
        Ok(response.map(BodyExt::boxed))
    }

    async fn partial(
        &self,
        head: http::request::Parts,
        mut json: Value,
        each: usize,
    ) -> Result<Response<Body>, Cut> {
        let entries = json["Records"].as_array().cloned().unwrap_or_default();
        let fails = |index: usize| (index + 1).is_multiple_of(each);
        let passed: Vec<Value> = entries
            .iter()
            .enumerate()
            .filter(|(index, _)| !fails(*index))
            .map(|(_, entry)| entry.clone())
            .collect();
        let mut results = Vec::new().into_iter();
        if !passed.is_empty() {
            json["Records"] = passed.into();
            let request = Request::from_parts(head, Full::new(json.to_string().into()));
            let response = self.client.request(request).await.map_err(|_| Cut)?;
            let bytes = response
                .into_body()
                .collect()
                .await
                .map_err(|_| Cut)?
                .to_bytes();
            let said: Value = serde_json::from_slice(&bytes).map_err(|_| Cut)?;
            results = said["Records"]
                .as_array()
                .cloned()
                .unwrap_or_default()
                .into_iter();
        }
        let failed = json!({
            "ErrorCode": "ProvisionedThroughputExceededException",
            "ErrorMessage": "Rate exceeded for shard",
        });
        let merged: Vec<Value> = (0..entries.len())
            .map(|index| match fails(index) {
                true => failed.clone(),
                false => results.next().unwrap_or_default(),
            })
            .collect();
        let count = merged.iter().filter(|result| **result == failed).count();
        Ok(answer(
            200,
            &json!({ "FailedRecordCount": count, "Records": merged }),
        ))
    }
}

/// The first parts of a body; then it ends as if the server had closed it.
struct FirstParts {
    body: Body,
    left: usize,
}

impl hyper::body::Body for FirstParts {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.left -= 1;
        }
        polled
    }
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    let bytes = if body.is_null() {
        Bytes::new()
    } else {
        body.to_string().into()
    };
    let body = Full::new(bytes).map_err(|never| match never {}).boxed();
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .body(body)
        .expect("a valid response")
}
