//! Values that are written as YAML, with their keys in the order that they are given.

use serde_json::Value;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Text(String),
    /// A number or a truth value, as YAML and JSON write it.
    Plain(String),
    /// Numbers, on one line.
    Numbers(Vec<u32>),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Plain(value.to_string()),
            Value::Number(number) => Self::Plain(number.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::json).collect()),
            Value::Object(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::json(value)))
                    .collect(),
            ),
        }
    }

    /// The same as JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Plain(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Numbers(numbers) => numbers.clone().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
        }
    }

    /// As YAML behind a key: what begins on the key's line, and the lines below.
    pub(super) fn write(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                write_map(entries, out, indent);
            }
            Self::List(items) if !items.is_empty() => {
                out.push('\n');
                write_list(items, out, indent);
            }
            other => {
                out.push(' ');
                other.write_scalar(out, indent);
                out.push('\n');
            }
        }
    }

    fn write_scalar(&self, out: &mut String, indent: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Plain(text) => out.push_str(text),
            Self::Text(text) => write_text(text, out, indent),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                out.push_str(&format!("[{}]", numbers.join(", ")));
            }
            Self::List(_) => out.push_str("[]"),
            Self::Map(_) => out.push_str("{}"),
        }
    }
}

/// Entries, each on lines of its own.
pub(super) fn write_map(entries: &[(String, Tree)], out: &mut String, indent: usize) {
    for (key, value) in entries {
        pad(out, indent);
        write_entry(key, value, out, indent);
    }
}

fn write_entry(key: &str, value: &Tree, out: &mut String, indent: usize) {
    write_line_text(key, out);
    out.push(':');
    value.write(out, indent + 2);
}

fn write_list(items: &[Tree], out: &mut String, indent: usize) {
    for item in items {
        pad(out, indent);
        out.push('-');
        match item {
            // The first entry stands beside the dash.
            Tree::Map(entries) if !entries.is_empty() => {
                for (place, (key, value)) in entries.iter().enumerate() {
                    match place {
                        0 => out.push(' '),
                        _ => pad(out, indent + 2),
                    }
                    write_entry(key, value, out, indent + 2);
                }
            }
            item => item.write(out, indent + 2),
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_text(text: &str, out: &mut String, indent: usize) {
    if !fits_block(text) {
        return match text.trim_end_matches('\n').contains('\n') {
            true => write_quoted_lines(text, out, indent),
            false => write_line_text(text, out),
        };
    }
    let ends = text.ends_with('\n');
    out.push_str(if ends { "|" } else { "|-" });
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    for line in lines {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

/// Whether a text of several lines can stand as it is.
fn fits_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let mut lines = body.split('\n');
    let is_plain =
        |character: char| character == '\n' || !(character.is_control() || is_odd(character));
    let first = lines.next().unwrap_or_default();
    body.contains('\n')
        && !body.ends_with('\n')
        && !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && text.chars().all(is_plain)
        && body
            .split('\n')
            .all(|line| !line.ends_with(' ') && !line.starts_with('\t'))
}

/// Characters that end a line to some readers, or are not seen.
fn is_odd(character: char) -> bool {
    matches!(
        character,
        '\u{85}' | '\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// A text on one line: plain where nothing can take it for something else, otherwise quoted.
fn write_line_text(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
    } else if text
        .chars()
        .all(|character| !character.is_control() && !is_odd(character))
    {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        out.push('"');
        write_escaped(text, out);
        out.push('"');
    }
}

/// A text that only quotes can hold, a line of it on each line: the backslash at a line's end takes the break away.
fn write_quoted_lines(text: &str, out: &mut String, indent: usize) {
    out.push('"');
    for (place, line) in text.split_inclusive('\n').enumerate() {
        if place > 0 {
            out.push_str("\\\n");
            pad(out, indent);
            if line.starts_with(' ') {
                out.push('\\');
            }
        }
        write_escaped(line, out);
    }
    out.push('"');
}

fn write_escaped(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character.is_control() || is_odd(character) => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
}

/// Words of letters, digits and what does not mean anything to YAML between them, that are no value of another kind.
fn is_plain(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let words = text.split(' ');
    let lower = text.to_ascii_lowercase();
    begins
        && words.clone().all(|word| !word.is_empty())
        && text.chars().all(|c| is_inner(c) || c == ' ')
        && !matches!(
            lower.as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr::{LoadableYamlNode, Scalar, Yaml};

    use super::*;

    fn read(text: &str) -> Yaml<'_> {
        let mut documents = Yaml::load_from_str(text).unwrap_or_else(|error| {
            panic!("{error}: {text:?}");
        });
        documents.pop().expect("a document")
    }

    proptest! {
        /// Whatever a plugin writes comes back from the file as it was.
        #[test]
        fn a_text_that_is_written_is_read_as_it_was(
            text in prop_oneof!["\\PC*", "(.|\n|\r|\t| |'|\"){0,20}", "[ -~\n]{0,40}", "(true|null|~|1|-|#|:|a b|\\[|\n){1,3}"],
        ) {
            let inner = Tree::Map(vec![("deep".to_owned(), Tree::List(vec![Tree::text(text.as_str())]))]);
            let mut out = String::new();

            write_map(&[(text.clone(), Tree::text(text.as_str())), ("b-c".to_owned() + &text, inner)], &mut out, 0);

            let Yaml::Mapping(map) = read(&out) else { panic!("{out}") };
            let entries: Vec<_> = map.into_iter().collect();
            prop_assert_eq!(&entries[0].0, &Yaml::Value(Scalar::String(text.clone().into())), "{}", out);
            prop_assert_eq!(&entries[0].1, &Yaml::Value(Scalar::String(text.clone().into())), "{}", out);
            let deep = entries[1].1.as_mapping_get("deep").and_then(|list| list.as_sequence_get(0));
            prop_assert_eq!(deep, Some(&Yaml::Value(Scalar::String(text.into()))), "{}", out);
        }
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        let json = serde_json::json!({ "n": 1.5, "list": [], "map": {}, "deep": [{ "a": [1, null] }], "no": "no" });
        let entries = [
            ("drop".to_owned(), Tree::Numbers(vec![0, 2])),
            ("body".to_owned(), Tree::text("{\"a\":1}\n{\"a\":2}\n")),
            ("json".to_owned(), Tree::json(&json)),
        ];
        let mut out = String::new();

        write_map(&entries, &mut out, 0);

        insta::assert_snapshot!(out, @r#"
        drop: [0, 2]
        body: |
          {"a":1}
          {"a":2}
        json:
          deep:
            - a:
                - 1
                - null
          list: []
          map: {}
          n: 1.5
          'no': 'no'
        "#);
    }
}
