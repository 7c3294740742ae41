//! How a registry is reached, checked: built by `config` and the command line.

use crate::{auth::Secret, http::settings::NamedFile};

/// How a registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Who asks. Without it, the configuration file of Docker says it.
    pub login: Option<Login>,
    /// A PEM file with further roots, beside the platform's.
    pub ca_file: Option<NamedFile>,
    /// Whether TLS is not spoken. Without it: for a registry on this machine, unless there is a `ca_file`.
    pub plain_http: Option<bool>,
}

/// A user of a registry. `Debug` shows no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: Secret,
    /// The password, or a token in its place.
    pub password: Secret,
}
