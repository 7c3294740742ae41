//! Who asks a registry: the settings' login, or what `docker login` has stored.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::Deserialize;

use super::settings::Login;

/// A user and a password, in the form of a header. `Debug` shows neither.
#[derive(Clone)]
pub(super) struct Credentials {
    /// `Basic …`, marked sensitive.
    pub(super) basic: HeaderValue,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Why the stored credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is none of Docker.
    #[error("`{}` is no configuration file of Docker: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why, without what it holds.
        reason: String,
    },
}

/// What was found for a registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) credentials: Option<Credentials>,
    /// The program that has them, in place of the file.
    pub(super) helper: Option<String>,
}

impl Credentials {
    fn new(user: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        let mut basic = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is ASCII");
        basic.set_sensitive(true);
        Self { basic }
    }

    pub(super) fn of(login: &Login) -> Self {
        Self::new(login.user.reveal(), login.password.reveal())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry")
    }
}

/// Docker's configuration file, wherever the environment says it is.
pub(super) fn docker_config() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = named("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(named("HOME")?).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// What the file has for a registry; nothing, if there is no file.
///
/// # Errors
/// When the file is there and cannot be used.
pub(super) async fn stored(path: &Path, registry: &str) -> Result<Found, CredentialsError> {
    let text = match tokio::fs::read(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(source) => {
            return Err(CredentialsError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    find(&text, registry).map_err(|reason| CredentialsError::Format {
        path: path.to_owned(),
        reason,
    })
}

fn find(text: &[u8], registry: &str) -> Result<Found, String> {
    // Its message may show a value: a secret.
    let place = |error: serde_json::Error| {
        format!(
            "it cannot be read at line {}, column {}",
            error.line(),
            error.column()
        )
    };
    let config: DockerConfig = serde_json::from_slice(text).map_err(place)?;
    // Docker writes the key of its own registry as a URL, and of others as they are named.
    let host = |key: &str| {
        let rest = key
            .strip_prefix("https://")
            .or_else(|| key.strip_prefix("http://"));
        let rest = rest.unwrap_or(key);
        let host = rest.split('/').next().unwrap_or_default();
        if host == "index.docker.io" {
            "docker.io".to_owned()
        } else {
            host.to_owned()
        }
    };
    let mut entries = config.auths.iter();
    let entry = entries.find(|(key, _)| host(key) == registry);
    let mut found = Found::default();
    if let Some((_, entry)) = entry {
        found.credentials = entry.credentials(registry)?;
    }
    if found.credentials.is_none() {
        let helper = config.cred_helpers.get(registry).cloned();
        found.helper = helper.or(config.creds_store);
    }
    Ok(found)
}

impl Entry {
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, String> {
        if self.auth.is_empty() {
            let is_there = !self.username.is_empty();
            return Ok(is_there.then(|| Credentials::new(&self.username, &self.password)));
        }
        let wrong = || format!("`auth` of `{registry}` is no base64 of `user:password`");
        let pair = STANDARD.decode(self.auth.trim()).map_err(|_| wrong())?;
        let pair = String::from_utf8(pair).map_err(|_| wrong())?;
        let (user, password) = pair.split_once(':').ok_or_else(wrong)?;
        Ok(Some(Credentials::new(
            user,
            password.trim_end_matches('\0'),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_gets_its_own_credentials_alone() {
        let config = br#"{
            "auths": {
                "https://index.docker.io/v1/": { "auth": "aHViOnNlY3JldA==" },
                "r.example:5000": { "auth": "bWU6cHc6d2l0aDpjb2xvbnM=" },
                "plain.example": { "username": "u", "password": "p" },
                "stored.example": {}
            },
            "credsStore": "desktop",
            "credHelpers": { "ecr.example": "ecr-login" }
        }"#;
        for (registry, pair, helper) in [
            ("docker.io", Some("hub:secret"), None),
            ("r.example:5000", Some("me:pw:with:colons"), None),
            ("plain.example", Some("u:p"), None),
            ("r.example", None, Some("desktop")),
            ("stored.example", None, Some("desktop")),
            ("ecr.example", None, Some("ecr-login")),
        ] {
            let found = find(config, registry).expect("it is valid");

            let basic = found.credentials.map(|it| it.basic);
            let expected = pair.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
            assert_eq!(
                basic.as_ref().and_then(|it| it.to_str().ok()),
                expected.as_deref()
            );
            assert_eq!(found.helper.as_deref(), helper, "{registry}");
        }
    }

    #[test]
    fn a_broken_file_is_refused_without_what_it_holds() {
        for config in [
            r#"{ "auths": { "r": { "auth": "canary-secret" } } }"#,
            r#"{ "auths": { "r": { "auth": "Y2FuYXJ5LXNlY3JldA==" } } }"#,
            r#"{ "auths": { "r": { "auth": ["canary-secret"] } } }"#,
            r#"{ "auths": "canary-secret" }"#,
            "canary-secret",
        ] {
            let refused = find(config.as_bytes(), "r").expect_err(config);

            assert!(!refused.contains("canary"), "{refused}");
        }
    }
}
