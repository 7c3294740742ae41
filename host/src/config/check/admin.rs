//! How the host is seen from outside.

use super::{Checker, check_url};
use crate::{
    admin::settings::{self, AdminSettings},
    config::{
        problem::Problem,
        relative,
        shape::{admin::AdminYaml, telemetry::TelemetryYaml},
    },
    http::settings::NamedFile,
    trace::settings::OtlpSettings,
};

impl Checker<'_> {
    pub(super) fn admin(&mut self, yaml: AdminYaml) -> AdminSettings {
        let Some(address) = yaml.address else {
            return AdminSettings::default();
        };
        let path = ["admin", "address"];
        let label = self.written(&path).to_owned();
        match settings::parse(&address) {
            Ok(address) => AdminSettings { address, label },
            Err(hint) => {
                let message = format!("`{label}` is no address to listen on");
                let problem = Problem::new(self.mark(&path), message);
                self.problems.push(problem.hint(hint));
                AdminSettings::default()
            }
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
