//! A case: a batch, what may come of its calls, and what the plugin must make of both.

mod checked;
mod yaml;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::view::{View, Words};
use crate::{
    config::{Document, Mark, Problem, Problems},
    delivery::settings::Order,
    event::Event,
    plugin::settings::GrantSettings,
};

/// A case, as its file says it.
#[derive(Debug)]
pub struct Case {
    /// What it is called: the file's path, as it was given.
    pub name: String,
    /// What it shows.
    pub about: Option<String>,
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The keys of the file with their lines, in order.
    pub(super) keys: Vec<(String, usize)>,
    pub(super) config: String,
    pub(super) grants: GrantSettings,
    /// Names beside that of the default one.
    pub(super) endpoints: Vec<String>,
    pub(super) order: Order,
    pub(super) events: Vec<Arc<Event>>,
    pub(super) wanted: Wanted,
}

/// What the plugin must make of it.
#[derive(Debug)]
pub(super) enum Wanted {
    /// The file does not say it yet.
    Nothing,
    /// `configure` refuses, with a message that contains this.
    ConfigureError(Words),
    /// This.
    Answer(View),
}

impl Case {
    /// Reads a case file.
    ///
    /// # Errors
    /// Every problem of the file, with its place.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, text),
            Err(error) => Err(Problems {
                file: path.display().to_string(),
                text: String::new(),
                problems: vec![Problem {
                    mark: Mark::default(),
                    message: format!("the case cannot be read: {error}"),
                    hint: None,
                }],
            }),
        }
    }

    /// Writes another text into its file, as [`CaseEnd::Updated`](super::CaseEnd::Updated) says it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, text: &str) -> std::io::Result<()> {
        std::fs::write(&self.path, text)
    }

    /// The same, of a file's text.
    ///
    /// # Errors
    /// Every problem of the file, with its place.
    pub fn parse(path: &Path, text: String) -> Result<Self, Problems> {
        let parsed = Document::parse(&text);
        let case = parsed.and_then(|(yaml, document)| {
            checked::check(yaml, &document).map(|checked| (checked, document))
        });
        match case {
            Ok((checked, document)) => Ok(Self {
                name: path.display().to_string(),
                about: checked.about,
                path: path.to_owned(),
                keys: document
                    .keys()
                    .map(|(key, line)| (key.to_owned(), line))
                    .collect(),
                text,
                config: checked.config,
                grants: checked.grants,
                endpoints: checked.endpoints,
                order: checked.order,
                events: checked.events,
                wanted: checked.wanted,
            }),
            Err(mut problems) => {
                problems.sort_by_key(|problem| problem.mark);
                Err(Problems {
                    file: path.display().to_string(),
                    text,
                    problems,
                })
            }
        }
    }
}
