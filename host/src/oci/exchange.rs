//! Conversations with one registry: every request with what it wants to know, within limits.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{ACCEPT, AUTHORIZATION, LOCATION},
};
use serde::Deserialize;
use url::Url;

use super::{
    MAX_COMPONENT, OciError, Reference,
    challenge::{self, Challenge},
    credentials::{self, Credentials, Found},
    manifest::{self, MAX_MANIFEST, shown},
    settings::RegistrySettings,
};
use crate::{
    http::{
        HttpClient, Request, Transport,
        settings::{EndpointSettings, Environment, ProxyRule},
    },
    outcome::{Failure, Response},
};

/// What is not as large as a component.
const SHORT: Duration = Duration::from_secs(30);
/// A component, up or down.
const LONG: Duration = Duration::from_secs(300);
/// Redirects of one blob.
const MAX_HOPS: usize = 5;
/// Where Docker's registry is, which nobody names so.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// A manifest, an error, a token.
    Small,
    /// A component.
    Large,
}

impl Size {
    fn limit(self) -> (Duration, usize) {
        match self {
            Self::Small => (SHORT, MAX_MANIFEST),
            Self::Large => (LONG, MAX_COMPONENT),
        }
    }
}

/// One registry, asked about one package.
#[derive(Debug)]
pub struct Registry {
    pub(super) reference: Reference,
    origin: Url,
    settings: RegistrySettings,
    found: Found,
    small: HttpClient,
    large: HttpClient,
    /// What the registry was last content with.
    authorization: Mutex<Option<HeaderValue>>,
}

