//! Several URLs: which one gets a call, and a host whose first endpoint dies and comes back.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nix::sys::signal::Signal;
use nozzle::{
    http::{
        HttpClient, Transport,
        settings::{EndpointSettings, OtherUrl, Prefer},
    },
    outcome::Failure,
};
use nozzle_testkit::{
    Child,
    fault_endpoint::{FaultEndpoint, Replies, Step, Wire, answer, ok},
    plugin,
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{endpoint, replies, request};

/// Between two looks whether something has happened.
const LOOK: Duration = Duration::from_millis(10);

fn several(urls: &[String]) -> EndpointSettings {
    let mut settings = endpoint(&urls[0]);
    let other = |(place, url): (usize, &String)| OtherUrl {
        url: url.parse().expect("a URL"),
        label: format!("${{Api:other{place}}}"),
    };
    settings.others = urls[1..].iter().enumerate().map(other).collect();
    settings
}

#[tokio::test]
async fn a_call_goes_to_the_other_url_with_its_path_query_and_host() {
    let first = replies([answer(503, &[])]).await;
    let other = replies([ok(b"")]).await;
    let base = format!("{}v1?k=1", first.url());
    let settings = several(&[base, format!("{}eu/v1?k=2", other.url())]);
    let client = HttpClient::new(&settings, 4).expect("a client");
    let target = || request(&format!("{}v1/items?k=1&x=1", first.url()));

    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = client.send(target()).await.expect("a response");
        statuses.push(response.status);
    }

    assert_eq!(statuses, [503, 503, 503, 200, 200]);
    let received = other.requests();
    assert_eq!(received[0].target, "/eu/v1/items?k=2&x=1");
    let host = received[0].headers.iter().find(|(name, _)| name == "host");
    let authority = other.url().replace("http://", "").replace('/', "");
    assert_eq!(host.expect("a host").1, authority);
}

#[tokio::test]
async fn what_makes_a_url_unhealthy() {
    let refused = |status: u16| (vec![answer(status, &[])], "a status");
    let table = [
        (refused(502), true),
        (refused(503), true),
        (refused(504), true),
        (refused(500), false),
        (refused(429), false),
        (refused(404), false),
        ((vec![vec![Step::Reset]], "a reset"), true),
        ((vec![vec![Step::Close]], "an end"), true),
        // An attempt that the caller drops.
        ((vec![vec![Step::Hang]], "silence"), true),
    ];
    for ((reply, what), leaves) in table {
        let shown = format!("{what}: {reply:?}");
        let first = FaultEndpoint::start(Wire::Http, Replies::new(reply)).await;
        let other = replies([ok(b"")]).await;
        let client = HttpClient::new(&several(&[first.url(), other.url()]), 4).expect("a client");

        for call in 1..=3 {
            let sending = client.send(request(&first.url()));
            tokio::select! {
                outcome = sending => drop(outcome),
                // The silent one has the request, and says nothing.
                () = first.received(call), if what == "silence" => {}
            }
        }
        let last =
            tokio::time::timeout(nozzle_testkit::DEADLINE, client.send(request(&first.url())))
                .await;

        assert!(last.is_ok(), "{shown}");
        assert_eq!(other.requests().len(), usize::from(leaves), "{shown}");
    }
}

#[tokio::test]
async fn a_pause_that_one_url_asks_for_is_none_for_the_others() {
    let later = || answer(503, &[("retry-after", "20")]);
    let first = replies([later()]).await;
    let other = replies([ok(b""), later()]).await;
    let client = HttpClient::new(&several(&[first.url(), other.url()]), 4).expect("a client");
    let asked = Duration::from_secs(25);

    let mut pauses = Vec::new();
    for _ in 0..3 {
        let response = client
            .send(request(&first.url()))
            .await
            .expect("a response");
        pauses.push((response.status, client.pause(response.status, asked)));
    }

    assert_eq!(pauses[..2], [(503, None), (200, Some(asked))]);
    let (status, pause) = pauses[2];
    let pause = pause.expect("both ask for it");
    assert!(
        status == 503 && pause <= Duration::from_secs(20),
        "{pause:?}"
    );
    assert_eq!((first.requests().len(), other.requests().len()), (1, 2));
    assert_eq!(client.pause(429, asked), Some(asked));
}

#[tokio::test]
async fn calls_are_spread_over_the_healthy_urls() {
    let servers = [
        replies([ok(b"")]).await,
        replies([ok(b"")]).await,
        replies([ok(b"")]).await,
    ];
    let urls: Vec<_> = servers.iter().map(FaultEndpoint::url).collect();
    let mut settings = several(&urls);
    settings.prefer = Prefer::Spread;
    let client = HttpClient::new(&settings, 4).expect("a client");

    for _ in 0..9 {
        client.send(request(&urls[0])).await.expect("a response");
    }

    let received: Vec<_> = servers
        .iter()
        .map(|server| server.requests().len())
        .collect();
    assert_eq!(received, [3, 3, 3]);
}

