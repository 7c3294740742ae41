//! How the host is seen from outside.

use super::{Checker, check_url};
use crate::{
    admin::settings::{self, AdminSettings, EXPOSED, Listen, PemFile, ServerTls},
    auth::Secret,
    config::{
        problem::Problem,
        relative,
        shape::{
            admin::{AdminTlsYaml, AdminYaml},
            telemetry::TelemetryYaml,
        },
    },
    http::settings::NamedFile,
    trace::settings::OtlpSettings,
};

/// The shortest token: one that is shorter may be guessed.
const MIN_TOKEN: usize = 16;

impl Checker<'_> {
    pub(super) fn admin(&mut self, yaml: AdminYaml) -> AdminSettings {
        let mut settings = AdminSettings {
            read_only: yaml.read_only,
            ..AdminSettings::default()
        };
        let path = ["admin", "address"];
        if let Some(address) = yaml.address {
            settings.label = self.written(&path).to_owned();
            match settings::parse(&address) {
                Ok(Listen::Unix(path)) => {
                    let path = relative(&self.folder, &path.to_string_lossy());
                    settings.listen = Listen::Unix(path);
                }
                Ok(listen) => settings.listen = listen,
                Err(hint) => {
                    let message = format!("`{}` is no address to listen on", settings.label);
                    let problem = Problem::new(self.mark(&path), message);
                    self.problems.push(problem.hint(hint));
                }
            }
        }
        settings.token = yaml.token.and_then(|token| self.admin_token(&token));
        settings.tls = yaml.tls.map(|tls| self.admin_tls(&tls));
        for (index, name) in yaml.hosts.into_iter().enumerate() {
            let is_name = matches!(url::Host::parse(&name), Ok(url::Host::Domain(_)));
            if is_name {
                settings.hosts.push(name);
            } else {
                let message = format!("`{name}` is no name of a host");
                let hint = "write a DNS name without a port; IP addresses and `localhost` are known anyway";
                self.wrong(
                    &["admin", "hosts"],
                    &[&index.to_string()],
                    message,
                    Some(hint),
                );
            }
        }
        let is_unix = matches!(settings.listen, Listen::Unix(_));
        if is_unix && settings.tls.is_some() {
            let problem = Problem::new(
                self.mark(&["admin", "tls"]),
                "`tls` has no effect on a Unix socket",
            );
            self.problems
                .push(problem.hint("remove it: nothing leaves this machine"));
        }
        if let Some(exposed) = settings.exposed() {
            let message = format!(
                "`{}` must not be served like this: {exposed}",
                settings.label
            );
            let problem = Problem::new(self.mark(&path), message);
            self.problems.push(problem.hint(EXPOSED));
        }
        settings
    }

    /// It is not shown, whatever is wrong with it.
    fn admin_token(&mut self, token: &str) -> Option<Secret> {
        if token.len() >= MIN_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(self.secret(&["admin"], "token", token));
        }
        let message =
            format!("`token` needs {MIN_TOKEN} visible ASCII characters or more, and no spaces");
        self.wrong(
            &["admin"],
            &["token"],
            message,
            Some("make one with `openssl rand -hex 32`"),
        );
        // Something, so that it is not said that there is none.
        Some(Secret::fixed(token))
    }

    fn admin_tls(&self, tls: &AdminTlsYaml) -> ServerTls {
        let file = |key: &str, path: &str| PemFile {
            path: relative(&self.folder, path),
            label: self.written(&["admin", "tls", key]).to_owned(),
        };
        ServerTls {
            cert_file: file("cert-file", &tls.cert_file),
            key_file: file("key-file", &tls.key_file),
        }
    }

    pub(super) fn telemetry(&mut self, yaml: TelemetryYaml) -> OtlpSettings {
        let otlp = yaml.otlp;
        let mut settings = OtlpSettings {
            ca_file: otlp.ca_file.map(|path| NamedFile {
                path: relative(&self.folder, &path),
                label: self.written(&["telemetry", "otlp", "ca-file"]).to_owned(),
            }),
            sample: otlp.sample,
            service_name: otlp.service_name,
            ..OtlpSettings::default()
        };
        if let Some(url) = otlp.endpoint {
            let path = ["telemetry", "otlp", "endpoint"];
            let label = self.written(&path).to_owned();
            match check_url(&url) {
                Ok(url) => {
                    self.may_be_dialled(&path, &url);
                    settings.endpoint = Some((url, label));
                }
                Err(reason) => {
                    let message = format!("`{label}` is no collector: {reason}");
                    self.problems.push(Problem::new(self.mark(&path), message));
                }
            }
        }
        for (name, value) in &otlp.headers {
            let path = ["telemetry", "otlp", "headers", name];
            let header = self.header(&path, name, value);
            settings.headers.extend(header.map(|(name, mut value)| {
                value.set_sensitive(true);
                (name, value)
            }));
        }
        if otlp
            .sample
            .is_some_and(|sample| !(0.0..=1.0).contains(&sample))
        {
            let problem = Problem::new(
                self.mark(&["telemetry", "otlp", "sample"]),
                "`sample` is no share",
            );
            self.problems
                .push(problem.hint("write a number from 0 (none) to 1 (all)"));
        }
        if settings
            .service_name
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            let mark = self.mark(&["telemetry", "otlp", "service-name"]);
            self.problems
                .push(Problem::new(mark, "`service-name` is empty"));
        }
        settings
    }
}
