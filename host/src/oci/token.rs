//! Tokens: asked for at the service that a registry names.

use http::{HeaderValue, Method, header::AUTHORIZATION};
use serde::Deserialize;
use url::Url;

use super::{
    OciError, Registry,
    manifest::shown,
    wire::{Size, client, origin, request, within},
};
use crate::http::Transport;

/// An answer of a token service.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// A token of a service, for a scope.
    ///
    /// # Errors
    /// When there is none, or the service is not one that credentials may go to.
    pub(super) async fn token(
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
        self.may_ask("token", &url)?;
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
}
