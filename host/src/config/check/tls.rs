//! TLS to an endpoint.

use super::Checker;
use crate::{
    config::{
        problem::Problem,
        relative,
        shape::auth::{TlsVersionYaml, TlsYaml},
    },
    http::settings::{ClientCertificate, NamedFile, TlsSettings},
};

impl Checker<'_> {
    /// Checks `tls` of the endpoint at `at`.
    pub(super) fn tls(&mut self, at: &[&str], yaml: TlsYaml) -> TlsSettings {
        let at = [at, &["tls"]].concat();
        let named = |key: &'static str, path: Option<String>| {
            path.map(|path| NamedFile {
                path: relative(&self.folder, &path),
                label: self.written(&[&at[..], &[key]].concat()).to_owned(),
            })
        };
        let ca_file = named("ca-file", yaml.ca_file);
        let client = match (
            named("cert-file", yaml.cert_file),
            named("key-file", yaml.key_file),
        ) {
            (Some(cert_file), Some(key_file)) => Some(ClientCertificate {
                cert_file,
                key_file,
            }),
            (None, None) => None,
            (cert, _) => {
                let (given, lacking) = match cert {
                    Some(_) => ("cert-file", "key-file"),
                    None => ("key-file", "cert-file"),
                };
                let message = format!("`{given}` needs a `{lacking}`");
                let mark = self.mark(&[&at[..], &[given]].concat());
                self.problems.push(Problem::new(mark, message));
                None
            }
        };
        if let Some(name) = &yaml.server_name
            && (name.is_empty() || url::Host::parse(name).is_err())
        {
            let mark = self.mark(&[&at[..], &["server-name"]].concat());
            let message = "`server-name` is neither a DNS name nor an IP address";
            self.problems.push(Problem::new(mark, message));
        }
        TlsSettings {
            ca_file,
            client,
            server_name: yaml.server_name,
            only_1_3: matches!(yaml.min_version, TlsVersionYaml::Tls13),
        }
    }
}
