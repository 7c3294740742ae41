//! What to do about a file that is no YAML: the parser's words say what it met, and not what the author did.

use crate::config::problem::{Mark, Problem, lines};

/// The parser's error at `mark`, with a hint where the line has one of the usual mistakes.
pub(super) fn refused(text: &str, mark: Mark, info: &str) -> Problem {
    if info.contains("tab")
        && let Some(line) = indented_with_a_tab(text, mark.line)
    {
        let mark = Mark {
            line,
            column: 1,
            len: 1,
        };
        let problem = Problem::new(
            mark,
            "the file is no YAML: this line is indented with a tab",
        );
        return problem.hint("indent with spaces");
    }
    let problem = Problem::new(mark, format!("the file is no YAML: {info}"));
    let line = lines(text).nth(mark.line.saturating_sub(1));
    match line.is_some_and(|line| is_in_reference(line, mark.column)) {
        true => problem.hint("quote a `${…}` that stands in `{ }` or `[ ]`: `\"${env:NAME}\"`"),
        false => problem,
    }
}

/// The line of the error, or the one below it: within a value, the parser names the value's first line. Tabs indent nothing
/// (YAML 1.2.2, section 6.1).
fn indented_with_a_tab(text: &str, line: usize) -> Option<usize> {
    [line, line + 1].into_iter().find(|line| {
        let line = lines(text).nth(line.saturating_sub(1)).unwrap_or_default();
        let content = line.trim_start_matches([' ', '\t']);
        line.strip_suffix(content)
            .is_some_and(|indent| indent.contains('\t'))
    })
}

/// Whether the column, from 1, is in the first characters of a `${`: its brace opens a mapping in `{ }`.
fn is_in_reference(line: &str, column: usize) -> bool {
    let around = line.chars().skip(column.saturating_sub(3)).take(4);
    around.collect::<String>().contains("${")
}
