//! How what was found differs from what was expected, line by line.

use similar::{ChangeTag, TextDiff};

use super::{
    show,
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

/// The lines that differ, with some around them.
pub(super) fn diff(wanted: &View, found: &View) -> Vec<Line> {
    let (mut wanted, mut found) = (wanted.clone(), found.clone());
    for (wanted, found) in wanted.requests.iter_mut().zip(&mut found.requests) {
        if let (Some(wanted), Some(found)) = (&mut wanted.body, &mut found.body) {
            open(wanted, found);
        }
    }
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
