//! Endpoints: URL, headers, authentication, limits.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    Checker,
    sink::{bytes, set},
};
use crate::{
    config::{
        problem::Problem,
        shape::endpoint::{CompressionYaml, EndpointYaml},
    },
    http::settings::{Compression, EndpointSettings},
    network::is_framing,
};

impl Checker<'_> {
    pub(super) fn endpoint(&mut self, index: &str, yaml: EndpointYaml) -> Option<EndpointSettings> {
        let at = ["sinks", index, "endpoint", "url"];
        let label = self.written(&at).to_owned();
        let url = match check_url(&yaml.url) {
            Ok(url) => url,
            Err(reason) => {
                self.problems.push(Problem::new(
                    self.mark(&at),
                    format!("`{label}` is no endpoint: {reason}"),
                ));
                return None;
            }
        };
        let mut settings = EndpointSettings::new(url, label);
        for (name, value) in &yaml.headers {
            let path = ["sinks", index, "endpoint", "headers", name];
            let Some(header) = self.header(&path, name, value) else {
                continue;
            };
            if settings.headers.iter().any(|(other, _)| *other == header.0) {
                let message = format!("the header `{name}` stands twice: its case means nothing");
                self.problems.push(Problem::new(self.mark(&path), message));
            }
            settings.headers.push(header);
        }
        let at = ["sinks", index, "endpoint"];
        self.secured(&at, &mut settings, yaml.auth, yaml.tls);
        settings.compression = yaml.compression.map(|compression| match compression {
            CompressionYaml::Gzip => Compression::Gzip,
            CompressionYaml::Zstd => Compression::Zstd,
        });
        set(
            &mut settings.connect_timeout,
            yaml.connect_timeout.map(|span| span.0),
        );
        set(
            &mut settings.max_response_head,
            yaml.max_response_head.and_then(bytes),
        );
        set(
            &mut settings.max_response_body,
            yaml.max_response_body.and_then(bytes),
        );
        Some(settings)
    }

    fn header(
        &mut self,
        path: &[&str],
        name: &str,
        value: &str,
    ) -> Option<(HeaderName, HeaderValue)> {
        match check_header(name, value) {
            Ok(header) => Some(header),
            Err(reason) => {
                self.problems.push(Problem::new(self.mark(path), reason));
                None
            }
        }
    }
}

/// Checks an endpoint's URL. The reason does not repeat it: it may be a secret.
pub(in crate::config) fn check_url(url: &str) -> Result<Url, String> {
    let url: Url = url
        .parse()
        .map_err(|error: url::ParseError| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its scheme is not `http` or `https`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or a password; use `endpoint.auth` instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("it has a fragment (`#…`)".to_owned());
    }
    Ok(url)
}

pub(in crate::config) fn check_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` is no header name"))?;
    if is_framing(&name) {
        return Err(format!("`{name}` is the host's own: it frames the message"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| {
        format!(
            "the value of `{name}` has a character that a header cannot hold, such as a line break"
        )
    })?;
    Ok((name, value))
}
