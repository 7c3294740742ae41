//! The module file as a tree that knows where each value stands, with its references filled in.

mod form;
mod syntax;

use std::collections::HashSet;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use saphyr_parser::{Marker, Span};

use super::{
    interpolate::{Filled, Pieces, Sources, Unfilled, fill_pieces},
    problem::{Mark, Problem},
};
use crate::auth::{Piece, Secret};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    /// Keys with their places, in the order of the file.
    Map(Vec<(String, Mark, Node)>),
}

/// A string, as it is used and as it was written.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) written: String,
    /// Whether it came from outside the file: then only `written` is ever shown.
    pub(super) secret: bool,
    /// What `value` was put together from.
    pub(super) secret_of: Secret,
    /// What was filled in, each by itself.
    pub(super) filled_in: Vec<Secret>,
    /// Why a reference could not be filled in; then `value` means nothing.
    pub(super) unfilled: Option<Unfilled>,
}

impl Node {
    /// Parses the file. What cannot be filled in is a problem only where it is used: the walk knows.
    pub(super) fn parse(
        text: &str,
        sources: &Sources,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        Self::parse_with(text, Some(sources), problems)
    }

    /// Parses a file; a `${…}` is text as any other, where there are no `sources`.
    pub(super) fn parse_with(
        text: &str,
        sources: Option<&Sources>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        form::check(text, problems);
        if !problems.is_empty() {
            return None;
        }
        let mut documents = match MarkedYaml::load_from_str(text) {
            Ok(documents) => documents,
            Err(error) => {
                let mark = mark_of(error.marker(), 1);
                let problem = match error.info() {
                    "duplicated key in mapping" => {
                        Problem::new(mark, "this key stands twice in its mapping")
                    }
                    info => syntax::refused(text, mark, info),
                };
                problems.push(problem);
                return None;
            }
        };
        match documents.len() {
            1 => documents
                .pop()
                .map(|root| Self::build(root, sources, problems)),
            0 => {
                problems.push(Problem::new(Mark::default(), "the file is empty"));
                None
            }
            _ => {
                let second = documents
                    .get(1)
                    .map_or(Mark::default(), |second| mark_of_span(second.span));
                let message = "the file has more than one YAML document";
                problems.push(Problem::new(second, message));
                None
            }
        }
    }

    fn build(yaml: MarkedYaml<'_>, sources: Option<&Sources>, problems: &mut Vec<Problem>) -> Self {
        let mark = mark_of_span(yaml.span);
        let data = match yaml.data {
            YamlData::Value(Scalar::Null) => Data::Null,
            YamlData::Value(Scalar::Boolean(value)) => Data::Boolean(value),
            YamlData::Value(Scalar::Integer(value)) => Data::Integer(value),
            YamlData::Value(Scalar::FloatingPoint(value)) => Data::Float(value.into_inner()),
            YamlData::Value(Scalar::String(written)) => {
                let written = written.into_owned();
                let filled = match sources {
                    Some(sources) => fill_pieces(&written, sources),
                    None => Ok(unfilled(&written)),
                };
                Data::Text(match filled {
                    Ok((filled, pieces)) => Text {
                        secret_of: Secret::new(&filled.text, pieces.all),
                        value: filled.text,
                        written,
                        secret: filled.secret,
                        filled_in: pieces.filled_in,
                        unfilled: None,
                    },
                    Err(unfilled) => Text {
                        secret_of: Secret::fixed(""),
                        filled_in: Vec::new(),
                        value: String::new(),
                        written,
                        secret: true,
                        unfilled: Some(unfilled),
                    },
                })
            }
            YamlData::Sequence(items) => Data::List(
                items
                    .into_iter()
                    .map(|item| Self::build(item, sources, problems))
                    .collect(),
            ),
            YamlData::Mapping(entries) => {
                let mut seen = HashSet::new();
                let mut map = Vec::new();
                for (key, value) in entries {
                    let mark = mark_of_span(key.span);
                    let Some(name) = key_text(&key) else {
                        problems.push(Problem::new(mark, "a key must be a text or a whole number"));
                        continue;
                    };
                    // The parser compares keys as they are typed: `409` and `"409"` are one here.
                    if !seen.insert(name.clone()) {
                        problems.push(Problem::new(mark, format!("the key `{name}` stands twice")));
                        continue;
                    }
                    map.push((name, mark, Self::build(value, sources, problems)));
                }
                Data::Map(map)
            }
            YamlData::Tagged(..)
            | YamlData::Representation(..)
            | YamlData::Alias(_)
            | YamlData::BadValue => {
                problems.push(Problem::new(mark, "this value cannot be read"));
                Data::Null
            }
        };
        Self { mark, data }
    }

