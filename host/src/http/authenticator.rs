//! Authenticates attempts: holds the keys as their files have them, and what is lent by others.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};

use super::{lease::Lent, settings::NamedFile, tokens::Tokens, watch::Watched};
use crate::{
    auth::{
        AuthError, AuthSettings, Outgoing, Signer,
        sigv4::{Credentials, SigV4},
    },
    causes::explain,
    outcome::Failure,
};

mod chain;

use chain::Chain;

/// Adds to each attempt what shows who sends it.
#[derive(Debug)]
pub(super) struct Authenticator(Kind);

#[derive(Debug)]
enum Kind {
    /// Asks nobody.
    Signer(Watched<Signer>),
    OAuth2(Box<Tokens>),
    Chain(Box<Chain>),
}

/// With what an attempt was authenticated.
pub(super) enum Used {
    Signer(Arc<Signer>),
    Token(Arc<Lent<HeaderValue>>),
    Keys(Arc<Lent<(SigV4, Credentials)>>),
}

impl Authenticator {
    /// An authenticator; `tokens` makes the client that asks for tokens.
    ///
    /// # Errors
    /// The value that cannot be used.
    pub(super) fn new<E: From<AuthError>>(
        settings: &AuthSettings,
        tokens: impl FnOnce(&crate::auth::settings::OAuth2Settings) -> Result<Tokens, E>,
    ) -> Result<Self, E> {
        Ok(Self(match settings {
            AuthSettings::OAuth2(settings) => Kind::OAuth2(Box::new(tokens(settings)?)),
            AuthSettings::AwsSigV4(aws) if aws.credentials.is_none() => {
                Kind::Chain(Box::new(Chain::new(aws)))
            }
            settings => Kind::Signer(signer(settings)?),
        }))
    }

    /// The headers of an attempt, and what they were made with.
    ///
    /// # Errors
    /// When there is no token and no key, or the request cannot be signed. Nothing was sent to the endpoint.
    pub(super) async fn sign(
        &self,
        request: &Outgoing<'_>,
    ) -> Result<(Vec<(HeaderName, HeaderValue)>, Used), Failure> {
        let signed =
            |signed: Result<_, AuthError>| signed.map_err(|error| Failure::Auth(explain(&error)));
        match &self.0 {
            Kind::Signer(watched) => {
                let signer = watched.get().await;
                let headers = signed(signer.sign(request, SystemTime::now()))?;
                Ok((headers, Used::Signer(signer)))
            }
            Kind::OAuth2(tokens) => {
                let token = tokens.get().await.map_err(Failure::Auth)?;
                let headers = vec![(AUTHORIZATION, token.value.clone())];
                Ok((headers, Used::Token(token)))
            }
            Kind::Chain(chain) => {
                let keys = chain.get().await.map_err(Failure::Auth)?;
                let (sigv4, credentials) = &keys.value;
                let headers = signed(sigv4.sign(request, credentials, SystemTime::now()))?;
                Ok((headers, Used::Keys(keys)))
            }
        }
    }

    /// Takes note of the answer to an attempt. Whether the same attempt may do better at once, with other credentials:
    /// the answer said that these are not good, and there are, or may be, newer ones.
    pub(super) async fn answered(&self, status: StatusCode, used: &Used) -> bool {
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        match (&self.0, used) {
            (Kind::Signer(watched), Used::Signer(signer)) => {
                refused && watched.newer(signer).await.is_some()
            }
            // RFC 6750, section 3.1: an invalid token is answered with 401, one that lacks a scope with 403.
            (Kind::OAuth2(tokens), Used::Token(token)) => {
                if status != StatusCode::UNAUTHORIZED {
                    token.accepted();
                    return false;
                }
                tokens.refused(token)
            }
            (Kind::Chain(chain), Used::Keys(keys)) => {
                if !refused {
                    keys.accepted();
                    return false;
                }
                chain.refused(keys).await
            }
            _ => false,
        }
    }
}

fn signer(settings: &AuthSettings) -> Result<Watched<Signer>, AuthError> {
    let settings = settings.clone();
    let files = NamedFile::of_secrets(&settings);
    // The secrets of the configuration are those of its files, read a moment ago.
    Watched::new(files, move || {
        let settings = settings.reread()?;
        Ok(Signer::new(&settings)?.expect("the other kinds are told apart before"))
    })
}
