use std::{sync::Mutex, time::Duration};

use http_body_util::Empty;

use super::*;
use crate::network::HostPattern;

/// Answers everything, and remembers what it was asked.
#[derive(Debug, Default)]
struct Script(Mutex<Vec<String>>);

impl Fetch for Script {
    fn fetch(
        &self,
        request: Request<Bytes>,
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>> {
        let asked = request.uri().to_string();
        self.0.lock().expect("nobody panicked").push(asked);
        Box::pin(async { Ok(Response::new(Bytes::from_static(b"fine"))) })
    }
}

fn hooks(max_calls: u32) -> (Hooks, Arc<Script>) {
    let script = Arc::new(Script::default());
    let hosts =
        ["api.test", "http://10.0.0.1:8080"].map(|text| HostPattern::parse(text).expect("a host"));
    let grant = HttpGrant {
        max_calls,
        ..HttpGrant::new(hosts.to_vec())
    };
    let fetch = Arc::clone(&script) as Arc<dyn Fetch>;
    let log = Arc::new(GuestLog::new("t/sink", 100));
    (Hooks::new(Some((grant, fetch)), log), script)
}

async fn send(hooks: &mut Hooks, uri: &str) -> Result<Response<WasiBody>, Error> {
    let body = Empty::new().map_err(|never: Infallible| match never {});
    let request = Request::post(uri)
        .body(body.boxed_unsync())
        .expect("a request");
    let sent = hooks.send_request(request, None, Box::new(async { Ok(()) }));
    Pin::from(sent).await.map(|(response, _)| response)
}

#[tokio::test]
async fn what_is_sent_is_what_was_compared() {
    let (mut hooks, script) = hooks(10);

    for uri in [
        "https://API.TEST/a?b",
        "https://api.test:443/%2e%2e/x",
        "http://0x0a000001:8080/",
        "http://api.test/",
        "https://api.test.evil/",
        "http://10.0.0.1/",
    ] {
        drop(send(&mut hooks, uri).await);
    }

    let asked = script.0.lock().expect("nobody panicked").clone();
    let expected = [
        "https://api.test/a?b",
        "https://api.test/x",
        "http://10.0.0.1:8080/",
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn responses_that_a_guest_keeps_count_in_later_calls() {
    let (mut hooks, _) = hooks(2);

    let first = send(&mut hooks, "https://api.test/")
        .await
        .expect("a response");
    let second = send(&mut hooks, "https://api.test/")
        .await
        .expect("a response");
    hooks.call_begins();
    let third = send(&mut hooks, "https://api.test/").await;
    drop((first, second));
    hooks.call_begins();
    let fourth = send(&mut hooks, "https://api.test/").await;

    assert!(matches!(third, Err(Error::HttpRequestDenied)));
    let body = fourth.expect("a response").into_body().collect().await;
    assert_eq!(body.expect("a body").to_bytes(), "fine");
}

#[test]
fn a_guest_sets_no_header_that_frames_or_routes_a_message() {
    let (mut hooks, _) = hooks(1);
    for (name, is_forbidden) in [
        ("content-length", false),
        ("authorization", false),
        ("x-any", false),
        ("host", true),
        ("transfer-encoding", true),
        ("connection", true),
        ("te", true),
        ("trailer", true),
        ("expect", true),
        ("proxy-authorization", true),
    ] {
        let header = HeaderName::from_static(name);
        assert_eq!(hooks.is_forbidden_header(&header), is_forbidden, "{name}");
    }
}

/// Never answers.
#[derive(Debug)]
struct Silence;

impl Fetch for Silence {
    fn fetch(
        &self,
        _: Request<Bytes>,
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_counted_by_what_became_of_it() {
    let (mut hooks, _) = hooks(10);
    let stats = Arc::clone(hooks.log.stats());

    drop(send(&mut hooks, "https://api.test/").await);
    drop(send(&mut hooks, "https://other.test/").await);
    hooks.parts = hooks
        .parts
        .map(|(grant, _)| (grant, Arc::new(Silence) as _));
    drop(send(&mut hooks, "https://api.test/").await);
    let soon = Duration::from_millis(1);
    let dropped = tokio::time::timeout(soon, send(&mut hooks, "https://api.test/")).await;

    assert!(dropped.is_err(), "it is not waited for");
    let results = [
        FetchResult::Answered,
        FetchResult::Denied,
        FetchResult::TimedOut,
        FetchResult::CutOff,
        FetchResult::Failed,
    ];
    let counts = results.map(|result| stats.fetches.get(result));
    assert_eq!(counts, [1, 1, 1, 1, 0]);
    assert_eq!(stats.fetch_time.count(), 3);
}
