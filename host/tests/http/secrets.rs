//! What a failure says of an endpoint whose URL may be a secret, and how much of what the endpoint says.

use nozzle::{http::settings::EndpointSettings, outcome::Failure};

use super::{endpoint, named, send, tls_server};

/// The failure of a certificate for `names` when the endpoint is `127.0.0.1`.
async fn wrong_name(names: Vec<String>, label: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, pem) = tls_server(folder.path(), names, &[]).await;
    let url = format!("https://127.0.0.1:{port}/").parse().expect("a URL");
    let mut settings = EndpointSettings::new(url, label.to_owned());
    settings.tls.ca_file = Some(named(pem));
    match send(&settings).await {
        Err(Failure::Tls(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_certificate_names_no_host_that_the_user_did_not_write() {
    for (label, shows) in [
        ("${Api:url}", false),
        ("https://${env:HOST}/", false),
        ("https://127.0.0.1:${env:PORT}/", false),
        ("https://127.0.0.1/", true),
    ] {
        let text = wrong_name(vec!["localhost".to_owned()], label).await;

        assert!(text.contains("another name"), "{text}");
        assert_eq!(text.contains("127.0.0.1"), shows, "{label}: {text}");
        // The names that a certificate has tell the host too.
        assert_eq!(text.contains("localhost"), shows, "{label}: {text}");
    }
}

#[tokio::test]
async fn a_certificate_with_many_names_makes_no_long_text() {
    let names = (0..200)
        .map(|number| format!("a-name-{number}.example"))
        .collect();

    let text = wrong_name(names, "https://127.0.0.1/").await;

    assert!(text.contains("a-name-0.example"), "{text}");
    assert!(text.contains("another name"), "{text}");
    assert!(text.chars().count() < 400, "{text}");
}

/// The name is reserved: no resolver finds it (RFC 6761).
#[tokio::test]
async fn a_name_that_is_not_found_is_not_shown() {
    for scheme in ["http", "https"] {
        let settings = endpoint(&format!("{scheme}://canary.invalid/canary"));

        let failure = send(&settings).await.expect_err("no such name");

        let Failure::Connect(text) = failure else {
            panic!("{failure:?}");
        };
        assert!(!text.contains("canary"), "{text}");
        assert!(text.ends_with(" (`${Api:url}`)"), "{text}");
    }
}
