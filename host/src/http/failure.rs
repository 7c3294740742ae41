//! From the client's errors to the failures that a plugin and a user can read.

use std::{error::Error, io};

use hyper_util::client::legacy;

use crate::outcome::Failure;

/// Says what went wrong, without the URL: it may hold a secret. `label` is the URL as configured.
pub(super) fn classify(error: &legacy::Error, label: &str) -> Failure {
    let causes: Vec<&(dyn Error + 'static)> =
        std::iter::successors(error.source(), |cause| inner(*cause)).collect();
    let tls = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<rustls::Error>());
    if let Some(tls) = tls {
        return Failure::Tls(explain_tls(tls));
    }
    let last = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() {
        let at = label.split(['?', '#']).next().unwrap_or_default();
        return Failure::Connect(format!("{last} (`{at}`)"));
    }
    Failure::Protocol(last)
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

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    let hint = match error {
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => {
            " (no known root signed it: name the root's PEM file as `endpoint.ca-file`)"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            " (the certificate is for another name than the endpoint's URL has)"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            " (the certificate has expired, or this machine's clock is wrong)"
        }
        _ => "",
    };
    format!("{error}{hint}")
}
