//! What is wrong with a module file: each problem with its place, its line, and a hint.

use std::fmt;

/// How many problems are shown: whoever mends these sees the next ones.
const MAX_SHOWN: usize = 50;
/// How many characters of a line are shown.
const MAX_LINE: usize = 200;

/// A place in the file: line and column from 1, and how many characters to mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    /// From 1; 0 for the file as a whole.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Characters, at least 1.
    pub len: usize,
}

impl Mark {
    /// The same place, or behind the last line's end: the parser may see the end of a file a line below it.
    pub(super) fn within(self, text: &str) -> Self {
        let (count, last) = lines(text).fold((0, ""), |(count, _), line| (count + 1, line));
        if self.line <= count {
            return self;
        }
        Self {
            line: count,
            column: last.chars().count() + 1,
            len: 1,
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub mark: Mark,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self {
            mark,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With «did you mean», where one of `candidates` is close to `found`.
    pub(super) fn suggest<'a>(
        self,
        found: &str,
        candidates: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        match close_to(found, candidates.clone()) {
            Some(candidate) => self.hint(format!("did you mean `{candidate}`?")),
            None => {
                let all: Vec<_> = candidates
                    .into_iter()
                    .map(|candidate| format!("`{candidate}`"))
                    .collect();
                if all.is_empty() {
                    self
                } else {
                    self.hint(format!("expected {}", all.join(", ")))
                }
            }
        }
    }
}

/// What was meant, most likely, where one of `candidates` is close to `found`.
pub(super) fn close_to<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let distances = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate));
    let (distance, candidate) = distances.min()?;
    (distance <= 1 + candidate.len() / 4).then_some(candidate)
}

/// All that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file's name, as the user wrote it.
    pub file: String,
    /// Its text, for the lines that are shown.
    pub text: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// A problem of the file as a whole, of which no line is shown.
    pub(super) fn whole(file: String, problem: Problem) -> Self {
        Self {
            file,
            text: String::new(),
            problems: vec![problem],
        }
    }
}

impl Problems {
    /// The first in one line, and how many there are: for logs.
    pub fn in_one_line(&self) -> String {
        let Some(first) = self.problems.first() else {
            return self.file.clone();
        };
        let Mark { line, column, .. } = first.mark;
        let place = match line {
            0 => self.file.clone(),
            _ => format!("{}:{line}:{column}", self.file),
        };
        let others = match self.problems.len() {
            1 => String::new(),
            count => format!(" (the first of {count} problems)"),
        };
        format!("{place}: {}{others}", first.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(MAX_SHOWN) {
            writeln!(f, "error: {}", problem.message)?;
            self.place(f, problem.mark)?;
            if let Some(hint) = &problem.hint {
                let gutter = problem.mark.line.to_string().len();
                writeln!(f, "{:gutter$} = hint: {hint}", "")?;
            }
            writeln!(f)?;
        }
        let count = self.problems.len();
        if count > MAX_SHOWN {
            writeln!(f, "the other {} are not shown\n", count - MAX_SHOWN)?;
        }
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} problem{plural} in `{}`", self.file)
    }
}

impl Problems {
    /// The line that is meant, marked, as far as there is one.
    fn place(&self, f: &mut fmt::Formatter<'_>, mark: Mark) -> fmt::Result {
        let Mark { line, column, len } = mark;
        let gutter = line.to_string().len();
        let Some(index) = line.checked_sub(1) else {
            return writeln!(f, "{:gutter$}--> {}", "", self.file);
        };
        writeln!(f, "{:gutter$}--> {}:{line}:{column}", "", self.file)?;
        // In an empty line, and behind the last one, there is nothing to show, as when a bracket is not closed.
        let line_of = lines(&self.text).nth(index);
        let Some(shown) = line_of.filter(|shown| !shown.is_empty()) else {
            return Ok(());
        };
        // Of a long line, the part around the mark.
        let skipped = column.saturating_sub(MAX_LINE / 2);
        let cut = |more: bool| if more { "…" } else { "" };
        let part: String = shown.chars().skip(skipped).take(MAX_LINE).collect();
        let before = cut(skipped > 0);
        let after = cut(shown.chars().nth(skipped + MAX_LINE).is_some());
        // Tabs in front of the mark stay tabs, so that it stands where it should.
        let pad: String = (before.chars().chain(part.chars()))
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .chain(std::iter::repeat(' '))
            .take(column.saturating_sub(1 + skipped) + before.chars().count())
            .collect();
        let marked = "^".repeat(len.clamp(1, MAX_LINE / 2));
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {before}{part}{after}")?;
        writeln!(f, "{:gutter$} | {pad}{marked}", "")
    }
}

/// The lines of a text as YAML breaks them (1.2.2, section 5.4): at a carriage return that stands alone, too.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}
