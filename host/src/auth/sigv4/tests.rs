use std::time::SystemTime;

use aws_sigv4::http_request::SessionTokenMode;
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use super::*;
use crate::auth::Secret;

/// Some of the suite's requests have characters in their paths that no URI has: here they are encoded, as the host's
/// URL parser does. Signing encodes a path once more, which these are then spared.
fn uri(target: &str) -> Uri {
    let mut text = "https://example.amazonaws.com".to_owned();
    for byte in target.bytes() {
        match byte {
            b'!'..=b'~' => text.push(char::from(byte)),
            other => text += &format!("%{other:02X}"),
        }
    }
    text.parse().expect("a URI")
}

/// Request line, headers (a line that begins with a space goes on with the one before) and body.
fn parse(request: &str) -> (Method, Uri, HeaderMap, String) {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, rest) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .expect("a request line");
    let target = rest.strip_suffix(" HTTP/1.1").expect("a version");
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with(' '), line.split_once(':')) {
            (true, _) => {
                let last = fields.last_mut().expect("a header");
                last.1 = format!("{} {}", last.1, line.trim());
            }
            (false, Some((name, value))) => fields.push((name.to_owned(), value.to_owned())),
            (false, None) => panic!("{line:?}"),
        }
    }
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, value.trim().parse().expect("a value"));
    }
    let method = method.parse().expect("a method");
    (method, uri(target), headers, body.to_owned())
}

fn of_context(context: &Value) -> (SigV4, Credentials, SigningSettings, SystemTime) {
    let text = |at: &Value| at.as_str().expect("a text").to_owned();
    let keys = &context["credentials"];
    let secret = |at: &Value| Secret::fixed(at.as_str().expect("a text"));
    let keys = AwsKeys {
        access_key_id: secret(&keys["access_key_id"]),
        secret_access_key: secret(&keys["secret_access_key"]),
        session_token: keys.get("token").map(secret),
    };
    let mut settings = SigningSettings::default();
    settings.uri_path_normalization_mode = (context["normalize"] == true).into();
    if context.get("omit_session_token") == Some(&Value::Bool(true)) {
        settings.session_token_mode = SessionTokenMode::Exclude;
    }
    if context["sign_body"] == true {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let time = humantime::parse_rfc3339(&text(&context["timestamp"])).expect("a time");
    let sigv4 = SigV4::new(&text(&context["service"]), &text(&context["region"]));
    (
        sigv4,
        Credentials::of_keys(&keys).expect("keys"),
        settings,
        time,
    )
}

#[test]
fn the_test_suite_of_aws_comes_out() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/vectors/sigv4.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let (sigv4, credentials, mut settings, time) = of_context(&case["context"]);
        let (method, uri, headers, body) = parse(case["request"].as_str().expect("a text"));
        if uri.path().contains('%') {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
        }
        let request = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            body: body.as_bytes(),
        };

        let added = sigv4
            .sign_as(&request, &credentials, time, settings, |_| true)
            .expect("signed");

        let authorization = added.iter().find(|(name, _)| *name == AUTHORIZATION);
        let authorization = authorization.expect("it is added").1.to_str();
        let expected = format!("Signature={}", case["signature"].as_str().expect("a text"));
        if !authorization.expect("text").ends_with(&expected) {
            wrong.push(case["name"].clone());
        }
        assert!(
            added.iter().all(|(name, _)| HEADERS.contains(name)),
            "{added:?}"
        );
    }
    assert_eq!(cases.len(), 38);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_proxies_change_is_not_signed() {
    let keys = AwsKeys {
        access_key_id: Secret::fixed("AKIDEXAMPLE"),
        secret_access_key: Secret::fixed("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: Some(Secret::fixed("token")),
    };
    let credentials = Credentials::of_keys(&keys).expect("keys");
    let (method, uri) = (Method::POST, uri("/x?b=1&a=2"));
    let sign = |changed: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert("traceparent", changed.parse().expect("a value"));
        headers.insert("user-agent", changed.parse().expect("a value"));
        let request = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            body: b"{}",
        };
        let sigv4 = SigV4::new("lambda", "us-east-1");
        let now = SystemTime::UNIX_EPOCH;
        sigv4.sign(&request, &credentials, now).expect("signed")
    };

    let (one, other) = (sign("a"), sign("b"));

    let value = |name: &HeaderName| {
        let found = one.iter().find(|(other, _)| other == name);
        found.expect("it is added").1.to_str().expect("text")
    };
    assert_eq!(one, other);
    for name in &HEADERS {
        assert!(!value(name).is_empty(), "{name}");
    }
    assert!(value(&HEADERS[0]).contains(
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
    ));
}

#[test]
fn keys_that_are_none_are_refused_and_not_shown() {
    let keys = |id: &str, secret: &str, token: &str| AwsKeys {
        access_key_id: Secret::fixed(id),
        secret_access_key: Secret::fixed(secret),
        session_token: Some(Secret::fixed(token)),
    };
    for (keys, field) in [
        (keys("", "x", "x"), "`access-key-id`"),
        (keys("x", "canary canary", "x"), "`secret-access-key`"),
        (keys("x", "x", "canary\n"), "`session-token`"),
    ] {
        let error = Credentials::of_keys(&keys).expect_err("refused");

        assert!(error.to_string().starts_with(field), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}
