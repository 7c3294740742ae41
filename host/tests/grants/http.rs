//! `grants.http`, with a guest that asks a server about each record.

use std::sync::Arc;

use nozzle::{
    metrics::FetchResult,
    plugin::{LoadError, Plugin},
};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, Replies, Step, Wire, answer, ok};
use serde_json::{Value, json};

use super::{events, granted, host, load, module, shaped};

async fn server(replies: impl IntoIterator<Item = Vec<Step>>) -> (FaultEndpoint, u16) {
    let server = FaultEndpoint::start(Wire::Http, Replies::new(replies)).await;
    let url: url::Url = server.url().parse().expect("a URL");
    let port = url.port().expect("it is not the scheme's own");
    (server, port)
}

/// What the guest found for each of `data`, with these grants, at this URL.
async fn asked(url: &str, grants: &str, data: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("{{ url: \"{url}\" }}");
    let rest = format!("    grants: {grants}\n");
    let plugin = granted(folder.path(), "lookup.wasm", &config, &rest).await;
    shaped(&plugin, data).await
}

#[tokio::test]
async fn promise_4_without_a_grant_wasi_http_is_refused_with_the_line_to_add() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = module(
        folder.path(),
        "lookup.wasm",
        "{ url: \"http://a.test/\" }",
        "",
    );

    let refused = load(&host(&module, None), &module).await;

    let error = refused.expect_err("nothing is granted");
    assert!(
        matches!(&error, LoadError::Ungranted { import, .. } if import.starts_with("wasi:http/")),
        "{error}"
    );
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("grants: { http: [HOST] }"), "{hint}");
}

