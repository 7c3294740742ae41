//! `${Group:key}`, `${env:NAME}` and `${file:PATH}` in the values of a module file.

use std::path::PathBuf;

use super::{
    problem::{Mark, Problem},
    properties::Groups,
    read_text,
};
use crate::auth::{Piece, Secret, one_line};

/// Where values come from.
pub struct Sources {
    /// The property groups, by group and key.
    pub groups: Groups,
    /// Reads an environment variable.
    pub env: fn(&str) -> Option<String>,
    /// Relative paths of `${file:…}` begin here.
    pub folder: PathBuf,
}

/// A text after its references are filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) text: String,
    /// Whether anything was filled in: then the text is a secret.
    pub(super) secret: bool,
}

/// What a text was put together from.
#[derive(Default)]
pub(super) struct Pieces {
    /// All of it, in order: a secret that is read again is made of these.
    pub(super) all: Vec<Piece>,
    /// What was filled in, each by itself.
    pub(super) filled_in: Vec<Secret>,
}

/// Why a reference cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfilled {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Unfilled {
    /// The same as a problem of the value at `mark`.
    pub(super) fn at(&self, mark: Mark) -> Problem {
        Problem::new(mark, self.message.clone()).hint(self.hint.clone())
    }
}

/// Fills in the references of `text`; `$${` stands for `${`.
#[cfg(any(test, fuzzing))]
pub(super) fn fill(text: &str, sources: &Sources) -> Result<Filled, Unfilled> {
    let (filled, _) = fill_pieces(text, sources)?;
    Ok(filled)
}

/// The same, and what the text was put together from.
pub(super) fn fill_pieces(text: &str, sources: &Sources) -> Result<(Filled, Pieces), Unfilled> {
    let mut out = String::with_capacity(text.len());
    let mut pieces = Pieces::default();
    // What is fixed, behind the last piece.
    let mut fixed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            fixed.push_str(before);
            fixed.push_str("${");
            rest = after;
            continue;
        }
        fixed.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(unfilled(
                "a `${` without its `}`",
                "write `$${` for the text itself",
            ));
        };
        let value = look_up(name, sources)?;
        match name.strip_prefix("file:") {
            None => {
                fixed.push_str(&value);
                pieces.filled_in.push(Secret::fixed(&value));
            }
            Some(path) => {
                out.push_str(&fixed);
                out.push_str(&value);
                let file = Piece::File(sources.folder.join(path));
                let again = Secret::new(&value, vec![file.clone()]);
                pieces.filled_in.push(again);
                pieces.all.push(Piece::Text(std::mem::take(&mut fixed)));
                pieces.all.push(file);
            }
        }
        rest = after;
    }
    fixed.push_str(rest);
    out.push_str(&fixed);
    pieces.all.push(Piece::Text(fixed));
    let filled = Filled {
        text: out,
        secret: !pieces.filled_in.is_empty(),
    };
    Ok((filled, pieces))
}

fn look_up(name: &str, sources: &Sources) -> Result<String, Unfilled> {
    let Some((group, key)) = name.split_once(':') else {
        return Err(unfilled(
            format!("`${{{name}}}` names no source"),
            "write `${Group:key}`, `${env:NAME}` or `${file:PATH}`",
        ));
    };
    match group {
        "env" => (sources.env)(key).ok_or_else(|| {
            unfilled(
                format!("the environment variable `{key}` is not set"),
                "set it before the start",
            )
        }),
        "file" => {
            let path = sources.folder.join(key);
            match read_text(&path) {
                Ok(text) => Ok(one_line(&text).to_owned()),
                Err(error) => Err(unfilled(
                    format!("the file `{}` cannot be read: {error}", path.display()),
                    "a path is relative to the module file's folder",
                )),
            }
        }
        _ => {
            let Some(properties) = sources.groups.get(group) else {
                let names: Vec<String> = sources
                    .groups
                    .keys()
                    .map(|name| format!("`{name}`"))
                    .collect();
                let hint = match names.is_empty() {
                    true => "name the file of property groups with --properties".to_owned(),
                    false => format!("the file of property groups has {}", names.join(", ")),
                };
                return Err(unfilled(
                    format!("there is no property group `{group}`"),
                    hint,
                ));
            };
            properties.get(key).cloned().ok_or_else(|| {
                let names: Vec<String> =
                    properties.keys().map(|name| format!("`{name}`")).collect();
                unfilled(
                    format!("the property group `{group}` has no `{key}`"),
                    match names.is_empty() {
                        true => "it has no key at all".to_owned(),
                        false => format!("it has {}", names.join(", ")),
                    },
                )
            })
        }
    }
}

fn unfilled(message: impl Into<String>, hint: impl Into<String>) -> Unfilled {
    Unfilled {
        message: message.into(),
        hint: hint.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_properties;

    fn sources() -> Sources {
        let text = r#"[{"PropertyGroupId":"Api","PropertyMap":{"url":"http://x","key":"k"}}]"#;
        Sources {
            groups: parse_properties(text).expect("valid"),
            env: |name| (name == "HOME").then(|| "/root".to_owned()),
            folder: PathBuf::from("/nowhere"),
        }
    }

    #[test]
    fn references_are_filled_in_and_make_a_secret() {
        let table = [
            ("plain", "plain", false),
            ("${Api:url}/v1?k=${Api:key}", "http://x/v1?k=k", true),
            ("${env:HOME}", "/root", true),
            ("$${Api:url} costs 5$", "${Api:url} costs 5$", false),
        ];

        for (text, expected, secret) in table {
            let filled = fill(text, &sources()).expect("it can be filled in");
            assert_eq!(
                (filled.text.as_str(), filled.secret),
                (expected, secret),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_loses_one_line_break_at_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = Sources {
            folder: folder.path().to_owned(),
            ..sources()
        };
        for (text, expected) in [
            ("key", "key"),
            ("key\n", "key"),
            ("key\r\n", "key"),
            ("key\n\n", "key\n"),
        ] {
            std::fs::write(folder.path().join("secret"), text).expect("written");

            let filled = fill("${file:secret}", &sources).expect("it can be filled in");

            assert_eq!(filled.text, expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_is_put_together_again_from_its_pieces() {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = Sources {
            folder: folder.path().to_owned(),
            ..sources()
        };
        let write = |text| std::fs::write(folder.path().join("a"), text).expect("written");
        write("old\n");
        let text = "$${x} ${Api:key}-${file:a}${file:a}/${env:HOME}";

        let (filled, pieces) = fill_pieces(text, &sources).expect("it can be filled in");
        let secret = crate::auth::Secret::new(&filled.text, pieces.all);
        let same = secret.reread().expect("it is there");
        write("new");
        let changed = secret.reread().expect("it is there");

        assert_eq!(filled.text, "${x} k-oldold//root");
        assert_eq!(same, secret);
        assert_eq!(changed.reveal(), "${x} k-newnew//root");
    }

    #[test]
    fn what_is_missing_is_named_with_what_there_is() {
        for (text, part) in [
            ("${Api:token}", "has no `token`"),
            ("${Other:x}", "no property group `Other`"),
            ("${env:NOPE}", "`NOPE` is not set"),
            ("${file:x}", "`/nowhere/x` cannot be read"),
            ("${file:/dev/zero}", "more than 4194304 bytes"),
            ("${x}", "names no source"),
            ("${Api:url", "without its `}`"),
        ] {
            let unfilled = fill(text, &sources()).expect_err("it cannot be filled in");
            assert!(
                unfilled.message.contains(part),
                "{text}: {}",
                unfilled.message
            );
        }
    }
}
