//! HTTP/1.1: where a response ends, and that no response is taken for another request's.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use nozzle::{
    http::{HttpClient, Request, Transport},
    outcome::{Failure, Response},
};
use nozzle_testkit::fault_endpoint::{Step, cut, write};
use tokio::sync::Notify;

use super::{OK, answer, endpoint, replies, request, text};

/// In time: a test must not hang.
async fn in_time(client: &HttpClient, request: Request) -> Result<Response, Failure> {
    tokio::time::timeout(nozzle_testkit::DEADLINE, client.send(request))
        .await
        .expect("it must not hang")
}

#[tokio::test]
async fn a_connection_whose_framing_is_in_doubt_is_not_used_again() {
    // The client has read the shorter one to its end before it sees the head.
    for body in ["2\r\nok\r\n0\r\n\r\n", "0\r\n\r\n"] {
        let twice = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{body}"
        );
        let server = replies([write(&twice), write(OK)]).await;
        let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

        let doubtful = in_time(&client, request(&server.url())).await;
        let next = in_time(&client, request(&server.url())).await;

        assert!(matches!(doubtful, Err(Failure::Protocol(_))));
        assert_eq!(next.expect("a response").status, 200);
        assert_eq!(server.connections(), 2, "{body:?}");
    }
}

/// A response that came before its request was sent would settle events that nobody received.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_nobody_asked_for_answers_no_request() {
    let planted = "HTTP/1.1 299 Planted\r\ncontent-length: 0\r\n\r\n";
    let both = [OK, planted.as_bytes()].concat();
    let server = replies([write(both)]).await;
    let url = server.url();
    let client = Arc::new(HttpClient::new(&endpoint(&url), 4).expect("a client"));

    let lane = async |client: Arc<HttpClient>, url: String| {
        let mut answered = 0;
        for _ in 0..100 {
            // A connection that was closed over the planted bytes may take a request with it.
            if let Ok(response) = in_time(&client, request(&url)).await {
                assert_eq!(response.status, 200);
                answered += 1;
            }
        }
        answered
    };
    let lanes: Vec<_> = (0..4)
        .map(|_| tokio::spawn(lane(Arc::clone(&client), url.clone())))
        .collect();

    let mut answered = 0;
    for lane in lanes {
        answered += lane.await.expect("no planted response was taken");
    }
    assert!(answered >= 100, "{answered}");
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    let table = [
        (
            Method::HEAD,
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
            200,
        ),
        (Method::POST, "HTTP/1.1 204 No Content\r\n\r\n", 204),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n",
            304,
        ),
    ];
    for (method, head, status) in table {
        let server = replies([write(head), write(OK)]).await;
        let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");
        let bodiless = Request {
            method,
            body: None,
            ..request(&server.url())
        };

        let first = in_time(&client, bodiless).await.expect("a response");
        let next = in_time(&client, request(&server.url())).await;

        assert_eq!(
            (first.status, first.body.len(), first.truncated),
            (status, 0, false)
        );
        assert_eq!(next.expect("a response").body, "ok");
        assert_eq!(server.connections(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_read_whole() {
    let response = answer(cut("HTTP/1.1 200 OK\r\n\r\nuntil the end")).await;

    assert_eq!(response.expect("a response").body, "until the end");
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_response_for_the_next_one() {
    let late = Arc::new(Notify::new());
    let planted = "HTTP/1.1 299 Late\r\ncontent-length: 0\r\n\r\n";
    let waits = vec![Step::WaitFor(Arc::clone(&late))];
    let server = replies([[waits, write(planted)].concat(), write(OK)]).await;
    let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

    tokio::select! {
        outcome = client.send(request(&server.url())) => panic!("no answer was sent: {outcome:?}"),
        () = server.received(1) => {}
    }
    late.notify_one();
    let next = in_time(&client, request(&server.url())).await;

    assert_eq!(next.expect("a response").status, 200);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_cut_while_idle_takes_no_request_with_it() {
    let server = replies([cut(OK), write(OK)]).await;
    let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

    let first = in_time(&client, request(&server.url())).await;
    server.closed(1).await;
    let next = in_time(&client, request(&server.url())).await;

    assert_eq!(first.expect("a response").status, 200);
    assert_eq!(next.expect("a response").status, 200);
    assert_eq!((server.requests().len(), server.connections()), (2, 2));
}

/// Whether the endpoint has processed it is not known: to send it again is the engine's decision.
#[tokio::test]
async fn a_request_that_was_written_is_never_sent_again_by_the_client() {
    for lost in [Step::Close, Step::Reset] {
        let server = replies([write(OK), vec![lost], write(OK)]).await;
        let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

        let kept = in_time(&client, request(&server.url())).await;
        let lost = in_time(&client, request(&server.url())).await;
        let next = in_time(&client, request(&server.url())).await;

        assert_eq!(kept.expect("a response").status, 200);
        assert!(matches!(lost, Err(Failure::Protocol(_))), "{lost:?}");
        assert_eq!(next.expect("a response").status, 200);
        assert_eq!((server.requests().len(), server.connections()), (3, 2));
    }
}

#[tokio::test]
async fn a_retry_is_the_same_request_byte_for_byte() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let server = replies([write(busy), write(OK)]).await;
    let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");
    // No text: a byte-for-byte comparison must not be fooled by a lossy one.
    let request = Request {
        body: Some(Bytes::from((0..=255).collect::<Vec<u8>>())),
        ..request(&server.url())
    };

    for status in [503, 200] {
        let response = in_time(&client, request.clone()).await.expect("a response");
        assert_eq!(response.status, status);
    }

    let raw: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.raw)
        .collect();
    assert_eq!(raw.len(), 2);
    assert_eq!(raw[0], raw[1]);
    assert!(raw[0].ends_with(&(0..=255).collect::<Vec<u8>>()));
}

#[tokio::test]
async fn the_users_agent_wins_over_the_hosts() {
    let server = replies([write(OK)]).await;
    let mut request = request(&server.url());
    let agent = http::HeaderValue::from_static("shop/7");
    request.headers.insert(http::header::USER_AGENT, agent);
    let client = HttpClient::new(&endpoint(&server.url()), 4).expect("a client");

    in_time(&client, request).await.expect("a response");

    let seen = text(&server);
    assert_eq!(seen.matches("user-agent:").count(), 1, "{seen}");
    assert!(seen.contains("user-agent: shop/7\r\n"), "{seen}");
}
