//! Whose page a request comes from: what keeps a browser from being used against the address (DNS rebinding, CSRF).
//!
//! A name that somebody else owns may come to stand for this address; an IP address and `localhost` cannot. So those are
//! taken, and names only where the module lists them. A page of another origin is refused whatever it asks.

use http::{
    HeaderMap, Version,
    header::{HOST, ORIGIN},
    request::Parts,
    uri::Authority,
};

use super::problem::Refusal;

/// Whether a request may come from where it says it does. `scheme` is that of the address, `names` are those that it is
/// known by.
pub(super) fn check(head: &Parts, scheme: &str, names: &[String]) -> Result<(), Refusal> {
    let host = host(head)?;
    let targets = head.uri.authority().map(Authority::as_str);
    for named in [host, targets].into_iter().flatten() {
        if !is_own(named, names) {
            return Err(Refusal::ForeignHost(named.to_owned()));
        }
    }
    check_origin(&head.headers, |origin| {
        let own = host.map(|host| format!("{scheme}://{host}"));
        own.is_some_and(|own| own.eq_ignore_ascii_case(origin))
    })
}

/// On a Unix socket: no page reaches it, and every host is its own.
pub(super) fn check_unix(head: &Parts) -> Result<(), Refusal> {
    check_origin(&head.headers, |_| false)
}

fn check_origin(headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    for origin in headers.get_all(ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        if !is_own(&origin) {
            return Err(Refusal::ForeignOrigin(origin.into_owned()));
        }
    }
    Ok(())
}

/// What `Host` says; HTTP/1.0 may leave it out, which no browser does.
fn host(head: &Parts) -> Result<Option<&str>, Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::HTTP_10 => Ok(None),
        (Some(host), None) => host.to_str().map(Some).map_err(|_| Refusal::NoHost),
        _ => Err(Refusal::NoHost),
    }
}

fn is_own(host: &str, names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let has_port = authority.as_str() != authority.host();
    if host.contains('@') || (has_port && authority.port_u16().is_none()) {
        return false;
    }
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if bare.unwrap_or(host).parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut own = ["localhost"]
        .into_iter()
        .chain(names.iter().map(String::as_str));
    own.any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_host_is_own_if_nobody_else_can_come_to_have_it() {
        let table = [
            ("127.0.0.1:9464", true),
            ("127.0.0.1", true),
            ("10.1.2.3:80", true),
            ("[::1]:9464", true),
            ("[::1]", true),
            ("localhost:9464", true),
            ("LOCALHOST.", true),
            ("nozzle.internal:9464", true),
            ("Nozzle.Internal", true),
            ("evil.test", false),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test", false),
            ("127.0.0.1@evil.test", false),
            ("user@127.0.0.1", false),
            ("127.1", false),
            ("2130706433", false),
            ("0x7f000001", false),
            ("::1", false),
            ("localhost:port", false),
            ("local host", false),
            ("", false),
        ];
        for (host, expected) in table {
            let names = ["nozzle.internal".to_owned()];
            let checked = check(&head("/", &[("host", host)]), "http", &names);
            assert_eq!(checked.is_ok(), expected, "{host}: {checked:?}");
        }
    }

    #[test]
    fn an_origin_is_own_if_it_is_that_of_the_host() {
        let own = ("host", "localhost:1");
        let table = [
            ("http://localhost:1", true),
            ("HTTP://LOCALHOST:1", true),
            ("http://localhost:2", false),
            ("http://127.0.0.1:1", false),
            ("https://localhost:1", false),
            ("http://evil.test", false),
            ("null", false),
            ("", false),
        ];
        for (origin, expected) in table {
            let checked = check(&head("/", &[own, ("origin", origin)]), "http", &[]);
            assert_eq!(checked.is_ok(), expected, "{origin}");
            let unix = check_unix(&head("/", &[("host", "any"), ("origin", origin)]));
            assert!(unix.is_err(), "{origin}");
        }
    }

    #[test]
    fn a_request_names_one_host_and_its_target_no_other() {
        let none = head("/", &[]);
        let mut old = head("/", &[]);
        old.version = Version::HTTP_10;
        let two = head("/", &[("host", "localhost"), ("host", "localhost")]);
        let other = head("http://evil.test/", &[("host", "localhost")]);
        let same = head("http://localhost/", &[("host", "localhost")]);

        let checked = [&none, &old, &two, &other, &same].map(|head| check(head, "http", &[]));

        assert_eq!(
            checked,
            [
                Err(Refusal::NoHost),
                Ok(()),
                Err(Refusal::NoHost),
                Err(Refusal::ForeignHost("evil.test".to_owned())),
                Ok(())
            ]
        );
    }
}
