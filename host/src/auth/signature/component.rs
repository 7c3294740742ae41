//! What a signature covers: parts of the request's control data, and header fields (RFC 9421, section 2).

use http::{HeaderName, Uri, header::CONTENT_LENGTH};

use crate::auth::{AuthError, signer::Outgoing};

/// A component of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    /// `@method`.
    Method,
    /// `@target-uri`.
    TargetUri,
    /// `@authority`.
    Authority,
    /// `@scheme`.
    Scheme,
    /// `@request-target`.
    RequestTarget,
    /// `@path`.
    Path,
    /// `@query`.
    Query,
    /// `@query-param;name="…"`: the parameter's name.
    QueryParam(String),
    /// A header.
    Field(HeaderName),
}

impl Component {
    /// The derived ones that have no parameter.
    const DERIVED: [(&'static str, Self); 7] = [
        ("@method", Self::Method),
        ("@target-uri", Self::TargetUri),
        ("@authority", Self::Authority),
        ("@scheme", Self::Scheme),
        ("@request-target", Self::RequestTarget),
        ("@path", Self::Path),
        ("@query", Self::Query),
    ];

    /// Reads `@method`, `@query-param;name="x"` or the name of a header.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, component)) = Self::DERIVED.iter().find(|(name, _)| *name == text) {
            return Ok(component.clone());
        }
        let parameter = text
            .strip_prefix("@query-param;name=\"")
            .and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = parameter {
            return Ok(Self::QueryParam(name.to_owned()));
        }
        if text.starts_with('@') {
            let known: Vec<_> = Self::DERIVED
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            return Err(format!(
                "`{text}` is none of {} and `@query-param;name=\"…\"`",
                known.join(", ")
            ));
        }
        match text.parse() {
            Ok(name) if name == http::header::HOST => {
                Err("`host` is not sent as a header everywhere; write `@authority`".to_owned())
            }
            Ok(name) => Ok(Self::Field(name)),
            Err(_) => Err(format!("`{text}` is no header name")),
        }
    }

    /// As it stands in `signature-input`.
    pub(super) fn identifier(&self) -> String {
        match self {
            Self::QueryParam(name) => format!("\"@query-param\";name=\"{}\"", encoded(name)),
            Self::Field(name) => format!("\"{name}\""),
            derived => {
                let known = Self::DERIVED.iter().find(|(_, other)| other == derived);
                format!("\"{}\"", known.map_or("", |(name, _)| name))
            }
        }
    }

    /// Its value; none if the request does not have it.
    pub(super) fn value(&self, request: &Outgoing<'_>) -> Result<Option<String>, AuthError> {
        let uri = request.uri;
        Ok(Some(match self {
            Self::Method => request.method.as_str().to_owned(),
            Self::TargetUri => uri.to_string(),
            Self::Authority => authority(uri),
            Self::Scheme => uri.scheme_str().unwrap_or_default().to_owned(),
            Self::RequestTarget => uri
                .path_and_query()
                .map_or("/", |target| target.as_str())
                .to_owned(),
            Self::Path => match uri.path() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
            Self::Query => format!("?{}", uri.query().unwrap_or_default()),
            Self::QueryParam(name) => {
                let query = uri.query().unwrap_or_default();
                let mut values = url::form_urlencoded::parse(query.as_bytes())
                    .filter(|(other, _)| other == name)
                    .map(|(_, value)| encoded(&value));
                let first = values.next();
                // Section 2.2.8: one that stands twice cannot be covered.
                if values.next().is_some() {
                    let message = format!("its query has the parameter `{name}` twice");
                    return Err(AuthError::Request(message));
                }
                return Ok(first);
            }
            Self::Field(name) => {
                let sent = request.headers.get_all(name).iter();
                let values = sent.map(|value| value.to_str().map(str::trim));
                let Ok(values) = values.collect::<Result<Vec<_>, _>>() else {
                    let message = format!("the value of `{name}` is not visible ASCII");
                    return Err(AuthError::Request(message));
                };
                match values.is_empty() {
                    // The client adds it for every body.
                    true if *name == CONTENT_LENGTH && !request.body.is_empty() => {
                        request.body.len().to_string()
                    }
                    true => return Ok(None),
                    false => values.join(", "),
                }
            }
        }))
    }
}

/// The host and the port, unless it is the scheme's own (section 2.2.3).
fn authority(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    match (uri.port_u16(), uri.scheme_str()) {
        (Some(80), Some("http")) | (Some(443), Some("https")) | (None, _) => host,
        (Some(port), _) => format!("{host}:{port}"),
    }
}

/// Percent-encoded as a form is, a space too (section 2.2.8).
fn encoded(text: &str) -> String {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
}
