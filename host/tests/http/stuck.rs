//! Connections that answer everything but requests: they are left after two attempts, not kept for ever.

use std::{sync::Arc, time::Duration};

use nozzle::http::{HttpClient, Request, Transport};
use nozzle_testkit::fault_endpoint::{
    FaultEndpoint, Frame, Greeting, Script, Step, Wire, WireRequest, ok,
};

use super::{
    faults::{asks, in_time, settings},
    request,
};

/// An attempt's limit: an answer comes at once, or never.
const ATTEMPT: Duration = Duration::from_millis(500);
/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;

/// The first connection is greeted so, the others as usual; every request is answered.
struct First(Greeting);

impl Script for First {
    fn greet(&self, connection: u64) -> Greeting {
        match connection {
            0 => self.0.clone(),
            _ => Greeting::Serve,
        }
    }

    fn reply(&self, request: &WireRequest) -> Vec<Step> {
        ok(&request.body)
    }
}

#[tokio::test]
async fn a_connection_whose_windows_stay_closed_is_left_after_two_timeouts() {
    let no_window = Greeting::Frames(vec![Step::Frames(vec![Frame::settings(&[(WINDOW, 0)])])]);
    // What the first request is answered behind: its SETTINGS have come, or most of the window is gone.
    for (greeting, first) in [(no_window, 0), (Greeting::KeepWindow, 40_000)] {
        let server = FaultEndpoint::start(Wire::Http2, First(greeting)).await;
        let client = HttpClient::new(&settings(&server), 4).expect("a client");
        let first = in_time(&client, asks(&server.url(), vec![b'x'; first])).await;
        assert_eq!(first.expect("a response").status, 200);
        let body = vec![b'x'; 40_000];

        let mut timeouts = 0;
        let response = loop {
            let sending = client.send(asks(&server.url(), body.clone()));
            match tokio::time::timeout(ATTEMPT, sending).await {
                Ok(response) => break response,
                Err(_) => timeouts += 1,
            }
            // Where a machine is slow, an attempt on the new connection may time out too.
            assert!(timeouts < 10, "the connection is kept");
        };

        assert_eq!(response.expect("a response").body, body);
        assert!(timeouts >= 1, "the first connection takes no body");
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn a_slow_answer_takes_no_connection_from_the_others() {
    let script = |request: &WireRequest| match &*request.body {
        b"slow" => vec![Step::Hang],
        _ => ok(b""),
    };
    let server = FaultEndpoint::start(Wire::Http2, script).await;
    let client = Arc::new(HttpClient::new(&settings(&server), 4).expect("a client"));

    for round in 0..3 {
        let sending = Arc::clone(&client);
        let slow = asks(&server.url(), "slow");
        let slow = tokio::spawn(async move { sending.send(slow).await });
        server.received(2 * round + 1).await;
        let beside = in_time(&client, request(&server.url())).await;
        slow.abort();
        assert!(slow.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(beside.expect("a response").status, 200);
    }

    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_left_after_one_timeout() {
    let script = |request: &WireRequest| match (request.connection, request.place) {
        (0, 1..) => vec![Step::Hang],
        _ => ok(b""),
    };
    let server = FaultEndpoint::start(Wire::Http2, script).await;
    let client = Arc::new(HttpClient::new(&settings(&server), 4).expect("a client"));
    let first = in_time(&client, request(&server.url())).await;
    assert_eq!(first.expect("a response").status, 200);

    let sending = Arc::clone(&client);
    // Without a body: not even that is acknowledged.
    let silent = Request {
        body: None,
        ..request(&server.url())
    };
    let silent = tokio::spawn(async move { sending.send(silent).await });
    server.received(2).await;
    silent.abort();
    assert!(silent.await.is_err_and(|error| error.is_cancelled()));
    let next = in_time(&client, request(&server.url())).await;

    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections(), 2);
}
