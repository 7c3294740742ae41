//! Writes what was found into a case file: `expect` alone is written anew, everything around it stays as it is.

use super::{
    case::Case,
    show,
    view::{View, Words},
};

/// The file's text with another `expect`.
pub(super) fn with_expect(case: &Case, view: &View) -> String {
    with(case, "expect", &format!("expect:{}", below(view)))
}

/// The file's text with another `configure-error`.
pub(super) fn with_configure_error(case: &Case, message: &Words) -> String {
    let mut text = "configure-error:".to_owned();
    show::words(message).write(&mut text, 2);
    with(case, "configure-error", &text)
}

/// Whether the text is a case that differs in what it expects alone.
pub(super) fn is_kept(case: &Case, text: &str) -> bool {
    Case::parse(&case.path, text.to_owned()).is_ok_and(|new| {
        (new.about, new.config, new.endpoints)
            == (
                case.about.clone(),
                case.config.clone(),
                case.endpoints.clone(),
            )
            && new.order == case.order
            && new.grants == case.grants
            && new.events == case.events
    })
}

fn below(view: &View) -> String {
    match show::expect(view, 2) {
        lines if lines.is_empty() => " {}\n".to_owned(),
        lines => format!("\n{lines}"),
    }
}

/// Puts `section` in the place of the one that begins with `key`, or at the end of the file.
fn with(case: &Case, key: &str, section: &str) -> String {
    let lines: Vec<&str> = case.text.split_inclusive('\n').collect();
    let place = case.keys.iter().position(|(other, _)| other == key);
    let (start, end) = match place {
        None => (lines.len(), lines.len()),
        Some(place) => {
            let start = case.keys.get(place).map_or(0, |(_, line)| line - 1);
            let next = case.keys.get(place + 1).map(|(_, line)| line - 1);
            (start, next.unwrap_or(lines.len()))
        }
    };
    let (before, rest) = lines.split_at(start.min(lines.len()));
    let (own, after) = rest.split_at((end - start).min(rest.len()));
    // What stands at the margin below a section belongs to the next one, or to the file.
    let is_outside = |line: &&&str| line.trim().is_empty() || line.starts_with('#');
    let outside = own.iter().rev().take_while(is_outside).count();
    let (_, kept) = own.split_at(own.len() - outside);
    let mut out: String = before.concat();
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(section);
    out.extend(kept.iter().copied());
    out.extend(after.iter().copied());
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_case_that_cannot_be_written_line_by_line_is_left_alone() {
        let is_kept = |text: &str| {
            let case = Case::parse(Path::new("c.yaml"), text.to_owned());
            let case = case.unwrap_or_else(|_| panic!("{text}"));
            is_kept(&case, &with(&case, "expect", "expect: {}\n"))
        };

        assert!(is_kept(
            "about: x\nevents: [ { data: a } ]\nexpect: { drop: [0] }\n# end\n"
        ));
        for text in [
            "{ about: x, events: [ { data: a } ], expect: { drop: [0] } }\n",
            "{\n  \"events\": [ { \"data\": \"a\" } ],\n  \"expect\": { \"drop\": [0] }\n}\n",
            "  about: x\n  events: [ { data: a } ]\n  expect: { drop: [0] }\n",
        ] {
            assert!(!is_kept(text), "{text}");
        }
    }
}
