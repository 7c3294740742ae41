//! Tokens of OAuth 2.0: fetched from their endpoint, kept, renewed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};
use tracing::debug;

use super::{
    HttpClient, Request,
    lease::{Grant, Lease, Lent},
    settings::NamedFile,
    watch::Watched,
};
use crate::{
    auth::{
        AuthError, AuthSettings,
        oauth2::{Token, TokenRequest, read_answer},
        settings::OAuth2Settings,
    },
    causes::explain,
};

/// A token request, connection and all: less than an attempt has, if nobody says otherwise, so that this is told as what failed.
const LIMIT: Duration = Duration::from_secs(8);

/// The tokens of one endpoint.
#[derive(Debug)]
pub(super) struct Tokens {
    source: Arc<Source>,
    lease: Lease<HeaderValue>,
}

/// Where they come from.
#[derive(Debug)]
struct Source {
    client: HttpClient,
    uri: Uri,
    label: String,
    request: Watched<TokenRequest>,
}

impl Tokens {
    /// Tokens that `client` asks for.
    ///
    /// # Errors
    /// The value that cannot be used.
    pub(super) fn new(client: HttpClient, settings: &OAuth2Settings) -> Result<Self, AuthError> {
        let uri = settings.token_url.as_str().parse();
        let uri = uri.map_err(|_| AuthError::Value {
            field: "token-url",
            reason: "is no URI".to_owned(),
        })?;
        let auth = AuthSettings::OAuth2(settings.clone());
        let files = NamedFile::of_secrets(&auth);
        let request = Watched::new(files, move || match auth.reread()? {
            AuthSettings::OAuth2(settings) => TokenRequest::new(&settings),
            _ => unreachable!("settings stay of their kind"),
        })?;
        let source = Source {
            client,
            uri,
            label: settings.label.clone(),
            request,
        };
        Ok(Self {
            source: Arc::new(source),
            lease: Lease::default(),
        })
    }

    /// A token that is good, as far as anyone knows.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(&self) -> Result<Arc<Lent<HeaderValue>>, String> {
        let source = Arc::clone(&self.source);
        self.lease.get(|| async move { source.fetch().await }).await
    }

    /// Takes a token out of use; whether there is, or may be, a better one.
    pub(super) fn refused(&self, token: &Arc<Lent<HeaderValue>>) -> bool {
        self.lease.refused(token)
    }
}

impl Source {
    async fn fetch(&self) -> Result<Grant<HeaderValue>, String> {
        let request = self.request.get().await;
        let token = match self.ask(&request).await {
            // The client's secret may have been replaced a moment ago.
            Err(why) => match self.request.newer(&request).await {
                Some(newer) => self.ask(&newer).await?,
                None => return Err(why),
            },
            Ok(token) => token,
        };
        debug!(token_url = %self.label, lifetime = ?token.lifetime, "got a token");
        Ok(Grant {
            value: token.authorization,
            lifetime: token.lifetime,
        })
    }

    async fn ask(&self, request: &TokenRequest) -> Result<Token, String> {
        let request = Request {
            method: Method::POST,
            uri: self.uri.clone(),
            headers: request.headers.clone(),
            body: Some(Bytes::from(request.body.clone())),
        };
        let failed = |why: String| format!("no token from `{}`: {why}", self.label);
        match tokio::time::timeout(LIMIT, self.client.send_boxed(request)).await {
            Err(_) => Err(failed(format!("no answer within {LIMIT:?}"))),
            Ok(Err(failure)) => Err(failed(explain(&failure))),
            Ok(Ok(response)) if response.truncated => {
                Err(failed("its answer is too large".to_owned()))
            }
            Ok(Ok(response)) => read_answer(response.status, &response.body).map_err(failed),
        }
    }
}
