//! What a plugin is granted.

use super::{
    Checker,
    sink::{bytes, set},
};
use crate::{
    config::{
        problem::Problem,
        relative,
        shape::grants::{FilesYaml, GrantsYaml, HttpLimitsYaml},
        tree::{Data, Node},
    },
    network::HostPattern,
    plugin::settings::{
        EnvGrant, FilesGrant, GrantSettings, HttpGrant, KeyvalueGrant, PluginLimits,
    },
};

impl Checker<'_> {
    /// The grants of the sink at `index`, whose plugin has `limits`.
    pub(super) fn grants(
        &mut self,
        index: &str,
        sink: &str,
        yaml: GrantsYaml,
        limits: Option<&PluginLimits>,
    ) -> GrantSettings {
        let at = ["sinks", index, "grants"];
        if let Some(mark) = self.root.at(&at).and_then(Node::first_secret) {
            let message = "`grants` holds a `${…}`, and a plugin never sees a secret";
            self.problems.push(Problem::new(mark, message));
        }
        let env = yaml.env.iter().enumerate();
        let env = env.filter_map(|(number, name)| self.granted_variable(&at, number, name));
        GrantSettings {
            sink: sink.to_owned(),
            env: env.collect(),
            http: self.granted_hosts(&at, &yaml.http, yaml.http_limits, limits),
            files: self.granted_folders(&at, &yaml.files),
            clock: yaml.clock,
            random: yaml.random,
            keyvalue: yaml.keyvalue.map(|yaml| {
                let mut grant = KeyvalueGrant::default();
                set(&mut grant.max_entries, yaml.entries);
                set(&mut grant.max_bytes, yaml.bytes.map(|size| size.0));
                grant
            }),
        }
    }

    fn granted_hosts(
        &mut self,
        at: &[&str],
        texts: &[String],
        yaml: Option<HttpLimitsYaml>,
        limits: Option<&PluginLimits>,
    ) -> Option<HttpGrant> {
        let mut hosts = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let number = number.to_string();
            let at = [at, &["http", &number]].concat();
            match HostPattern::parse(text) {
                Ok(pattern) => {
                    if let Some(url) = pattern.url() {
                        self.may_be_dialled(&at, &url);
                    }
                    hosts.push(pattern);
                }
                Err(reason) => {
                    let message = format!("`{}` is no host: {reason}", self.written(&at));
                    let hint = "write `api.example.com`, `*.example.com` or `http://10.0.0.1:8080`";
                    self.wrong(&at, &[], message, Some(hint));
                }
            }
        }
        if hosts.is_empty() {
            if yaml.is_some() && texts.is_empty() {
                let message = "`http-limits` means nothing without `http`".to_owned();
                self.wrong(at, &["http-limits"], message, None);
            }
            return None;
        }
        let mut grant = HttpGrant::new(hosts);
        let is_written = yaml.as_ref().is_some_and(|yaml| yaml.time.is_some());
        if let Some(yaml) = yaml {
            set(&mut grant.max_calls, yaml.calls);
            set(&mut grant.time, yaml.time.map(|span| span.0));
            set(&mut grant.max_request, yaml.request.and_then(bytes));
            set(&mut grant.max_response, yaml.response.and_then(bytes));
        }
        if let Some(limits) = limits.filter(|limits| is_written && limits.time < grant.time) {
            let message = format!(
                "`http-limits.time` ({:?}) is longer than the plugin's whole call may take ({:?})",
                grant.time, limits.time
            );
            let hint = "raise `plugin.limits.time` too";
            self.wrong(at, &["http-limits", "time"], message, Some(hint));
        }
        Some(grant)
    }

    fn granted_variable(&mut self, at: &[&str], number: usize, name: &str) -> Option<EnvGrant> {
        let number = number.to_string();
        let at = [at, &["env", &number]].concat();
        if is_a_secret(self.root, name) {
            let message =
                format!("`{name}` is a secret of this module: it stands in a `${{env:…}}`");
            let hint = "a plugin never sees a secret: the host adds it behind the plugin";
            self.wrong(&at, &[], message, Some(hint));
            return None;
        }
        match (self.env)(name) {
            Some(value) => Some(EnvGrant {
                name: name.to_owned(),
                value,
            }),
            None => {
                let message = format!("the environment variable `{name}` is not set");
                self.wrong(&at, &[], message, None);
                None
            }
        }
    }

    fn granted_folders(&mut self, at: &[&str], yaml: &[FilesYaml]) -> Vec<FilesGrant> {
        let mut folders: Vec<FilesGrant> = Vec::new();
        for (number, folder) in yaml.iter().enumerate() {
            let number = number.to_string();
            let at = [at, &["files", &number, "as"]].concat();
            let guest = &folder.guest;
            let is_plain = guest.strip_prefix('/').is_some_and(|rest| {
                let mut parts = rest.split('/');
                rest.is_empty() || parts.all(|part| !matches!(part, "" | "." | ".."))
            });
            if !is_plain {
                let hint = "write where the plugin finds the folder, such as `/tables`";
                let message = format!("`{guest}` is no place for a folder");
                self.wrong(&at, &[], message, Some(hint));
            }
            if folders.iter().any(|other| other.guest == *guest) {
                let message = format!("`{guest}` stands twice under `files`");
                self.wrong(&at, &[], message, None);
            }
            folders.push(FilesGrant {
                path: relative(&self.folder, &folder.path),
                guest: guest.clone(),
            });
        }
        folders
    }
}

/// Whether the file uses the variable as a `${env:…}`, wherever that is.
fn is_a_secret(node: &Node, name: &str) -> bool {
    match &node.data {
        Data::Text(text) => {
            let references = text.written.split("${env:").skip(1);
            references
                .filter_map(|rest| rest.split('}').next())
                .any(|reference| reference.trim() == name)
        }
        Data::List(items) => items.iter().any(|item| is_a_secret(item, name)),
        Data::Map(entries) => entries.iter().any(|(_, _, item)| is_a_secret(item, name)),
        _ => false,
    }
}
