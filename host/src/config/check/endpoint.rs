//! Endpoints: URL, headers, authentication, limits.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::{
    Checker,
    sink::{bytes, set},
};
use crate::{
    config::{
        EndpointConfig, Places,
        problem::Problem,
        shape::endpoint::{CompressionYaml, EndpointYaml, IdempotencyYaml, NamedEndpointYaml},
    },
    http::settings::{Compression, EndpointSettings},
    network::is_framing,
};

impl Checker<'_> {
    /// One of `endpoints`.
    pub(super) fn named_endpoint(
        &mut self,
        index: usize,
        yaml: NamedEndpointYaml,
    ) -> Option<EndpointConfig> {
        let index = index.to_string();
        let id = self.id(&["endpoints", &index, "id"], &yaml.id);
        let endpoint = self.endpoint(
            &["endpoints", &index],
            format!("endpoint `{}`", yaml.id),
            yaml.endpoint,
        );
        id.and(endpoint)
    }

    /// The endpoint that stands at `place`; `name` is for messages.
    pub(super) fn endpoint(
        &mut self,
        place: &[&str],
        name: String,
        yaml: EndpointYaml,
    ) -> Option<EndpointConfig> {
        let gate = self.gate(place, &yaml.concurrency, &yaml.rate);
        let settings = self.endpoint_settings(place, yaml)?;
        Some(EndpointConfig {
            name,
            settings,
            gate,
            places: Places::of(Places::ENDPOINT, |way| self.mark(&[place, way].concat())),
        })
    }

    fn endpoint_settings(
        &mut self,
        place: &[&str],
        yaml: EndpointYaml,
    ) -> Option<EndpointSettings> {
        let mut settings = self.connections(place, &yaml)?;
        for (name, value) in &yaml.headers {
            let path = [place, &["headers", name]].concat();
            let Some(mut header) = self.header(&path, name, value) else {
                continue;
            };
            // What comes from outside the file is a secret, what stands in it is none.
            let node = self.root.at(&path);
            header
                .1
                .set_sensitive(node.is_some_and(|node| node.first_secret().is_some()));
            if settings.headers.iter().any(|(other, _)| *other == header.0) {
                let message = format!("the header `{name}` stands twice: its case means nothing");
                self.problems.push(Problem::new(self.mark(&path), message));
            }
            settings.headers.push(header);
        }
        self.secured(place, &mut settings, yaml.auth, yaml.tls);
        if let Some(idempotency) = &yaml.idempotency {
            self.idempotency(place, &mut settings, idempotency);
        }
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

    fn idempotency(
        &mut self,
        place: &[&str],
        settings: &mut EndpointSettings,
        yaml: &IdempotencyYaml,
    ) {
        let key = yaml.key_header.as_deref().unwrap_or("Idempotency-Key");
        let attempt = yaml.attempt_header.as_deref();
        let named = [("key-header", Some(key)), ("attempt-header", attempt)];
        let [key, attempt] = named.map(|(at, name)| {
            let path = [place, &["idempotency", at]].concat();
            let (name, _) = self.header(&path, name?, "")?;
            let names = settings.headers.iter().map(|(name, _)| name);
            self.not_under_headers(&path, [&name], names);
            Some(name)
        });
        if key.is_some() && key == attempt {
            let message = "`attempt-header` is the `key-header` too".to_owned();
            self.wrong(place, &["idempotency", "attempt-header"], message, None);
        }
        (settings.key_header, settings.attempt_header) = (key, attempt);
    }

    /// A header that the host sets itself stands under no endpoint's `headers`: the first of `own` that does is a problem.
    pub(super) fn not_under_headers<'a>(
        &mut self,
        at: &[&str],
        own: impl IntoIterator<Item = &'a HeaderName>,
        headers: impl Iterator<Item = &'a HeaderName> + Clone,
    ) {
        let mut own = own.into_iter();
        if let Some(name) = own.find(|name| headers.clone().any(|other| other == *name)) {
            let message = format!("the header `{name}` stands under `headers` too");
            self.wrong(at, &[], message, None);
        }
    }

    pub(super) fn header(
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
    let url: Url = url.parse().map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => {
            "it does not begin with `https://` or `http://`".to_owned()
        }
        error => error.to_string(),
    })?;
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
