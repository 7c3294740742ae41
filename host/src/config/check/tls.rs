//! What secures an endpoint: authentication and TLS together.

use super::Checker;
use crate::{
    auth::AuthSettings,
    config::{
        problem::Problem,
        relative,
        shape::auth::{AuthYaml, TlsVersionYaml, TlsYaml},
    },
    http::settings::{ClientCertificate, EndpointSettings, NamedFile, TlsSettings},
};

impl Checker<'_> {
    /// Checks `auth` and `tls` of the endpoint at `at`, whose URL and headers are settled.
    pub(super) fn secured(
        &mut self,
        at: &[&str],
        settings: &mut EndpointSettings,
        auth: Option<AuthYaml>,
        tls: TlsYaml,
    ) {
        let names = settings.headers.iter().map(|(name, _)| name.clone());
        let names: Vec<_> = names.collect();
        settings.auth = auth.and_then(|auth| self.auth(at, auth, &names));
        settings.tls = self.tls(at, tls);
        let at = [at, &["tls"]].concat();
        // A token endpoint is reached with the same; a URL from elsewhere may be another elsewhere.
        let with_tokens = matches!(settings.auth, Some(AuthSettings::OAuth2(_)));
        let http = settings.url.scheme() == "http" && !settings.label.contains("${");
        if http && !with_tokens && self.root.at(&at).is_some() {
            let problem = Problem::new(self.mark(&at), "`tls` has no effect");
            self.problems.push(problem.hint("it is for an `https` URL"));
        }
    }

    fn tls(&mut self, at: &[&str], yaml: TlsYaml) -> TlsSettings {
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
                self.wrong(&at, &[given], message, None);
                None
            }
        };
        if let Some(name) = &yaml.server_name
            && (name.is_empty() || url::Host::parse(name).is_err())
        {
            let message = "`server-name` is neither a DNS name nor an IP address".to_owned();
            self.wrong(&at, &["server-name"], message, None);
        }
        TlsSettings {
            ca_file,
            client,
            server_name: yaml.server_name,
            only_1_3: matches!(yaml.min_version, TlsVersionYaml::Tls13),
        }
    }
}
