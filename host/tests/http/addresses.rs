//! Addresses that are not dialled, and what is said of them. DNS answers are in the unit tests of the connector.

use std::sync::Arc;

use nozzle::{
    auth::{
        AuthSettings, Secret,
        settings::{ClientAuth, OAuth2Settings},
    },
    http::settings::{EndpointSettings, Proxy, ProxyRule},
    network::AddressRules,
    outcome::Failure,
};
use nozzle_testkit::fault_endpoint::{FaultEndpoint, write};

use super::{OK, endpoint, replies, send};

/// No packet leaves this machine: nothing of it is dialled.
const METADATA: [&str; 5] = [
    "http://169.254.169.254/latest",
    "http://2852039166/latest",
    "http://169.254.169.254.:8080/latest",
    "http://[::ffff:a9fe:a9fe]/latest",
    "https://[fd00:ec2::254]/latest",
];

fn allowing(mut settings: EndpointSettings, allow: &str) -> EndpointSettings {
    let allow = allow.parse().expect("an entry");
    settings.network = Arc::new(AddressRules::new(vec![allow]));
    settings
}

fn port(server: &FaultEndpoint) -> u16 {
    let url: url::Url = server.url().parse().expect("a URL");
    url.port().expect("it is not the scheme's own")
}

async fn refused(settings: &EndpointSettings) -> String {
    match send(settings).await {
        Err(Failure::Connect(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn promise_4_metadata_is_not_dialled_and_the_address_shown_only_to_whom_wrote_it() {
    for url in METADATA {
        let secret = endpoint(url);
        let written = EndpointSettings::new(url.parse().expect("a URL"), url.to_owned());

        let secret = refused(&secret).await;
        let written = refused(&written).await;

        let expected = "its address (metadata) is not dialled: `network.allow` does not list it (`${Api:url}`)";
        assert_eq!(secret, expected, "{url}");
        assert!(written.starts_with("the address `"), "{written}");
        assert!(written.contains("(metadata) is not dialled"), "{written}");
    }
}

#[tokio::test]
async fn what_the_module_allows_is_dialled() {
    let server = replies([write(OK)]).await;
    let port = port(&server);
    // Linux takes it for this machine.
    let settings = endpoint(&format!("http://0.0.0.0:{port}/"));

    let by_default = refused(&settings).await;
    let allowed = send(&allowing(settings, "unspecified")).await;

    assert!(by_default.contains("(unspecified)"), "{by_default}");
    assert_eq!(allowed.expect("a response").status, 200);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_an_address_that_may_not_be_dialled() {
    let proxy = replies([write(OK)]).await;
    let port = port(&proxy);
    for scheme in ["http", "socks5", "socks5h"] {
        for url in METADATA {
            let mut settings = endpoint(url);
            let text = format!("{scheme}://127.0.0.1:{port}");
            settings.proxy = ProxyRule::Written(Proxy::parse(&text, &text).expect("a proxy"));

            let text = refused(&settings).await;

            assert!(text.starts_with("its address (metadata)"), "{text}");
        }
    }
    assert_eq!(proxy.requests().len(), 0);
}

#[tokio::test]
async fn a_proxy_is_not_dialled_at_an_address_that_may_not_be() {
    for scheme in ["http", "https", "socks5"] {
        let mut settings = endpoint("http://api.invalid/");
        let text = format!("{scheme}://169.254.1.1:3128");
        settings.proxy = ProxyRule::Written(Proxy::parse(&text, "${env:PROXY}").expect("a proxy"));

        let text = refused(&settings).await;

        let expected =
            "the proxy `${env:PROXY}` cannot be reached: its address (link-local) is not dialled";
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn a_token_endpoint_is_held_to_the_same_rules() {
    let server = replies([write(OK)]).await;
    let mut settings = endpoint(&server.url());
    settings.auth = Some(AuthSettings::OAuth2(OAuth2Settings {
        token_url: METADATA[0].parse().expect("a URL"),
        label: "${Api:token}".to_owned(),
        client_id: Secret::fixed("me"),
        client_secret: Secret::fixed("secret"),
        scopes: Vec::new(),
        audience: None,
        params: Vec::new(),
        client_auth: ClientAuth::Basic,
    }));

    let sent = send(&settings).await;

    let Err(Failure::Auth(text)) = sent else {
        panic!("{sent:?}");
    };
    assert!(
        text.contains("its address (metadata) is not dialled"),
        "{text}"
    );
    assert_eq!(server.requests().len(), 0);
}
