//! Signatures against verifiers from PyPI and npm.

use nozzle::auth::{
    AuthSettings, Component, Secret,
    settings::{AwsKeys, DigestAlgorithm, SigV4Settings, SignatureAlgorithm, SignatureSettings},
};
use nozzle_testkit::{Verifier, fault_endpoint::answer};
use serde_json::{Value, json};

use super::{client, replies, send};

const WEBHOOK: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD_WEBHOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SHARED: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

/// A request as it stood on the wire, authenticated.
async fn on_the_wire(auth: AuthSettings) -> Vec<u8> {
    let server = replies([answer(200, &[])]).await;
    let url = server.url();
    send(&client(&url, auth), &url).await.expect("a response");
    server.requests()[0].raw.to_vec()
}

/// Every verifier takes the request, and none a request with another body.
fn verified(kind: &str, key: &Value, raw: &[u8], verifiers: &mut [Verifier]) -> Vec<String> {
    let mut other = raw.to_vec();
    *other.last_mut().expect("a body") = b' ';
    let mut covered = Vec::new();
    for verifier in verifiers {
        covered.push(verifier.verify(kind, key, raw).expect("it is valid"));
        // The npm package for RFC 9421 leaves the body's digest to its user.
        if kind != "signature" || covered.len() == 1 {
            verifier
                .verify(kind, key, &other)
                .expect_err("the body is another");
        }
    }
    covered
}

#[tokio::test]
async fn standard_webhooks_are_taken_with_either_secret() {
    let secrets = [WEBHOOK, OLD_WEBHOOK].map(Secret::fixed).to_vec();

    let raw = on_the_wire(AuthSettings::StandardWebhooks { secrets }).await;

    for secret in [WEBHOOK, OLD_WEBHOOK] {
        let key = json!({ "secret": secret });
        let mut verifiers = [Verifier::python(), Verifier::node()];
        assert_eq!(
            verified("webhooks", &key, &raw, &mut verifiers),
            ["msg_1", "msg_1"]
        );
    }
}

#[tokio::test]
async fn message_signatures_of_every_algorithm_are_taken() {
    let text = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/rfc9421");
        std::fs::read_to_string(format!("{folder}/{name}")).expect("a key")
    };
    let table = [
        (
            SignatureAlgorithm::HmacSha256,
            "hmac-sha256",
            "HMAC_SHA256",
            "",
        ),
        (
            SignatureAlgorithm::Ed25519,
            "ed25519",
            "ED25519",
            "test-key-ed25519",
        ),
        (
            SignatureAlgorithm::EcdsaP256Sha256,
            "ecdsa-p256-sha256",
            "ECDSA_P256_SHA256",
            "test-key-ecc-p256",
        ),
        (
            SignatureAlgorithm::RsaPssSha512,
            "rsa-pss-sha512",
            "RSA_PSS_SHA512",
            "test-key-rsa-pss",
        ),
    ];
    let mut verifiers = [Verifier::python(), Verifier::node()];
    for (algorithm, name, python, file) in table {
        let mut key = json!({ "id": "the key", "name": name, "algorithm": python });
        let private = match file {
            "" => {
                key["secret"] = SHARED.into();
                SHARED.to_owned()
            }
            file => {
                key["public"] = text(&format!("{file}.pem")).into();
                text(&format!("{file}.key"))
            }
        };
        let components = [
            "@method",
            "@target-uri",
            "@authority",
            "@path",
            "@query",
            "@query-param;name=\"Pet\"",
            "content-type",
            "content-digest",
            "content-length",
        ];
        let settings = SignatureSettings {
            key_id: "the key".to_owned(),
            algorithm,
            key: Secret::fixed(&private),
            components: components
                .map(|text| Component::parse(text).expect("a component"))
                .to_vec(),
            label: "nozzle".to_owned(),
            expires_after: Some(std::time::Duration::from_secs(60)),
            tag: None,
            digest: DigestAlgorithm::Sha256,
        };

        let raw = on_the_wire(AuthSettings::HttpSignature(settings)).await;

        let covered = verified("signature", &key, &raw, &mut verifiers);
        assert!(covered[0].contains("content-digest"), "{name}: {covered:?}");
    }
}

#[tokio::test]
async fn aws_signatures_are_what_botocore_computes() {
    let (id, secret, token) = (
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "a/t=",
    );
    for (service, token) in [("lambda", None), ("es", Some(token)), ("execute-api", None)] {
        let settings = SigV4Settings {
            service: service.to_owned(),
            region: Some("eu-west-1".to_owned()),
            credentials: Some(AwsKeys {
                access_key_id: Secret::fixed(id),
                secret_access_key: Secret::fixed(secret),
                session_token: token.map(Secret::fixed),
            }),
        };

        let raw = on_the_wire(AuthSettings::AwsSigV4(settings)).await;

        let key = json!({ "id": id, "secret": secret, "token": token });
        let covered = verified("sigv4", &key, &raw, &mut [Verifier::python()]);
        let signed = "content-type;host;x-amz-content-sha256;x-amz-date";
        let expected = match token {
            Some(_) => format!("{signed};x-amz-security-token"),
            None => signed.to_owned(),
        };
        assert_eq!(covered, [expected], "{service}");
    }
}
