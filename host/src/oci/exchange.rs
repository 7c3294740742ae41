//! Conversations with one registry: every request with what it wants to know, within limits.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
};

use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, LOCATION},
};
use url::{Host, Url};

use super::{
    OciError, Reference,
    challenge::{self, Challenge},
    credentials::{self, Credentials, Found},
    settings::RegistrySettings,
    wire::{Size, checked, client, origin, request, said, within},
};
use crate::{
    http::{HttpClient, Request, Transport},
    outcome::Response,
};

/// Redirects of one blob.
const MAX_HOPS: usize = 5;
/// Where Docker's registry is, which nobody names so.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// One registry, asked about one package.
#[derive(Debug)]
pub struct Registry {
    pub(super) reference: Reference,
    pub(super) origin: Url,
    pub(super) settings: RegistrySettings,
    pub(super) found: Found,
    small: HttpClient,
    large: HttpClient,
    /// What the registry was last content with.
    authorization: Mutex<Option<HeaderValue>>,
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
                self.may_ask(what, &url)?;
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

    /// Whether a place may be asked that the registry has named. What the user has written is permission for that host alone:
    /// a registry that leads into the network of its client is not followed.
    ///
    /// # Errors
    /// When it is an address that is not allowed.
    pub(super) fn may_ask(&self, what: &'static str, to: &Url) -> Result<(), OciError> {
        if to.host() == self.origin.host() {
            return Ok(());
        }
        let address = match to.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(name)) if name.rsplit('.').next() == Some("localhost") => {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            // What a name resolves to is looked at when it is dialled.
            _ => return Ok(()),
        };
        let allowed = self.settings.network.check_answer("", address);
        allowed.map_err(|_| {
            self.redirect(
                what,
                "to an address of its client's network, which `network.allow` does not list",
            )
        })
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
