//! Who may ask for what: a decision over the head of a request, before anything of it is done.

use std::sync::OnceLock;

use http::{header::AUTHORIZATION, request::Parts};
use tracing::error;

use super::{
    hosts,
    problem::{Refusal, Where},
    routes::Need,
    settings::{AdminSettings, Listen},
};
use crate::{auth::Secret, causes::explain};

/// What an address asks of those who use it.
#[derive(Debug)]
pub(super) struct Access {
    settings: AdminSettings,
    /// The token of this start, for what changes something; none until the host runs, or if there is another guard.
    own: OnceLock<Secret>,
}

/// What must be shown.
enum Guard {
    /// Nothing: the operating system has seen to it, or it is open to all.
    None,
    Token(Secret, Where),
}

impl Access {
    pub(super) fn new(settings: AdminSettings) -> Self {
        Self {
            settings,
            own: OnceLock::new(),
        }
    }

    /// From now on this token is asked for.
    pub(super) fn guard(&self, token: Secret) {
        // A second one would be of a second start.
        self.own.get_or_init(|| token);
    }

    /// Whether the request comes from where it may.
    pub(super) fn check_source(&self, head: &Parts) -> Result<(), Refusal> {
        match self.settings.listen {
            Listen::Unix(_) => hosts::check_unix(head),
            Listen::Tcp(_) => {
                let scheme = match self.settings.tls {
                    Some(_) => "https",
                    None => "http",
                };
                hosts::check(head, scheme, &self.settings.hosts)
            }
        }
    }

    /// Whether the request shows what is needed.
    pub(super) async fn check(&self, head: &Parts, need: Need) -> Result<(), Refusal> {
        if need == Need::Change && self.settings.read_only {
            return Err(Refusal::ReadOnly);
        }
        let (token, place) = match self.needed(need).await? {
            Guard::None => return Ok(()),
            Guard::Token(token, place) => (token, place),
        };
        match bearer(head) {
            None => Err(Refusal::NoToken(place)),
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err(Refusal::WrongToken(place)),
        }
    }

    async fn needed(&self, need: Need) -> Result<Guard, Refusal> {
        match (&self.settings.token, need) {
            (_, Need::Nothing) => Ok(Guard::None),
            (Some(token), _) => Ok(Guard::Token(reread(token).await?, Where::Module)),
            (None, Need::Change) if self.settings.makes_token() => match self.own.get() {
                Some(token) => Ok(Guard::Token(token.clone(), Where::StateDir)),
                None => Err(Refusal::Starting),
            },
            (None, _) => Ok(Guard::None),
        }
    }
}

/// The token as its files have it now: one that is taken away is good no more.
async fn reread(token: &Secret) -> Result<Secret, Refusal> {
    if token.files().next().is_none() {
        return Ok(token.clone());
    }
    let token = token.clone();
    let read = tokio::task::spawn_blocking(move || token.reread()).await;
    match read.map_err(|error| error.to_string()) {
        Ok(Ok(token)) if !token.reveal().is_empty() => return Ok(token),
        Ok(Ok(_)) => error!("`admin.token` is empty: nobody is let in"),
        Ok(Err(error)) => {
            let error = explain(&error);
            error!(error, "`admin.token` cannot be read: nobody is let in");
        }
        Err(error) => error!(%error, "`admin.token` cannot be read: nobody is let in"),
    }
    Err(Refusal::TokenGone)
}

/// What one `Authorization: Bearer` header holds.
fn bearer(head: &Parts) -> Option<&str> {
    let mut headers = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return None;
    };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