#[tokio::test]
async fn a_failure_names_the_url_that_failed() {
    let first = replies([vec![Step::Reset]]).await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = format!("http://{}/", free.local_addr().expect("an address"));
    drop(free);
    let client = HttpClient::new(&several(&[first.url(), gone]), 4).expect("a client");

    let mut last = None;
    for _ in 0..4 {
        last = client.send(request(&first.url())).await.err();
    }

    let text = "Connection refused (os error 111) (`${Api:other0}`)";
    assert_eq!(last, Some(Failure::Connect(text.to_owned())));
}

/// What servers have accepted: by server and number of the record, in the order of its coming.
#[derive(Default)]
struct Accepted(Mutex<Vec<(usize, u64)>>);

impl Accepted {
    fn list(&self) -> MutexGuard<'_, Vec<(usize, u64)>> {
        self.0.lock().expect("whole")
    }

    /// Returns once a server has accepted so many records more.
    async fn more(&self, server: usize, count: usize) {
        let of = || self.list().iter().filter(|(by, _)| *by == server).count();
        let target = of() + count;
        let reached = async {
            while of() < target {
                tokio::time::sleep(LOOK).await;
            }
        };
        let reached = tokio::time::timeout(nozzle_testkit::DEADLINE, reached).await;
        assert!(reached.is_ok(), "server {server} got no more records");
    }
}

/// A server that can be killed, with its connections, and started again in its place.
struct Server {
    number: usize,
    address: SocketAddr,
    accepted: Arc<Accepted>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(number: usize, accepted: &Arc<Accepted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        Self {
            number,
            address,
            accepted: Arc::clone(accepted),
            task: tokio::spawn(serve(listener, number, Arc::clone(accepted))),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/{}/v1", self.address, self.number)
    }

    async fn kill(&mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }

    async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        self.task = tokio::spawn(serve(listener, self.number, Arc::clone(&self.accepted)));
    }
}

async fn serve(listener: TcpListener, number: usize, accepted: Arc<Accepted>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let accepted = Arc::clone(&accepted);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
                take(request, number, Arc::clone(&accepted))
            });
            let builder = hyper::server::conn::http1::Builder::new();
            drop(
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn take(
    request: http::Request<Incoming>,
    number: usize,
    accepted: Arc<Accepted>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let right = request.uri().path() == format!("/{number}/v1");
    let mut response = http::Response::new(Full::default());
    let Ok(body) = request.into_body().collect().await else {
        return Ok(response);
    };
    let records: Vec<serde_json::Value> =
        serde_json::from_slice(&body.to_bytes()).expect("a list of records");
    if !right {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let numbers = records
        .iter()
        .map(|record| record["n"].as_u64().expect("a number"));
    accepted
        .list()
        .extend(numbers.map(|record| (number, record)));
    Ok(response)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_lost_when_the_first_of_three_servers_dies_and_comes_back() {
    let accepted = Arc::new(Accepted::default());
    let mut servers = Vec::new();
    for number in 0..3 {
        servers.push(Server::start(number, &accepted).await);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    let module = format!(
        "version: \"1\"\n\
         ingresses:\n  - id: t/in\n    datagen: {{ rate: 500, fields: {{ n: {{ sequence: {{ start: 1, end: 1000000 }} }} }} }}\n    routers: [{{ to: [t/sink] }}]\n\
         sinks:\n  - id: t/sink\n    plugin: {{ path: {} }}\n    endpoint: {{ urls: {urls:?} }}\n    \
         batch: {{ max-records: 10, max-wait: 20ms }}\n    dead-letters: t/failed\n\
         egresses:\n  - id: t/failed\n    file: {{ path: failed.ndjson }}\n",
        plugin("json_batch.wasm").display()
    );
    std::fs::write(folder.path().join("module.yaml"), module).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    let host = Child::start(command.current_dir(folder.path()).args([
        "run",
        "module.yaml",
        "--state-dir",
        "state",
        "--log",
        "info",
    ]));

    accepted.more(0, 200).await;
    servers[0].kill().await;
    accepted.more(1, 200).await;
    servers[1].kill().await;
    accepted.more(2, 200).await;
    servers[0].restart().await;
    // Its probe comes after the pause at the latest, then every call.
    accepted.more(0, 200).await;
    let settled = accepted.list().len();
    accepted.more(0, 200).await;
    host.signal(Signal::SIGTERM);
    let ended = tokio::task::spawn_blocking(|| host.finish())
        .await
        .expect("it ends");

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let list = accepted.list();
    assert!(
        list[settled..].iter().all(|(server, _)| *server == 0),
        "the first one has all calls again"
    );
    let numbers: BTreeSet<u64> = list.iter().map(|(_, number)| *number).collect();
    let last = numbers.last().copied().expect("records");
    assert!(numbers.into_iter().eq(1..=last), "a record is missing");
    let counts = format!("{last} read = {last} delivered + 0 dropped + 0 dead-lettered");
    let summary = ended.stderr.replace(',', "");
    assert!(summary.contains(&counts), "no «{counts}» in {summary}");
    for (url, what) in [(0, "fails"), (1, "fails"), (0, "answers again")] {
        let named = ended
            .stderr
            .lines()
            .any(|line| line.contains(&urls[url]) && line.contains(what));
        assert!(named, "{} {what}: {}", urls[url], ended.stderr);
    }
}