/// An answer of a token service.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// The registry of `reference`. Nothing is sent.
    ///
    /// # Errors
    /// When the credentials, the roots or the proxy cannot be used.
    pub async fn open(
        reference: &Reference,
        settings: &RegistrySettings,
    ) -> Result<Self, OciError> {
        let registry = reference.registry();
        let is_private = settings.ca_file.is_some();
        let is_plain = settings
            .plain_http
            .unwrap_or(reference.is_loopback() && !is_private);
        let host = if registry == DOCKER.0 {
            DOCKER.1
        } else {
            registry
        };
        let scheme = if is_plain { "http" } else { "https" };
        let origin = format!("{scheme}://{host}/").parse();
        let origin: Url = origin.expect("a reference has a host");
        let found = match (&settings.login, credentials::docker_config()) {
            (Some(login), _) => Found {
                credentials: Some(Credentials::of(login)),
                helper: None,
            },
            (None, Some(path)) => {
                let stored = credentials::stored(&path, registry).await;
                stored.map_err(|source| OciError::Credentials {
                    registry: registry.to_owned(),
                    source,
                })?
            }
            (None, None) => Found::default(),
        };
        Ok(Self {
            small: client(&origin, settings, Size::Small)?,
            large: client(&origin, settings, Size::Large)?,
            reference: reference.clone(),
            origin,
            settings: settings.clone(),
            found,
            authorization: Mutex::default(),
        })
    }

    pub(super) fn name(&self) -> String {
        self.reference.registry().to_owned()
    }

    pub(super) fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    /// A URL of the package's repository.
    pub(super) fn url(&self, rest: &str) -> Url {
        let path = format!("v2/{}/{rest}", self.reference.repository());
        let url = self.origin.join(&path);
        url.expect("a repository, a tag and a digest have plain characters")
    }

    /// Asks for something of the repository, and takes the answer whatever it says.
    ///
    /// # Errors
    /// When none came, or the registry was told who asks, and refuses all the same.
    pub(super) async fn send(
        &self,
        what: &'static str,
        request: Request,
        size: Size,
    ) -> Result<Response, OciError> {
        let client = match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        };
        let mut first = true;
        loop {
            let authorization = self.authorization().clone();
            let knows = authorization.is_some();
            let mut request = request.clone();
            if let Some(value) = authorization {
                request.headers.insert(AUTHORIZATION, value);
            }
            let name = self.reference.registry();
            let response = within(name, what, client.send(request), size).await?;
            if !matches!(response.status, 401 | 403) {
                return Ok(response);
            }
            let challenge = challenge::read(&response.headers);
            let challenge =
                challenge.filter(|_| std::mem::take(&mut first) && response.status == 401);
            let authorization = match challenge {
                None => None,
                Some(Challenge::Basic) => {
                    self.found.credentials.as_ref().map(|it| it.basic.clone())
                }
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }) => Some(
                    self.token(&realm, service.as_deref(), scope.as_deref())
                        .await?,
                ),
            };
            let Some(authorization) = authorization else {
                return Err(OciError::Refused {
                    registry: self.name(),
                    what,
                    status: response.status,
                    said: said(&response.body),
                    knows: knows || self.found.credentials.is_some(),
                    helper: self.found.helper.clone(),
                });
            };
            *self.authorization() = Some(authorization);
        }
    }

    /// A GET that follows redirects: registries keep their blobs elsewhere.
    ///
    /// # Errors
    /// When no answer came that is no redirect.
    pub(super) async fn get(
        &self,
        what: &'static str,
        mut url: Url,
        size: Size,
    ) -> Result<Response, OciError> {
        for _ in 0..MAX_HOPS {
            let request = request(Method::GET, &url, None);
            let response = if url.origin() == self.origin.origin() {
                self.send(what, request, size).await?
            } else {
                // Without what is for the registry alone.
                let client = client(&url, &self.settings, size)?;
                within(&origin(&url), what, client.send(request), size).await?
            };
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return checked(what, response, size);
            }
            url = self.redirected(what, &url, &response.headers)?;
        }
        Err(self.redirect(what, "in a circle, or more than 5 times"))
    }

    /// Where a redirect leads.
    ///
    /// # Errors
    /// When it is not followed.
    pub(super) fn redirected(
        &self,
        what: &'static str,
        from: &Url,
        headers: &HeaderMap,
    ) -> Result<Url, OciError> {
        let to = self.location(what, from, headers)?;
        if from.scheme() == "https" && to.scheme() != "https" {
            return Err(self.redirect(what, "from TLS to a connection without it"));
        }
        Ok(to)
    }

    /// Where an answer sends, resolved.
    ///
    /// # Errors
    /// When that is no URL of HTTP, or one with a user.
    fn location(
        &self,
        what: &'static str,
        from: &Url,
        headers: &HeaderMap,
    ) -> Result<Url, OciError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| from.join(location).ok());
        let is_followed = |url: &Url| {
            let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
            is_http && url.username().is_empty() && url.password().is_none()
        };
        let url = url.filter(is_followed);
        let mut url = url.ok_or_else(|| self.redirect(what, "to what is no URL of HTTP"))?;
        url.set_fragment(None);
        Ok(url)
    }

    /// Whether a URL is of the registry itself.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.origin.origin()
    }

    fn redirect(&self, what: &'static str, reason: &'static str) -> OciError {
        OciError::Redirect {
            registry: self.name(),
            what,
            reason,
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<HeaderValue, OciError> {
        let failed = |reason: String| OciError::Token {
            registry: self.name(),
            reason,
        };
        let mut url: Url = realm
            .parse()
            .map_err(|_| failed(format!("its service `{}` is no URL", shown(realm))))?;
        let is_secure = url.scheme() == "https" || self.origin.scheme() == "http";
        if !(is_secure && matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return Err(failed(format!(
                "its service `{}` is not reached over TLS",
                shown(&origin(&url))
            )));
        }
        for (name, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut request = request(Method::GET, &url, None);
        if let Some(credentials) = &self.found.credentials {
            request
                .headers
                .insert(AUTHORIZATION, credentials.basic.clone());
        }
        let client = client(&url, &self.settings, Size::Small)?;
        let service = shown(&origin(&url));
        let sent = client.send(request);
        let response = within(&service, "token", sent, Size::Small).await?;
        if response.status != 200 {
            let status = response.status;
            return Err(failed(format!(
                "its service `{service}` answers with the status {status}"
            )));
        }
        let answer: Option<TokenAnswer> = serde_json::from_slice(&response.body).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        let header = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        let mut header =
            header.ok_or_else(|| failed("its service answers with none".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn authorization(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that is none of success, as an error.
    pub(super) fn status(&self, what: &'static str, response: &Response) -> OciError {
        let (registry, said) = (self.name(), said(&response.body));
        match response.status {
            404 => OciError::NotFound {
                registry,
                what,
                said,
            },
            status => OciError::Status {
                registry,
                what,
                status,
                said,
            },
        }
    }
}

/// A request with the types of manifests that are understood.
pub(super) fn request(method: Method, url: &Url, body: Option<Bytes>) -> Request {
    let uri: Uri = url.as_str().parse().expect("a URL of HTTP is a URI");
    let accept = (ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
    Request {
        method,
        uri,
        headers: HeaderMap::from_iter([accept]),
        body,
    }
}

/// A client of one origin; no text of it shows more of the URL, which may be signed.
pub(super) fn client(
    url: &Url,
    settings: &RegistrySettings,
    size: Size,
) -> Result<HttpClient, OciError> {
    let mut base = url.clone();
    base.set_path("/");
    base.set_query(None);
    let label = origin(url);
    let mut endpoint = EndpointSettings::new(base, label.clone());
    let environment = Environment::read(|name| std::env::var(name).ok());
    endpoint.proxy = ProxyRule::Environment(environment);
    endpoint.tls.ca_file.clone_from(&settings.ca_file);
    endpoint.max_response_body = size.limit().1;
    HttpClient::new(&endpoint, 1).map_err(|source| OciError::Client {
        registry: label,
        source,
    })
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// One attempt, within its limit.
pub(super) async fn within(
    registry: &str,
    what: &'static str,
    sent: impl Future<Output = Result<Response, Failure>>,
    size: Size,
) -> Result<Response, OciError> {
    let (limit, _) = size.limit();
    let registry = registry.to_owned();
    match tokio::time::timeout(limit, sent).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(failure)) => Err(OciError::Failed {
            registry,
            what,
            source: reworded(failure),
        }),
        Err(_) => Err(OciError::TimedOut {
            registry,
            what,
            seconds: limit.as_secs(),
        }),
    }
}

/// Without the keys of an endpoint, which are not those of a registry.
fn reworded(failure: Failure) -> Failure {
    let keys = [
        " (`endpoint.connect-timeout`)",
        ": name the root's PEM file as `endpoint.tls.ca-file`",
    ];
    let plain = |text: String| keys.iter().fold(text, |text, key| text.replace(key, ""));
    match failure {
        Failure::Connect(text) => Failure::Connect(plain(text)),
        Failure::Tls(text) => Failure::Tls(plain(text)),
        other => other,
    }
}

fn checked(what: &'static str, response: Response, size: Size) -> Result<Response, OciError> {
    match response.truncated {
        true => Err(OciError::TooLarge {
            what,
            limit: size.limit().1,
        }),
        false => Ok(response),
    }
}

/// What the registry says itself about an error, as an addition to a sentence.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let errors: Option<Errors> = serde_json::from_slice(body).ok();
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    let words = first.and_then(|one| one.message.filter(|text| !text.is_empty()).or(one.code));
    words.map_or(String::new(), |words| format!(": «{}»", shown(&words)))
}
