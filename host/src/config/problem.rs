//! What is wrong with a module file: each problem with its place, its line, and a hint.

use std::fmt;

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
        let close = candidates
            .clone()
            .into_iter()
            .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate))
            .min()
            .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
        match close {
            Some((_, candidate)) => self.hint(format!("did you mean `{candidate}`?")),
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

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            let Mark { line, column, len } = problem.mark;
            writeln!(f, "error: {}", problem.message)?;
            let shown = line
                .checked_sub(1)
                .and_then(|index| self.text.lines().nth(index));
            let gutter = line.to_string().len();
            match shown {
                Some(shown) => {
                    writeln!(f, "{:gutter$}--> {}:{line}:{column}", "", self.file)?;
                    writeln!(f, "{:gutter$} |", "")?;
                    writeln!(f, "{line} | {shown}")?;
                    writeln!(
                        f,
                        "{:gutter$} | {:pad$}{}",
                        "",
                        "",
                        "^".repeat(len.max(1)),
                        pad = column - 1
                    )?;
                }
                None => writeln!(f, "{:gutter$}--> {}", "", self.file)?,
            }
            if let Some(hint) = &problem.hint {
                writeln!(f, "{:gutter$} = hint: {hint}", "")?;
            }
            writeln!(f)?;
        }
        let count = self.problems.len();
        write!(
            f,
            "{count} problem{} in `{}`",
            if count == 1 { "" } else { "s" },
            self.file
        )
    }
}
