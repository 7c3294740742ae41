//! Authentication end to end: what the client sends is verified by packages that nobody here wrote, tokens come from a
//! real provider, certificates are asked for by a real server. Promise 4: the host owns the secrets.

#[path = "auth/mtls.rs"]
mod mtls;
#[path = "auth/oauth.rs"]
mod oauth;
#[path = "auth/reload.rs"]
mod reload;
#[path = "auth/run.rs"]
mod run;
#[path = "auth/signatures.rs"]
mod signatures;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use nozzle::{
    auth::AuthSettings,
    http::{HttpClient, Request, Transport, settings::EndpointSettings},
    outcome::{Failure, Response},
};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, Replies, Step, Wire};

/// A client of `url` that authenticates.
fn client(url: &str, auth: AuthSettings) -> HttpClient {
    let mut settings = EndpointSettings::new(url.parse().expect("a URL"), url.to_owned());
    settings.auth = Some(auth);
    HttpClient::new(&settings, 4).expect("a client")
}

fn request(url: &str) -> Request {
    let mut headers =
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
    Request {
        method: Method::POST,
        uri: format!("{url}orders?b=2&a=1%202&Pet=dog")
            .parse()
            .expect("a URI"),
        headers,
        body: Some(Bytes::from_static(br#"{"total": "12 \u20ac"}"#)),
    }
}

async fn send(client: &HttpClient, url: &str) -> Result<Response, Failure> {
    let sent = client.send(request(url));
    tokio::time::timeout(nozzle_testkit::DEADLINE, sent)
        .await
        .expect("it must not hang")
}

/// The n-th request gets the n-th reply, later ones the last.
async fn replies(replies: impl IntoIterator<Item = Vec<Step>>) -> FaultEndpoint {
    FaultEndpoint::start(Wire::Http, Replies::new(replies)).await
}

/// The values of a header over all requests, in their order.
fn sent(server: &FaultEndpoint, name: &str) -> Vec<String> {
    let value = |raw: &[u8]| {
        let text = String::from_utf8_lossy(raw).into_owned();
        let fields = text.lines().filter_map(|line| line.split_once(": "));
        let mut found = fields.filter(|(other, _)| *other == name);
        found.next().map(|(_, value)| value.to_owned())
    };
    let requests = server.requests();
    requests
        .iter()
        .map(|request| value(&request.raw).unwrap_or_default())
        .collect()
}