    /// The value below, by keys and list indices.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match &node.data {
            Data::Map(entries) => entries
                .iter()
                .find(|(name, ..)| name == step)
                .map(|(.., node)| node),
            Data::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The text as it was written.
    pub(super) fn written(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(&text.written),
            _ => None,
        }
    }

    /// The text as a secret that can be read again.
    pub(super) fn secret(&self) -> Option<Secret> {
        match &self.data {
            Data::Text(text) => Some(text.secret_of.clone()),
            _ => None,
        }
    }

    /// All that was filled in at or below this value.
    pub(super) fn filled_in(&self) -> Vec<Secret> {
        match &self.data {
            Data::Text(text) => text.filled_in.clone(),
            Data::List(items) => items.iter().flat_map(Self::filled_in).collect(),
            Data::Map(entries) => {
                let nodes = entries.iter().map(|(.., node)| node);
                nodes.flat_map(Self::filled_in).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The first value at or below this one that holds a secret.
    pub(super) fn first_secret(&self) -> Option<Mark> {
        match &self.data {
            Data::Text(text) => text.secret.then_some(self.mark),
            Data::List(items) => items.iter().find_map(Self::first_secret),
            Data::Map(entries) => entries.iter().find_map(|(.., node)| node.first_secret()),
            _ => None,
        }
    }

    /// The first number at or below this one that JSON does not have: infinite, or none at all.
    pub(super) fn first_no_number(&self) -> Option<Mark> {
        match &self.data {
            Data::Float(value) => (!value.is_finite()).then_some(self.mark),
            Data::List(items) => items.iter().find_map(Self::first_no_number),
            Data::Map(entries) => entries.iter().find_map(|(.., node)| node.first_no_number()),
            _ => None,
        }
    }

    /// The references at or below this value that could not be filled in.
    pub(super) fn all_unfilled(&self) -> Vec<(Mark, &Unfilled)> {
        match &self.data {
            Data::Text(text) => text
                .unfilled
                .iter()
                .map(|unfilled| (self.mark, unfilled))
                .collect(),
            Data::List(items) => items.iter().flat_map(Self::all_unfilled).collect(),
            Data::Map(entries) => {
                let nodes = entries.iter().map(|(.., node)| node);
                nodes.flat_map(Self::all_unfilled).collect()
            }
            _ => Vec::new(),
        }
    }

    /// As JSON, references filled in.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null => serde_json::Value::Null,
            Data::Boolean(value) => (*value).into(),
            Data::Integer(value) => (*value).into(),
            Data::Float(value) => (*value).into(),
            Data::Text(text) => text.value.as_str().into(),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|(name, _, node)| (name.clone(), node.to_json()))
                .collect(),
        }
    }
}

/// A text that refers to nothing.
fn unfilled(text: &str) -> (Filled, Pieces) {
    let filled = Filled {
        text: text.to_owned(),
        secret: false,
    };
    let pieces = Pieces {
        all: vec![Piece::Text(text.to_owned())],
        ..Pieces::default()
    };
    (filled, pieces)
}

fn key_text(key: &MarkedYaml<'_>) -> Option<String> {
    match &key.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
        _ => None,
    }
}

fn mark_of_span(span: Span) -> Mark {
    let same_line = span.start.line() == span.end.line();
    let len = if same_line {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    mark_of(&span.start, len)
}

fn mark_of(marker: &Marker, len: usize) -> Mark {
    Mark {
        line: marker.line().max(1),
        column: marker.col() + 1,
        len: len.max(1),
    }
}
