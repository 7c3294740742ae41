//! What YAML allows and a module file does not: what would exhaust the stack, or silently be something else.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{mark_of, mark_of_span};
use crate::config::problem::Problem;

/// How deep lists and mappings may stand in each other: the rest of the program descends by recursion.
const MAX_DEPTH: usize = 100;
/// How many values all aliases together may repeat; 16 bytes of text count as a value. Aliases of aliases would
/// otherwise make a few lines larger than any memory.
const MAX_REPEATED: usize = 100_000;

/// Reports what is refused in whatever place it stands. What is no YAML is not reported here.
pub(super) fn check(text: &str, problems: &mut Vec<Problem>) {
    let mut open = Open::default();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return };
        let tag = match &event {
            Event::Scalar(.., tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                tag.as_deref()
            }
            _ => None,
        };
        if tag.is_some() {
            let problem = Problem::new(mark_of_span(span), "a tag (`!…`) means nothing here");
            problems.push(problem.hint("leave it out; a value that is to be a text can be quoted"));
        }
        match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.collections.push((
                    anchor,
                    Extent {
                        height: 0,
                        values: 1,
                    },
                ));
                if open.collections.len() > MAX_DEPTH {
                    return problems.push(too_deep(&span.start));
                }
            }
            Event::SequenceEnd | Event::MappingEnd => open.close(),
            Event::Alias(anchor) => {
                if open.collections.iter().any(|(open, _)| *open == anchor) {
                    let message = "this alias stands in the value that it repeats";
                    problems.push(Problem::new(mark_of_span(span), message));
                }
                let extent = open.extents.get(&anchor).copied().unwrap_or_default();
                open.holds(extent);
                if open.collections.len() + extent.height > MAX_DEPTH {
                    return problems.push(too_deep(&span.start));
                }
                open.repeated = open.repeated.saturating_add(extent.values);
                if open.repeated > MAX_REPEATED {
                    let message = format!("aliases repeat more than {MAX_REPEATED} values");
                    return problems.push(Problem::new(mark_of_span(span), message));
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                if style == ScalarStyle::Plain && is_huge_integer(&text) {
                    let problem =
                        Problem::new(mark_of_span(span), "a whole number of over 64 bits");
                    problems.push(problem.hint("quote it, if it is meant as a text"));
                }
                let values = 1 + text.len() / 16;
                open.end(anchor, Extent { height: 0, values });
            }
            _ => {}
        }
    }
}

/// How far a value goes, with what its aliases repeat.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Lists and mappings that stand in each other.
    height: usize,
    values: usize,
}

/// The collections around the current event, with their anchors, and how far each goes so far.
#[derive(Default)]
struct Open {
    collections: Vec<(usize, Extent)>,
    /// Of those that are closed, by anchor; 0 is no anchor.
    extents: HashMap<usize, Extent>,
    /// Values that aliases have repeated.
    repeated: usize,
}

impl Open {
    fn close(&mut self) {
        if let Some((anchor, mut extent)) = self.collections.pop() {
            extent.height += 1;
            self.end(anchor, extent);
        }
    }

    /// A value ends, which the innermost collection holds.
    fn end(&mut self, anchor: usize, extent: Extent) {
        if anchor > 0 {
            self.extents.insert(anchor, extent);
        }
        self.holds(extent);
    }

    /// The innermost collection holds a value that goes so far.
    fn holds(&mut self, inner: Extent) {
        if let Some((_, extent)) = self.collections.last_mut() {
            extent.height = inner.height.max(extent.height);
            extent.values = extent.values.saturating_add(inner.values);
        }
    }
}

fn too_deep(at: &Marker) -> Problem {
    let message = format!("more than {MAX_DEPTH} lists and mappings stand in each other");
    Problem::new(mark_of(at, 1), message)
}

/// Whether a plain scalar looks like a whole number, and is read as something else for its size.
fn is_huge_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        _ => (digits, 10),
    };
    let is_integer =
        !digits.is_empty() && digits.chars().all(|character| character.is_digit(radix));
    is_integer && i64::from_str_radix(digits, radix).is_err()
}
