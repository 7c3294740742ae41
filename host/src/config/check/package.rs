//! Where a plugin comes from, and whose signature it must have.

use std::sync::Arc;

use super::Checker;
use crate::{
    config::{
        relative,
        shape::sink::{PluginYaml, RegistryYaml, SignatureYaml},
    },
    http::settings::NamedFile,
    oci::{
        CosignKey, Reference,
        settings::{Login, RegistrySettings},
    },
    plugin::{
        MinisignKey,
        settings::{PackageSettings, PluginSource, SignatureKey},
    },
};

impl Checker<'_> {
    /// The source of a sink's plugin.
    pub(super) fn source(&mut self, index: &str, yaml: &PluginYaml) -> Option<PluginSource> {
        let at = ["sinks", index, "plugin"];
        if !Reference::is_meant(&yaml.path) {
            if yaml.registry.is_some() {
                let message = "`registry` means nothing for a file".to_owned();
                let hint = "a package is named by `path: oci://registry/repository:tag@sha256:…`";
                self.wrong(&at, &["registry"], message, Some(hint));
            }
            return Some(PluginSource::File(relative(&self.folder, &yaml.path)));
        }
        let registry = self.registry(&at, yaml.registry.as_ref());
        let reference = match Reference::parse(&yaml.path) {
            Ok(reference) => reference,
            Err(error) => {
                let written = self.written(&[&at[..], &["path"]].concat());
                // What was filled in may be a secret.
                let message = match written == yaml.path {
                    true => format!("`{written}` is no package: {error}"),
                    false => format!("`{written}` is no package"),
                };
                let hint = "write `oci://registry/repository:tag@sha256:…`";
                self.wrong(&at, &["path"], message, Some(hint));
                return None;
            }
        };
        Some(PluginSource::Package(Box::new(PackageSettings {
            reference,
            registry: registry?,
        })))
    }

    fn registry(&mut self, at: &[&str], yaml: Option<&RegistryYaml>) -> Option<RegistrySettings> {
        let Some(yaml) = yaml else {
            return Some(RegistrySettings::default());
        };
        let at = [at, &["registry"]].concat();
        let login = match (&yaml.user, &yaml.password) {
            (Some(user), Some(password)) => Some(Login {
                user: self.secret(&at, "user", user),
                password: self.secret(&at, "password", password),
            }),
            (None, None) => None,
            (user, _) => {
                let (given, lacking) = match user {
                    Some(_) => ("user", "password"),
                    None => ("password", "user"),
                };
                let message = format!("`{given}` needs a `{lacking}`");
                self.wrong(&at, &[given], message, None);
                return None;
            }
        };
        if yaml.plain_http == Some(true) && yaml.ca_file.is_some() {
            let message = "`ca-file` has no effect without TLS".to_owned();
            self.wrong(
                &at,
                &["ca-file"],
                message,
                Some("remove it, or `plain-http`"),
            );
        }
        Some(RegistrySettings {
            login,
            ca_file: yaml.ca_file.as_deref().map(|path| NamedFile {
                path: relative(&self.folder, path),
                label: self.written(&[&at[..], &["ca-file"]].concat()).to_owned(),
            }),
            plain_http: yaml.plain_http,
            network: Arc::clone(&self.network),
        })
    }

    /// The key that a plugin must be signed with: nothing if it is wrong, else perhaps none.
    pub(super) fn signature(
        &mut self,
        index: &str,
        yaml: Option<SignatureYaml>,
        source: Option<&PluginSource>,
    ) -> Option<Option<SignatureKey>> {
        let Some(yaml) = yaml else {
            return Some(None);
        };
        let at = ["sinks", index, "plugin", "signature"];
        match (yaml.minisign, yaml.cosign) {
            (Some(text), None) => match MinisignKey::parse(&text) {
                Ok(key) => Some(Some(SignatureKey::Minisign(key))),
                Err(error) => {
                    let message = format!("`minisign` holds no key: {error}");
                    let hint = "it is the last line of `minisign.pub`";
                    self.wrong(&at, &["minisign"], message, Some(hint));
                    None
                }
            },
            (None, Some(text)) => {
                self.pinned_for_cosign(&at, source);
                match CosignKey::parse(&text) {
                    Ok(key) => Some(Some(SignatureKey::Cosign(key))),
                    Err(error) => {
                        let message = format!("`cosign` holds no key: {error}");
                        let hint = "write `${file:cosign.pub}`, the file that `cosign generate-key-pair` makes";
                        self.wrong(&at, &["cosign"], message, Some(hint));
                        None
                    }
                }
            }
            _ => {
                let message = "`signature` needs exactly one of `minisign` and `cosign`".to_owned();
                self.wrong(&at, &[], message, None);
                None
            }
        }
    }

    fn pinned_for_cosign(&mut self, at: &[&str], source: Option<&PluginSource>) {
        let (message, hint) = match source {
            None => return,
            Some(PluginSource::File(_)) => (
                "`cosign` signs packages, not files",
                "sign the file with minisign, or push it: `nozzle plugin push FILE oci://…`",
            ),
            Some(PluginSource::Package(package)) if package.reference.digest().is_none() => (
                "`cosign` signs a manifest, and `path` pins none",
                "write the manifest's digest behind the tag: `oci://registry/repository:tag@sha256:…`",
            ),
            Some(PluginSource::Package(_)) => return,
        };
        self.wrong(at, &["cosign"], message.to_owned(), Some(hint));
    }
}
