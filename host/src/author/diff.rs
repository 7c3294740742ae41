//! How what was found differs from what was expected, line by line.

use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{
    show,
    tree::Tree,
    view::{Body, View},
};

/// Lines around a difference that are shown.
const CONTEXT: usize = 3;

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// The line, without its end.
    pub text: String,
}

/// What a line of a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It is the same in both.
    Same,
    /// It was expected, and not found.
    Expected,
    /// It was found, and not expected.
    Found,
    /// It stands for lines that are left out.
    Gap,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where it stands below `expect`, such as `requests[0].responses[1].verdict`.
    pub path: String,
    /// What was expected; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Value>,
    /// What was found; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
}

/// The values that differ, in the order of the file.
pub(super) fn differences(wanted: &View, found: &View) -> Vec<Difference> {
    let (wanted, found) = opened(wanted, found);
    let value = |view: &View| Tree::Map(show::tree(view)).to_json();
    let mut differences = Vec::new();
    compare(
        String::new(),
        Some(&value(&wanted)),
        Some(&value(&found)),
        &mut differences,
    );
    differences
}

fn compare(path: String, one: Option<&Value>, other: Option<&Value>, out: &mut Vec<Difference>) {
    match (one, other) {
        (one, other) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let more = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(more) {
                let path = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                compare(path, one.get(key), other.get(key), out);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for place in 0..one.len().max(other.len()) {
                let path = format!("{path}[{place}]");
                compare(path, one.get(place), other.get(place), out);
            }
        }
        (expected, found) => out.push(Difference {
            path,
            expected: expected.cloned(),
            found: found.cloned(),
        }),
    }
}

/// The lines that differ, with some around them.
pub(super) fn diff(wanted: &View, found: &View) -> Vec<Line> {
    let (wanted, found) = opened(wanted, found);
    let (wanted, found) = (show::expect(&wanted, 0), show::expect(&found, 0));
    let diff = TextDiff::from_lines(&wanted, &found);
    let mut lines = Vec::new();
    for (place, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        let line = |kind, text: &str| Line {
            kind,
            text: text.to_owned(),
        };
        let skips = group.first().is_some_and(|op| op.old_range().start > 0);
        if place > 0 || skips {
            lines.push(line(LineKind::Gap, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let kind = match change.tag() {
                ChangeTag::Equal => LineKind::Same,
                ChangeTag::Delete => LineKind::Expected,
                ChangeTag::Insert => LineKind::Found,
            };
            lines.push(line(kind, change.value().trim_end_matches('\n')));
        }
    }
    lines
}

/// Both, with bodies that differ as values where they are JSON.
fn opened(wanted: &View, found: &View) -> (View, View) {
    let (mut wanted, mut found) = (wanted.clone(), found.clone());
    for (wanted, found) in wanted.requests.iter_mut().zip(&mut found.requests) {
        if let (Some(wanted), Some(found)) = (&mut wanted.body, &mut found.body) {
            open(wanted, found);
        }
    }
    (wanted, found)
}

/// Two texts that are JSON are shown as such, if that is where they differ: value by value.
fn open(wanted: &mut Body, found: &mut Body) {
    let (Body::Text(one), Body::Text(other)) = (&*wanted, &*found) else {
        return;
    };
    let parsed = (serde_json::from_str(one), serde_json::from_str(other));
    let (Ok(one), Ok(other)) = parsed else { return };
    if one != other {
        (*wanted, *found) = (Body::Json(one), Body::Json(other));
    }
}