#[tokio::test]
async fn a_granted_host_is_asked_and_the_message_on_the_wire_is_the_hosts() {
    let (server, port) = server([ok(b"twelve"), answer(404, &[])]).await;
    let grants = format!("{{ http: [\"http://127.0.0.1:{port}\"] }}");

    let found = asked(
        &format!("http://127.0.0.1:{port}/price?of=x"),
        &grants,
        &["a", "b"],
    )
    .await;

    let expected = json!([{ "status": 200, "answer": "twelve" }, { "status": 404, "answer": "" }]);
    assert_eq!(found, expected);
    let requests = server.requests();
    let raw = String::from_utf8_lossy(&requests[0].raw);
    let mut lines: Vec<&str> = raw.split("\r\n").collect();
    lines[1..5].sort_unstable();
    let host = format!("host: 127.0.0.1:{port}");
    let agent = concat!("user-agent: nozzle/", env!("CARGO_PKG_VERSION"));
    let expected = [
        "POST /price?of=x HTTP/1.1",
        "content-length: 1",
        "content-type: application/json",
        &*host,
        agent,
        "",
        "a",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn promise_4_what_is_not_listed_is_denied_and_never_dialled() {
    let (server, port) = server([ok(b"canary")]).await;
    let granted =
        format!("{{ http: [\"http://127.0.0.1:{port}\", \"*.test\", \"http://localhost\"] }}");
    for url in [
        format!("http://127.0.0.1:{}/", port - 1),
        format!("http://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://me@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}@evil.test/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://a.test/".to_owned(),
        "https://test/".to_owned(),
        "https://a.test:8443/".to_owned(),
        "http://169.254.169.254/".to_owned(),
    ] {
        let found = asked(&url, &granted, &["x"]).await;

        let why = found[0]["error"].as_str().unwrap_or_default();
        assert!(
            why.contains("HttpRequestDenied") || why.contains("is no URL"),
            "{url}: {found}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn promise_4_a_granted_host_is_held_to_the_addresses_that_may_be_dialled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, port) = server([ok(b"fine")]).await;
    // Linux takes it for this machine: it would be reached.
    let url = format!("http://0.0.0.0:{port}/");
    let config = format!("{{ url: \"{url}\" }}");
    let rest = format!(
        "    grants: {{ http: [\"http://0.0.0.0:{port}\"] }}\nnetwork: {{ allow: [unspecified] }}\n"
    );
    let allowing = module(folder.path(), "lookup.wasm", &config, &rest);
    let mut refusing = allowing.clone();
    refusing.network = Arc::default();

    let refused = load(&host(&refusing, None), &allowing)
        .await
        .expect("it loads");
    let refused = shaped(&refused, &["x"]).await;
    let before = server.connections();
    let allowed = load(&host(&allowing, None), &allowing)
        .await
        .expect("it loads");
    let allowed = shaped(&allowed, &["x"]).await;

    assert_eq!(refused[0]["error"], "ErrorCode::DestinationUnavailable");
    assert_eq!(before, 0);
    assert_eq!(allowed[0]["answer"], "fine");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let (elsewhere, other) = server([ok(b"canary")]).await;
    let location = format!("http://127.0.0.1:{other}/");
    let (_server, port) = server([answer(302, &[("location", &*location)])]).await;
    let grants = format!("{{ http: [\"http://127.0.0.1:{port}\", \"http://127.0.0.1:{other}\"] }}");

    let found = asked(&format!("http://127.0.0.1:{port}/"), &grants, &["x"]).await;

    assert_eq!(found[0]["status"], 302);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn requests_have_limits_of_their_own() {
    let (silent, never) = server([vec![Step::Hang]]).await;
    let (server, port) = server([ok(&[b'x'; 2000])]).await;
    let large = "y".repeat(3000);
    let (fine, small) = ("\"status\":200", "small");
    let (answered, too_large) = (FetchResult::Answered, FetchResult::TooLarge);
    let table = [
        (port, "calls: 2", small, fine, answered),
        (
            port,
            "request: 2999",
            &large,
            "HttpRequestBodySize",
            too_large,
        ),
        (port, "request: 3000", &large, fine, answered),
        (
            port,
            "response: 1999",
            small,
            "HttpResponseBodySize",
            too_large,
        ),
        (port, "response: 2000", small, fine, answered),
        (
            never,
            "time: 300ms",
            small,
            "HttpResponseTimeout",
            FetchResult::TimedOut,
        ),
    ];
    for (port, limit, data, expected, result) in table {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("{{ url: \"http://127.0.0.1:{port}/\" }}");
        let rest = format!(
            "    grants: {{ http: [\"http://127.0.0.1:{port}\"], http-limits: {{ {limit} }} }}\n"
        );
        let plugin = granted(folder.path(), "lookup.wasm", &config, &rest).await;

        let found = shaped(&plugin, &[data]).await;

        assert!(found[0].to_string().contains(expected), "{limit}: {found}");
        assert_eq!(plugin.stats().fetches.get(result), 1, "{limit}");
        assert_eq!(plugin.stats().fetch_time.count(), 1, "{limit}");
    }
    assert!(server.requests().len() >= 3 && silent.connections() == 1);
}

#[tokio::test]
async fn the_limit_of_calls_holds_for_each_call_of_the_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, port) = server([ok(b"fine")]).await;
    let config = format!("{{ url: \"http://127.0.0.1:{port}/\" }}");
    let grants = format!(
        "    grants: {{ http: [\"http://127.0.0.1:{port}\"], http-limits: {{ calls: 2 }} }}\n"
    );
    let plugin = granted(folder.path(), "lookup.wasm", &config, &grants).await;

    for _ in 0..2 {
        let found = shaped(&plugin, &["a", "b", "c"]).await;

        let statuses = found.as_array().expect("an array").iter();
        let statuses: Vec<_> = statuses.map(|found| found["status"].as_u64()).collect();
        assert_eq!(statuses, [Some(200), Some(200), None]);
        assert_eq!(found[2]["error"], "ErrorCode::HttpRequestDenied");
    }
    assert_eq!(server.requests().len(), 4);
    assert_eq!(
        plugin
            .shape(&events(&["d"]))
            .await
            .map(|shaped| shaped.requests.len()),
        Ok(1)
    );
}
