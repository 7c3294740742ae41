//! How a registry is reached, checked: built by `config` and the command line.

use std::{path::PathBuf, sync::Arc};

use crate::{
    auth::Secret,
    http::settings::NamedFile,
    network::{AddressKind, AddressRules, Allowed},
};

/// How a registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Who asks. Without it, the configuration file of Docker says it.
    pub login: Option<Login>,
    /// A PEM file with further roots, beside the platform's.
    pub ca_file: Option<NamedFile>,
    /// Whether TLS is not spoken. Without it: for a registry on this machine, unless there is a `ca_file`.
    pub plain_http: Option<bool>,
    /// Which addresses may be dialled.
    pub network: Arc<AddressRules>,
}

impl RegistrySettings {
    /// Those of a command line: a user and a password, and a file of roots by its path.
    pub fn new(
        login: Option<(&str, &str)>,
        ca_file: Option<PathBuf>,
        plain_http: Option<bool>,
    ) -> Self {
        Self {
            login: login.map(|(user, password)| Login {
                user: Secret::fixed(user),
                password: Secret::fixed(password),
            }),
            ca_file: ca_file.map(NamedFile::new),
            plain_http,
            // Who types a registry's name means that registry, in the own network too.
            network: Arc::new(AddressRules::new(vec![Allowed::Kind(AddressKind::Private)])),
        }
    }
}

/// A user of a registry. `Debug` shows no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: Secret,
    /// The password, or a token in its place.
    pub password: Secret,
}
