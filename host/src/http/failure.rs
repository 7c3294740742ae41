//! From the client's errors to the failures that a plugin and a user can read.
//!
//! # Invariants
//! - No text has the endpoint's host unless the user wrote it in the module file: it may be a secret.
//! - No text has bytes of the endpoint's choice beyond a bound, or a character that a terminal obeys.

use std::{error::Error, io};

use hyper_util::client::legacy;
use url::Url;

use crate::{network::RefusedAddress, outcome::Failure};

/// Characters of a foreign text that are shown.
const SHOWN: usize = 300;

/// What of an endpoint may be said in a failure.
#[derive(Debug)]
pub(super) struct Name {
    /// The URL as configured, without its query.
    label: String,
    /// Whether the label has the host that is connected to.
    host_is_known: bool,
}

impl Name {
    pub(super) fn of(url: &Url, label: &str) -> Self {
        let written = label.parse::<Url>().ok();
        let host = written.as_ref().and_then(Url::host);
        Self {
            label: label
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            host_is_known: host.is_some() && host == url.host(),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }
}

/// Says why no response head came.
pub(super) fn classify(error: &legacy::Error, name: &Name) -> Failure {
    let causes = causes(error);
    let tls = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<rustls::Error>());
    if let Some(tls) = tls {
        return Failure::Tls(explain_tls(tls, name));
    }
    let refused = causes.iter().find_map(|cause| cause.downcast_ref());
    let why = match refused {
        Some(refused) => explain_refused(refused, name),
        None => why(error),
    };
    if error.is_connect() {
        return Failure::Connect(format!("{why} (`{}`)", name.label));
    }
    Failure::Protocol(why)
}

/// Says why the body did not come whole.
pub(super) fn broke_off(error: &hyper::Error) -> Failure {
    Failure::Protocol(format!("the response broke off: {}", why(error)))
}

/// The same of an error that is a cause itself.
pub(super) fn why_boxed(error: &(dyn Error + 'static)) -> String {
    match inner(error) {
        Some(_) => why(error),
        None => bounded(&error.to_string()),
    }
}

/// The deepest cause says most.
fn why(error: &(dyn Error + 'static)) -> String {
    let causes = causes(error);
    let hyper = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(hyper::Error::is_timeout) {
        // The only time limit that is left to hyper.
        return "the endpoint gave no sign of life on the HTTP/2 connection".to_owned();
    }
    let cause = causes.last().copied().unwrap_or(error);
    if let Some(h2) = cause.downcast_ref::<h2::Error>() {
        return explain_h2(h2);
    }
    match cause.downcast_ref::<RefusedAddress>() {
        Some(refused) => without_address(refused),
        None => bounded(&cause.to_string()),
    }
}

/// Every cause, the deepest last.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(inner(error), |cause| inner(*cause)).collect()
}

/// The next cause; an `io::Error` hides the error that it was made from.
fn inner<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(io) = cause.downcast_ref::<io::Error>()
        && let Some(custom) = io.get_ref()
    {
        return Some(custom);
    }
    cause.source()
}

/// The reason in words; never the debug data of a GOAWAY, which is whatever the endpoint likes.
fn explain_h2(error: &h2::Error) -> String {
    let Some(reason) = error.reason() else {
        return bounded(&error.to_string());
    };
    let what = match (error.is_remote(), error.is_go_away()) {
        (true, true) => "the endpoint closed the HTTP/2 connection",
        (true, false) => "the endpoint reset the HTTP/2 stream",
        (false, _) => "the answer was no valid HTTP/2",
    };
    let code = u32::from(reason);
    format!("{what}: {} (code {code})", reason.description())
}

fn explain_tls(error: &rustls::Error, name: &Name) -> String {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    let hint = match error {
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => {
            " (no known root signed it: name the root's PEM file as `endpoint.tls.ca-file`)"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            if !name.host_is_known {
                // The certificate's names tell the host as well as the expected one does.
                return "the certificate is for another name than the endpoint's URL has"
                    .to_owned();
            }
            " (the certificate is for another name than the endpoint's URL has)"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            " (the certificate has expired, or this machine's clock is wrong)"
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol) => {
            " (the endpoint does not speak the HTTP version that `endpoint.http` asks for)"
        }
        _ => "",
    };
    format!("{}{hint}", bounded(&error.to_string()))
}

/// An address of a host that nobody wrote down says as much as its name.
fn explain_refused(refused: &RefusedAddress, name: &Name) -> String {
    match name.host_is_known {
        true => refused.to_string(),
        false => without_address(refused),
    }
}

fn without_address(refused: &RefusedAddress) -> String {
    let kind = refused.kind;
    format!("its address ({kind}) is not dialled: `network.allow` does not list it")
}

/// One line of a bounded length, for a text that the endpoint may have had a hand in.
fn bounded(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown = String::new();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            '"' | '\'' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_is_one_line_of_a_bounded_length() {
        let table = [
            ("it's \"fine\" – so", "it's \"fine\" – so".to_owned()),
            (
                "a\r\nb\u{1b}[2Jc\0\u{202e}d",
                "a\\r\\nb\\u{1b}[2Jc\\0\\u{202e}d".to_owned(),
            ),
            (&"é".repeat(SHOWN), "é".repeat(SHOWN)),
            (&"é".repeat(SHOWN + 1), format!("{}…", "é".repeat(SHOWN))),
        ];
        for (text, expected) in table {
            assert_eq!(bounded(text), expected);
        }
    }

    #[test]
    fn a_host_is_known_only_if_the_user_wrote_it() {
        let table = [
            ("https://api.example/x", "https://api.example/x", true),
            (
                "https://API.example/?k=${env:K}",
                "https://api.example/?k=1",
                true,
            ),
            (
                "https://api.example:${env:PORT}/",
                "https://api.example:8443/",
                false,
            ),
            ("https://${env:HOST}/", "https://api.example/", false),
            ("https://${env:SUB}.example/", "https://api.example/", false),
            ("${Api:url}", "https://api.example/", false),
            ("http://[::1]/", "http://[::1]:80/", true),
        ];
        for (label, url, known) in table {
            let url: Url = url.parse().expect("a URL");

            let name = Name::of(&url, label);

            assert_eq!(name.host_is_known, known, "{label}");
        }
    }
}
