//! The whole host: ids over attempts, credentials from the environment, and nothing of a secret in what it leaves behind.

use std::{collections::BTreeSet, path::Path, process::Command};

use nozzle_testkit::{
    Child, Verifier,
    fault_endpoint::{answer, ok},
    plugin,
};
use serde_json::json;

use super::{replies, sent};

/// Runs a module with one sink, to its end; 20 records go out in two calls.
fn run(folder: &Path, url: &str, endpoint: &str, set: impl FnOnce(&mut Command)) -> String {
    let records: String = (0..20).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    std::fs::write(folder.join("in.ndjson"), records).expect("written");
    let module = format!(
        "version: \"1\"\n\
         ingresses: [{{ id: t/in, file: {{ path: in.ndjson }}, routers: [{{ to: [t/out] }}] }}]\n\
         sinks:\n  - id: t/out\n    plugin: {{ path: {} }}\n    batch: {{ max-records: 10 }}\n    \
         retry: {{ initial-delay: 1ms, max-attempts: 3 }}\n    in-flight: {{ max-calls: 1 }}\n    dead-letters: t/dead\n    \
         endpoint: {{ url: \"{url}\", {endpoint} }}\n\
         egresses: [{{ id: t/dead, file: {{ path: dead.ndjson }} }}]\n",
        plugin("json_batch.wasm").display()
    );
    std::fs::write(folder.join("module.yaml"), module).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .args(["run", "module.yaml", "--state-dir", "state"])
        .env(
            "NOZZLE_LOG",
            "nozzle=trace,hyper=trace,hyper_util=trace,aws_sigv4=trace,info",
        );
    set(&mut command);
    let ended = Child::start(&mut command).finish();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    ended.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_keeps_its_id_over_attempts() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = replies([answer(503, &[]), answer(500, &[]), answer(200, &[])]).await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    std::fs::write(folder.path().join("secret"), secret).expect("written");
    let endpoint = "auth: { standard-webhooks: { secrets: [\"${file:secret}\"] } }";

    run(folder.path(), &server.url(), endpoint, |_| {});

    let ids = sent(&server, "webhook-id");
    assert_eq!(ids.len(), 4, "two calls, and two attempts again: {ids:?}");
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), 2, "{ids:?}");
    let mut verifier = Verifier::python();
    for (request, id) in server.requests().iter().zip(&ids) {
        let verified = verifier.verify("webhooks", &json!({ "secret": secret }), &request.raw);
        assert_eq!(verified.as_ref(), Ok(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_keys_come_from_the_environment_and_compressed_bodies_are_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = replies([answer(200, &[])]).await;
    let (id, secret, token) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "canary-token");

    let log = run(
        folder.path(),
        &server.url(),
        "compression: gzip, auth: { aws-sigv4: { service: lambda } }",
        |command| {
            command
                .env("AWS_ACCESS_KEY_ID", id)
                .env("AWS_SECRET_ACCESS_KEY", secret)
                .env("AWS_SESSION_TOKEN", token)
                .env("AWS_REGION", "eu-central-1");
        },
    );

    let key = json!({ "id": id, "secret": secret, "token": token });
    let mut verifier = Verifier::python();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        verifier
            .verify("sigv4", &key, &request.raw)
            .expect("it is valid");
    }
    assert!(!log.contains(secret) && !log.contains(token), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_events_are_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = ok(br#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#);
    let down = std::iter::repeat_n(answer(503, &[]), 5);
    let provider = replies(down.chain([token])).await;
    let server = replies([answer(200, &[])]).await;
    let auth = format!(
        "auth: {{ oauth2: {{ token-url: \"{}token\", client-id: a, client-secret: b }} }}",
        provider.url()
    );

    run(folder.path(), &server.url(), &auth, |_| {});

    let letters = std::fs::read_to_string(folder.path().join("dead.ndjson"));
    assert_eq!(letters.unwrap_or_default(), "");
    assert_eq!(sent(&server, "authorization"), ["Bearer t"; 2]);
    assert_eq!(provider.requests().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_no_secret_is_in_logs_or_dead_letters() {
    for auth in [
        "bearer: { token: \"${env:CANARY}\" }",
        "basic: { user: u, password: \"${env:CANARY}\" }",
        "hmac: { header: x-signature, secret: \"${env:CANARY}\" }",
        "header: { name: x-api-key, value: \"${env:CANARY}\" }",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = replies([answer(400, &[])]).await;
        let endpoint = format!("auth: {{ {auth} }}");

        let log = run(folder.path(), &server.url(), &endpoint, |command| {
            command.env("CANARY", "canary-of-23-characters");
        });

        let letters = std::fs::read_to_string(folder.path().join("dead.ndjson"));
        let letters = letters.expect("there are dead letters");
        assert_eq!(letters.lines().count(), 20);
        let basic = "dTpjYW5hcnktb2YtMjMtY2hhcmFjdGVycw";
        for text in [&log, &letters] {
            assert!(!text.contains("canary") && !text.contains(basic), "{text}");
        }
        assert_eq!(server.requests().len(), 2);
    }
}
