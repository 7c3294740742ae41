//! Tables: which proxy stands before which URL, and what is shown of it.

use super::*;

fn environment(variables: &[(&str, &str)]) -> ProxyRule {
    let owned: std::collections::HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    ProxyRule::Environment(Environment::read(|name| owned.get(name).cloned()))
}

/// The proxy before `url`, by its URI; empty for none.
fn before(rule: &ProxyRule, url: &str) -> String {
    let proxy = rule.before(&url.parse().expect("a URL")).expect("a proxy");
    proxy
        .map(|proxy| proxy.uri().to_string())
        .unwrap_or_default()
}

#[test]
fn the_environment_is_read_as_curl_reads_it() {
    let (http, https) = ("http://api.test/", "https://api.test/");
    let table = [
        (&[][..], http, ""),
        (&[("http_proxy", "http://p:1")], http, "http://p:1/"),
        (&[("http_proxy", "http://p:1")], https, ""),
        (&[("https_proxy", "http://p:1")], https, "http://p:1/"),
        (&[("https_proxy", "http://p:1")], http, ""),
        (&[("HTTP_PROXY", "http://p:1")], http, "http://p:1/"),
        (
            &[("http_proxy", "http://p:1"), ("HTTP_PROXY", "http://q:1")],
            http,
            "http://p:1/",
        ),
        (
            &[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "http://q:1")],
            https,
            "http://p:1/",
        ),
        (&[("ALL_PROXY", "http://p:1")], https, "http://p:1/"),
        (
            &[("ALL_PROXY", "http://p:1"), ("https_proxy", "http://q:1")],
            https,
            "http://q:1/",
        ),
        // Empty is none.
        (
            &[("ALL_PROXY", "http://p:1"), ("https_proxy", "")],
            https,
            "",
        ),
        // A client could set it.
        (
            &[("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")],
            http,
            "",
        ),
        (
            &[("http_proxy", "http://p:1"), ("REQUEST_METHOD", "GET")],
            http,
            "http://p:1/",
        ),
        (
            &[("HTTPS_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")],
            https,
            "http://p:1/",
        ),
        (&[("http_proxy", "p:1")], http, "http://p:1/"),
        (
            &[("https_proxy", "socks5h://p")],
            https,
            "socks5h://p:1080/",
        ),
    ];
    for (variables, url, expected) in table {
        assert_eq!(
            before(&environment(variables), url),
            expected,
            "{variables:?}"
        );
    }
}

#[test]
fn no_proxy_has_names_with_their_subdomains_addresses_and_networks() {
    let table = [
        ("api.test", "http://api.test/", true),
        ("api.test", "http://API.test:8080/", true),
        ("api.test", "http://a.api.test/", true),
        (".api.test", "http://a.api.test/", true),
        (".api.test", "http://api.test/", true),
        ("api.test", "http://myapi.test/", false),
        ("pi.test", "http://api.test/", false),
        ("a.api.test", "http://api.test/", false),
        ("other.test, api.test", "http://api.test/", true),
        ("*", "http://api.test/", true),
        ("10.0.0.0/8", "http://10.1.2.3/", true),
        ("10.0.0.0/8", "http://11.1.2.3/", false),
        ("10.1.2.3", "http://10.1.2.3/", true),
        ("fd00::/8", "http://[fd00::1]/", true),
        ("fd00::1", "http://[fd00::2]/", false),
        ("", "http://api.test/", false),
        // This machine.
        ("", "http://localhost:8080/", true),
        ("", "http://a.localhost/", true),
        ("", "http://127.1.2.3/", true),
        ("", "http://[::1]/", true),
        ("", "http://[::ffff:127.0.0.1]/", true),
        ("", "http://localhost.test/", false),
    ];
    for (no_proxy, url, expected) in table {
        let rule = environment(&[("http_proxy", "http://p:1"), ("no_proxy", no_proxy)]);

        assert_eq!(before(&rule, url).is_empty(), expected, "{no_proxy}: {url}");
    }
}

#[test]
fn a_variable_that_names_no_proxy_is_an_error_where_it_would_be_used() {
    for value in ["socks4://p:1", "ftp://p:1", "http://", "a b", "/"] {
        let rule = environment(&[("https_proxy", value), ("no_proxy", "in.test")]);
        let before = |url: &str| rule.before(&url.parse().expect("a URL"));

        let error = before("https://api.test/").expect_err(value);

        assert_eq!(error, ProxyError::Variable("https_proxy"));
        for unaffected in ["http://api.test/", "https://in.test/", "https://localhost/"] {
            assert!(
                before(unaffected).is_ok_and(|proxy| proxy.is_none()),
                "{value}"
            );
        }
    }
}

#[test]
fn a_written_proxy_is_checked() {
    let table = [
        ("http://p:3128", Ok("http://p:3128/")),
        ("http://p", Ok("http://p/")),
        ("https://p:8443/", Ok("https://p:8443/")),
        ("http://me:pw@p:3128", Ok("http://p:3128/")),
        ("socks5://[::1]", Ok("socks5://[::1]:1080/")),
        ("socks5h://p:9", Ok("socks5h://p:9/")),
        ("p:3128", Err(ProxyError::Scheme)),
        ("socks4://p:1", Err(ProxyError::Scheme)),
        ("p", Err(ProxyError::NoUrl)),
        ("", Err(ProxyError::NoUrl)),
        ("http://", Err(ProxyError::NoUrl)),
        ("http://p/path", Err(ProxyError::Path)),
        ("http://p/?q", Err(ProxyError::Path)),
        ("http://p/#f", Err(ProxyError::Path)),
    ];
    for (text, expected) in table {
        let parsed = Proxy::parse(text, text).map(|proxy| proxy.uri().to_string());

        assert_eq!(parsed, expected.map(str::to_owned), "{text}");
    }
}

#[test]
fn a_written_proxy_stands_before_everything() {
    let rule = ProxyRule::Written(Proxy::parse("http://p:1", "http://p:1").expect("a proxy"));

    for url in ["http://api.test/", "https://api.test/", "http://127.0.0.1/"] {
        assert_eq!(before(&rule, url), "http://p:1/");
    }
}

#[test]
fn user_and_password_are_taken_and_never_shown() {
    let text = "http://me:p%40w@p.test:3128";
    let table = [
        (text, "http://p.test:3128"),
        ("http://${env:LOGIN}@p.test:3128", "http://p.test:3128"),
        ("http://me:${env:P}@${env:HOST}", "http://${env:HOST}"),
        ("${env:PROXY}", "${env:PROXY}"),
    ];
    for (written, label) in table {
        let proxy = Proxy::parse(text, written).expect("a proxy");

        assert_eq!(proxy.label(), label);
        // RFC 7617, section 2: `me:p@w`.
        assert_eq!(proxy.authorization().expect("a login"), "Basic bWU6cEB3");
        assert_eq!(format!("{proxy:?}"), format!("Proxy({label:?})"));
    }
    let rule = environment(&[("http_proxy", text), ("no_proxy", "canary.test")]);
    assert!(!format!("{rule:?}").contains("me:"), "{rule:?}");
}
