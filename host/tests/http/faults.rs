//! Every fault of the catalogue through the real client: what it concludes, and that the next request is not
//! disturbed.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use nozzle::{
    http::{HttpClient, Request, Transport, settings::EndpointSettings},
    outcome::{Failure, Response},
};
use nozzle_testkit::fault_endpoint::{
    At, FAULTS, Fault, FaultEndpoint, Meaning, Step, WireRequest, ok,
};
use tokio::task::JoinSet;

use super::{endpoint, request};

/// An attempt's limit, where only that ends it. What is expected to end by itself has the test's deadline.
const ATTEMPT: Duration = Duration::from_millis(500);
/// More than the kernel takes for a peer that does not read.
const LARGE: usize = 16 * 1024 * 1024;
/// What an endless answer may cost: the limit of a response, and what the kernel has taken on both sides.
const TAKEN: u64 = 8 * 1024 * 1024;

/// Answers with what was asked.
fn echo(request: &WireRequest) -> Vec<Step> {
    ok(&request.body)
}

pub(super) fn settings(endpoint_of: &FaultEndpoint) -> EndpointSettings {
    let mut settings = endpoint(&endpoint_of.url());
    settings.tls.ca_file = endpoint_of.ca_file().map(|path| super::named(path.into()));
    settings
}

pub(super) fn asks(url: &str, body: impl Into<Bytes>) -> Request {
    Request {
        body: Some(body.into()),
        ..request(url)
    }
}

/// What came of a fault, in short.
#[derive(Debug, PartialEq)]
enum Seen {
    Status(u16),
    Failed,
    TimedOut,
}

impl Seen {
    fn of(outcome: &Option<Result<Response, Failure>>) -> Self {
        match outcome {
            Some(Ok(response)) => Self::Status(response.status),
            Some(Err(_)) => Self::Failed,
            None => Self::TimedOut,
        }
    }
}

pub(super) async fn in_time(client: &HttpClient, request: Request) -> Result<Response, Failure> {
    tokio::time::timeout(nozzle_testkit::DEADLINE, client.send(request))
        .await
        .expect("it must not hang")
}

/// Ends when the attempt's limit has passed since the fault began: before, the client may still be on its way.
async fn limit(fault: &Fault, server: &FaultEndpoint) {
    match fault.at {
        At::Connection(_) | At::Early(_) => server.connected(1).await,
        At::Call(_) => server.received(1).await,
        At::KeptCall(_) => server.received(2).await,
    }
    tokio::time::sleep(ATTEMPT).await;
}

/// Causes the fault once; what is wrong with what came of it.
async fn check(fault: &'static Fault) -> Result<(), String> {
    let server = FaultEndpoint::start(fault.wire, fault.script(1, echo)).await;
    let settings = settings(&server);
    let client = HttpClient::new(&settings, 4).expect("a client");
    let url = server.url();
    if let At::KeptCall(_) = fault.at {
        let first = in_time(&client, asks(&url, "first")).await;
        assert!(first.is_ok(), "{}: {first:?}", fault.name);
    }
    let body = match fault.at {
        At::Early(_) => "x".repeat(LARGE),
        _ => "faulty".to_owned(),
    };
    let expected = match fault.meaning {
        Meaning::Status(status) => Seen::Status(status),
        Meaning::NoAnswer => Seen::Failed,
        Meaning::Never => Seen::TimedOut,
    };

    let attempt = in_time(&client, asks(&url, body));
    let outcome = match fault.meaning {
        Meaning::Never => tokio::select! {
            outcome = attempt => Some(outcome),
            () = limit(fault, &server) => None,
        },
        _ => Some(attempt.await),
    };
    if fault.row == "H14" {
        let taken = server.written();
        assert!(taken < TAKEN, "{}: {taken} bytes were taken", fault.name);
        if let Some(Ok(response)) = &outcome {
            assert!(response.body.len() <= settings.max_response_body);
        }
    }
    let mut next = in_time(&client, asks(&url, "next")).await;
    if next.is_err() {
        // A connection that was closed over the fault may take one request with it.
        next = in_time(&client, asks(&url, "next")).await;
    }

    if Seen::of(&outcome) != expected {
        return Err(format!(
            "{} {}: {outcome:?}, not {expected:?}",
            fault.row, fault.name
        ));
    }
    match next {
        Ok(response) if response.status == 200 && response.body == "next" => Ok(()),
        other => Err(format!("{} {}: then {other:?}", fault.row, fault.name)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_means_what_the_catalogue_says_and_the_next_request_gets_its_own_answer() {
    let mut checks = JoinSet::new();
    for fault in FAULTS
        .iter()
        .filter(|f| std::env::var("F").map_or(true, |n| f.name == n))
    {
        checks.spawn(check(fault));
    }

    let outcomes = checks.join_all().await;

    let wrong: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_row_that_a_server_can_cause_has_a_fault() {
    let rows: BTreeSet<_> = FAULTS.iter().map(|fault| fault.row).collect();
    let names: BTreeSet<_> = FAULTS.iter().map(|fault| fault.name).collect();

    let causable = (2..=19).chain([22]);
    let missing: Vec<_> = causable
        .map(|row| format!("H{row}"))
        .filter(|row| !rows.contains(row.as_str()))
        .collect();

    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(names.len(), FAULTS.len(), "a name stands twice");
}
