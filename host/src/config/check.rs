//! From the file's shape to settings: what a schema cannot say is checked here.

mod admin;
mod auth;
mod connections;
mod delivery;
mod destination;
mod egress;
mod endpoint;
mod endpoints;
mod gate;
mod grants;
mod ingress;
mod kinesis;
mod limits;
mod network;
mod package;
mod router;
mod sink;
mod tls;

pub(super) use endpoint::{check_header, check_url};
pub(super) use ingress::default_fields;

use std::{path::PathBuf, sync::Arc};

use self::sink::Ids;
use super::{
    Id, IngressConfig, Module, SinkConfig,
    interpolate::Sources,
    problem::{Mark, Problem},
    shape::ModuleYaml,
    tree::Node,
};
use crate::{http::settings::Environment, network::AddressRules};

/// Collects problems while it turns the shape into settings.
pub(super) struct Checker<'a> {
    root: &'a Node,
    folder: PathBuf,
    /// What the environment says of proxies.
    environment: Environment,
    /// Reads a variable of the environment.
    env: fn(&str) -> Option<String>,
    /// Which addresses may be dialled; set before the first URL is looked at.
    network: Arc<AddressRules>,
    /// Whether nothing was left out of what is checked: otherwise it is not known what nobody names.
    is_whole: bool,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(root: &'a Node, sources: &Sources, is_whole: bool) -> Self {
        Self {
            root,
            folder: sources.folder.clone(),
            environment: Environment::read(sources.env),
            env: sources.env,
            network: Arc::default(),
            is_whole,
            problems: Vec::new(),
        }
    }

    pub(super) fn module(mut self, yaml: ModuleYaml) -> Result<Module, Vec<Problem>> {
        if yaml.version != "1" {
            let problem = Problem::new(
                self.mark(&["version"]),
                format!("version `{}` is not known", yaml.version),
            );
            self.problems
                .push(problem.hint("this version of Nozzle reads `version: \"1\"`"));
        }
        self.network = self.network(&yaml.network);
        for (list, empty) in [
            ("ingresses", yaml.ingresses.is_empty()),
            ("sinks", yaml.sinks.is_empty()),
        ] {
            if empty {
                self.problems.push(Problem::new(
                    self.mark(&[list]),
                    format!("`{list}` is empty: there is nothing to do"),
                ));
            }
        }
        let endpoint_ids: Vec<String> = yaml
            .endpoints
            .iter()
            .map(|endpoint| endpoint.id.clone())
            .collect();
        let sink_ids: Vec<String> = yaml.sinks.iter().map(|sink| sink.id.clone()).collect();
        let egress_ids: Vec<String> = yaml
            .egresses
            .iter()
            .map(|egress| egress.id.clone())
            .collect();
        self.unique(
            "ingresses",
            yaml.ingresses.iter().map(|ingress| &*ingress.id),
        );
        self.unique("endpoints", endpoint_ids.iter().map(String::as_str));
        self.unique("sinks", sink_ids.iter().map(String::as_str));
        self.unique("egresses", egress_ids.iter().map(String::as_str));

        let ingresses: Vec<_> = yaml
            .ingresses
            .into_iter()
            .enumerate()
            .map(|(index, yaml)| self.ingress(index, yaml, &sink_ids, &egress_ids))
            .collect();
        // All of them, so that an index is the same before and after: those that are wrong end in an error.
        let mut endpoints: Vec<_> = yaml
            .endpoints
            .into_iter()
            .enumerate()
            .map(|(index, yaml)| self.named_endpoint(index, yaml))
            .collect();
        let sinks: Vec<_> = yaml
            .sinks
            .into_iter()
            .enumerate()
            .map(|(index, yaml)| {
                let ids = Ids {
                    sinks: &sink_ids,
                    egresses: &egress_ids,
                    endpoints: &endpoint_ids,
                };
                self.sink(index, yaml, &ids, &mut endpoints)
            })
            .collect();
        let egresses: Vec<_> = yaml
            .egresses
            .into_iter()
            .enumerate()
            .map(|(index, yaml)| self.egress(index, yaml))
            .collect();

        let progress = self.progress(yaml.progress);
        let admin = yaml.admin.map(|yaml| self.admin(yaml));
        let telemetry = yaml.telemetry.map(|yaml| self.telemetry(yaml));

        let ingresses: Vec<_> = ingresses.into_iter().flatten().collect();
        let sinks: Vec<_> = sinks.into_iter().flatten().collect();
        if self.problems.is_empty() {
            self.circles(&sinks);
        }
        for (index, id) in sink_ids.iter().enumerate() {
            if self.is_right() && !is_used(index, &ingresses, &sinks) {
                let mark = self.mark(&["sinks", &index.to_string(), "id"]);
                let problem = Problem::new(mark, format!("no router sends events to `{id}`"));
                self.problems
                    .push(problem.hint("name it under `to` in a router of an ingress"));
            }
        }
        for (index, id) in endpoint_ids.iter().enumerate() {
            if self.is_right() && !sinks.iter().any(|sink| sink.uses(index)) {
                let mark = self.mark(&["endpoints", &index.to_string(), "id"]);
                let problem = Problem::new(mark, format!("no sink sends to `{id}`"));
                self.problems.push(problem.hint(
                    "name it as the `endpoint` of a sink, or under its `endpoints`, or remove it",
                ));
            }
        }
        let egresses: Vec<_> = egresses.into_iter().flatten().collect();
        self.one_user_each(&ingresses, &egresses);
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Module {
            ingresses,
            endpoints: endpoints.into_iter().flatten().collect(),
            sinks,
            egresses,
            network: self.network,
            progress: progress.unwrap_or_default(),
            admin,
            telemetry,
            filled_in: self.root.filled_in(),
        })
    }

    fn is_right(&self) -> bool {
        self.is_whole && self.problems.is_empty()
    }

    /// A problem at `key` below `at`.
    fn wrong(&mut self, at: &[&str], key: &[&str], message: String, hint: Option<&str>) {
        let problem = Problem::new(self.mark(&[at, key].concat()), message);
        self.problems.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    fn exactly_one(&mut self, path: &[&str], id: &str, of: &str) {
        self.problems.push(Problem::new(
            self.mark(path),
            format!("`{id}` needs exactly one of {of}"),
        ));
    }

    fn id(&mut self, path: &[&str], text: &str) -> Option<Id> {
        let id = Id::parse(text);
        if id.is_none() {
            let problem = Problem::new(self.mark(path), format!("`{text}` is no id"));
            self.problems.push(
                problem.hint("an id is `namespace/name`, of lower-case letters, digits and `-`"),
            );
        }
        id
    }

    fn unique<'i>(&mut self, list: &str, ids: impl Iterator<Item = &'i str>) {
        let mut seen = std::collections::HashSet::new();
        for (index, id) in ids.enumerate() {
            if !seen.insert(id) {
                let mark = self.mark(&[list, &index.to_string(), "id"]);
                self.problems.push(Problem::new(
                    mark,
                    format!("the id `{id}` stands twice in `{list}`"),
                ));
            }
        }
    }

    /// The index of `id` in `ids`; a problem if it is none of them.
    fn reference(&mut self, path: &[&str], id: &str, ids: &[String], what: &str) -> Option<usize> {
        let found = ids.iter().position(|other| other == id);
        if found.is_none() {
            let problem = Problem::new(self.mark(path), format!("there is no {what} `{id}`"));
            self.problems
                .push(problem.suggest(id, ids.iter().map(String::as_str)));
        }
        found
    }

    fn mark(&self, path: &[&str]) -> Mark {
        // The longest part of the path that the file has: a default has no place of its own.
        (0..=path.len())
            .rev()
            .find_map(|len| self.root.at(path.get(..len)?))
            .map_or(Mark::default(), |node| node.mark)
    }

    /// A text as it was written, for messages: what was filled in may be a secret.
    fn written(&self, path: &[&str]) -> &'a str {
        self.root
            .at(path)
            .and_then(Node::written)
            .unwrap_or_default()
    }
}

/// Whether events come to a sink: from a router, as the one for what no router takes, or from another sink.
fn is_used(sink: usize, ingresses: &[IngressConfig], sinks: &[SinkConfig]) -> bool {
    ingresses.iter().any(|ingress| ingress.leads_to(sink))
        || sinks.iter().any(|other| other.leads_to(sink))
}
