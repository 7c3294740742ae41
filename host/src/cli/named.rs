//! Where a module file names what could not be opened.

use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::{
    causes::explain,
    config::{self, Mark, Module, Places, Problem},
    pipeline::StartError,
};

/// The parts of a module, by their names in errors, and where they stand.
pub(super) struct Named {
    file: PathBuf,
    ingresses: Vec<(String, Mark)>,
    endpoints: Vec<(String, Places)>,
    sinks: Vec<(String, Places)>,
    egresses: Vec<(String, Mark)>,
}

impl Named {
    pub(super) fn of(file: &Path, module: &Module) -> Self {
        let ingresses = module.ingresses.iter();
        let endpoints = module.endpoints.iter();
        let sinks = module.sinks.iter();
        let egresses = module.egresses.iter();
        Self {
            file: file.to_owned(),
            ingresses: ingresses
                .map(|ingress| (ingress.id.to_string(), ingress.place))
                .collect(),
            endpoints: endpoints
                .map(|endpoint| (endpoint.name.clone(), endpoint.places.clone()))
                .collect(),
            sinks: sinks
                .map(|sink| (sink.id.to_string(), sink.places.clone()))
                .collect(),
            egresses: egresses
                .map(|egress| (egress.id.to_string(), egress.place))
                .collect(),
        }
    }

    /// Where the file names what is wrong, if it does: a replay's own parts stand in no file.
    fn mark(&self, error: &StartError) -> Option<Mark> {
        let mark = match error {
            StartError::Plugin { sink, source } => of(&self.sinks, sink)?.get(source.key()),
            StartError::Endpoint { endpoint, source } => {
                of(&self.endpoints, endpoint)?.get(source.key())
            }
            StartError::BaseUrl { endpoint, .. } => of(&self.endpoints, endpoint)?.get("url"),
            StartError::Ingress { ingress, .. } => *of(&self.ingresses, ingress)?,
            StartError::Egress { egress, .. } => *of(&self.egresses, egress)?,
            _ => return None,
        };
        (mark != Mark::default()).then_some(mark)
    }

    /// The error as a problem of the file.
    pub(super) fn problem(&self, error: &StartError) -> Problem {
        Problem {
            mark: self.mark(error).unwrap_or_default(),
            message: explain(error),
            hint: error.hint(),
        }
    }

    /// The error with its place, as far as it has one.
    pub(super) fn located(&self, error: CliError) -> CliError {
        match &error {
            CliError::Start(start) if self.mark(start).is_some() => {
                self.located_all(vec![self.problem(start)], error.exit_code())
            }
            _ => error,
        }
    }

    /// All of these problems as one error.
    pub(super) fn located_all(&self, problems: Vec<Problem>, exit_code: u8) -> CliError {
        CliError::Located {
            problems: config::problems_in(&self.file, problems),
            exit_code,
        }
    }
}

fn of<'a, P>(all: &'a [(String, P)], name: &str) -> Option<&'a P> {
    let mut all = all.iter();
    all.find(|(other, _)| other == name).map(|(_, place)| place)
}
