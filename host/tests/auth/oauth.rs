//! Client credentials against `oidc-provider` from npm.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use nozzle::{
    auth::{
        AuthSettings, Piece, Secret,
        settings::{ClientAuth, OAuth2Settings},
    },
    http::{HttpClient, Request, Transport},
    outcome::Failure,
};
use nozzle_testkit::{
    Server,
    fault_endpoint::{answer, ok},
};
use serde_json::Value;

use super::{client, replies, send, sent};

fn settings(provider: &str, client_id: &str) -> OAuth2Settings {
    OAuth2Settings {
        token_url: format!("{provider}/token").parse().expect("a URL"),
        label: "${Id:token-url}".to_owned(),
        client_id: Secret::fixed(client_id),
        client_secret: Secret::fixed(Server::OIDC_SECRET),
        scopes: vec!["orders:write".to_owned()],
        audience: None,
        params: Vec::new(),
        client_auth: match client_id {
            "post" => ClientAuth::Post,
            _ => ClientAuth::Basic,
        },
    }
}

async fn call(client: &HttpClient, url: String) -> Result<u16, Failure> {
    let request = Request {
        method: Method::POST,
        uri: url.parse().expect("a URI"),
        headers: HeaderMap::new(),
        body: Some(Bytes::from_static(b"{}")),
    };
    let sent = tokio::time::timeout(nozzle_testkit::DEADLINE, client.send(request));
    sent.await
        .expect("it must not hang")
        .map(|response| response.status)
}

/// What the provider has counted: tokens, and the calls of its API.
async fn stats(provider: &str) -> (u64, Vec<Value>) {
    let url = format!("{provider}/stats");
    let none = AuthSettings::Header {
        name: "x-none".parse().expect("a name"),
        value: Secret::fixed("-"),
    };
    let mut request = super::request("http://t.test/");
    request.method = Method::GET;
    request.uri = url.parse().expect("a URI");
    let response = client(&url, none).send(request).await.expect("a response");
    let stats: Value = serde_json::from_slice(&response.body).expect("JSON");
    let seen = stats["seen"].as_array().expect("a list").clone();
    (stats["tokens"].as_u64().expect("a number"), seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_fetch_one_token() {
    let server = Server::oidc(600);
    for (number, id) in ["basic", "post"].into_iter().enumerate() {
        let url = format!("{}/api", server.url());
        let client = Arc::new(client(
            &url,
            AuthSettings::OAuth2(settings(server.url(), id)),
        ));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (client, url) = (Arc::clone(&client), url.clone());
            calls.spawn(async move { call(&client, url).await });
        }

        let answers = calls.join_all().await;

        assert_eq!(answers, vec![Ok(200); 50]);
        let (tokens, seen) = stats(server.url()).await;
        assert_eq!((tokens, seen.len()), (number as u64 + 1, 50 * (number + 1)));
        assert!(
            seen.iter()
                .skip(50 * number)
                .all(|call| call["client"] == id)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_replaced_within_the_attempt() {
    let server = Server::oidc(600);
    let url = format!("{}/api", server.url());
    let client = client(&url, AuthSettings::OAuth2(settings(server.url(), "basic")));
    let first = call(&client, url.clone()).await;
    call(&client, format!("{}/revoke", server.url()))
        .await
        .expect("revoked");

    let second = call(&client, url).await;

    assert_eq!((first, second), (Ok(200), Ok(200)));
    let (tokens, seen) = stats(server.url()).await;
    let statuses: Vec<_> = seen.iter().map(|call| call["status"].clone()).collect();
    assert_eq!(
        (tokens, statuses),
        (2, vec![200.into(), 401.into(), 200.into()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_its_end() {
    let server = Server::oidc(6);
    let url = format!("{}/api", server.url());
    let client = client(&url, AuthSettings::OAuth2(settings(server.url(), "basic")));

    let calls = async {
        loop {
            assert_eq!(call(&client, url.clone()).await, Ok(200));
            let (tokens, seen) = stats(server.url()).await;
            if tokens == 3 {
                return seen;
            }
        }
    };
    let seen = tokio::time::timeout(nozzle_testkit::DEADLINE, calls).await;

    let seen = seen.expect("it is renewed");
    assert!(seen.iter().all(|call| call["status"] == 200), "{seen:?}");
    let tokens: BTreeSet<_> = seen.iter().map(|call| call["token"].to_string()).collect();
    assert!(tokens.len() >= 2, "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_sends_nothing_and_a_mended_file_helps_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("secret");
    std::fs::write(&file, "canary\n").expect("written");
    let provider = Server::oidc(600);
    let endpoint = replies([answer(200, &[])]).await;
    let url = endpoint.url();
    let mut settings = settings(provider.url(), "basic");
    settings.client_secret = Secret::new("canary", vec![Piece::File(file.clone())]);
    let client = client(&url, AuthSettings::OAuth2(settings));

    let wrong = send(&client, &url).await.expect_err("no token");
    let requests = endpoint.requests().len();
    std::fs::write(&file, Server::OIDC_SECRET).expect("written");
    let mended = send(&client, &url).await;

    let text = "no token from `${Id:token-url}`: it answered 401 (`invalid_client`)";
    assert_eq!(wrong, Failure::Auth(text.to_owned()));
    assert_eq!(requests, 0);
    assert_eq!(mended.expect("a response").status, 200);
    assert!(sent(&endpoint, "authorization")[0].starts_with("Bearer "));
}

#[tokio::test]
async fn a_refusal_that_a_token_does_not_cure_makes_no_tokens() {
    let token = ok(br#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#);
    let provider = replies([token]).await;
    let endpoint = replies([answer(401, &[]), answer(403, &[])]).await;
    let url = endpoint.url();
    let settings = settings(provider.url().trim_end_matches('/'), "basic");
    let client = client(&url, AuthSettings::OAuth2(settings));

    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(send(&client, &url).await.expect("a response").status);
    }

    assert_eq!(statuses, [401, 403, 403]);
    assert_eq!(sent(&endpoint, "authorization"), ["Bearer t"; 3]);
    assert_eq!(provider.requests().len(), 1);
}
