//! Module files, property groups and references that a user could write.

use std::path::PathBuf;

use super::{
    Groups, Mark, Problem, Problems, Sources,
    interpolate::{Filled, fill},
    parse, parse_properties,
    problem::lines,
};
use crate::fuzzing::draw::Draw;

/// Stands in every secret, and nowhere else.
const CANARY: &str = "kanar13";

fn sources() -> Sources {
    let values = [
        ("url", "https://kanar13.test/v1"),
        ("port", "https://api.test:kanar13"),
        ("key", "kanar13"),
        ("line", "kanar13\r\nx: ${Api:key}"),
        ("size", "kanar13MiB"),
        ("id", "kanar13/KANAR"),
        (
            "arn",
            "arn:aws:kinesis:us-east-2:123456789012:stream/kanar13",
        ),
    ];
    let map = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Sources {
        groups: Groups::from([("Api".to_owned(), map.into())]),
        env: |name| (name == "KEY").then(|| CANARY.to_owned()),
        folder: PathBuf::from("/nowhere"),
    }
}

const YAML_WORDS: [&str; 82] = [
    "version: \"1\"\n",
    "ingresses:\n",
    "  - id: a/b\n",
    "    datagen:\n",
    "    routers:\n",
    "      - to: [a/s]\n",
    "sinks:\n",
    "  - id: a/s\n",
    "    plugin: { path: p.wasm }\n",
    "    endpoint:\n",
    "      url: https://api.test\n",
    "egresses:\n",
    "  - id: a/e\n",
    "    stdout:\n",
    "    file: { path: x.ndjson }\n",
    "kinesis:",
    "${Api:url}",
    "${Api:port}",
    "${Api:key}",
    "${Api:line}",
    "${Api:size}",
    "${Api:id}",
    "${Api:arn}",
    "${env:KEY}",
    "${env:NO}",
    "${file:no}",
    "$${",
    "${",
    "}",
    "\u{e9}",
    "\u{202e}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\r",
    "\r\n",
    "\n",
    "\t",
    "  ",
    "    ",
    "      ",
    "- ",
    ": ",
    "{ ",
    " }",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!x ",
    "| \n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# ",
    "? ",
    "null",
    "~",
    "true",
    "0x7fffffffffffffff",
    "-9223372036854775808",
    "1e999",
    ".inf",
    ".nan",
    "auth: { header: { name: x-api-key, value: ",
    "headers: { ",
    "batch: { max-records: ",
    "max-bytes: ",
    "max-wait: ",
    "timeout: { attempt: ",
    "retry: { max-delay: ",
    "backoff: ",
    "status: { 409: ",
    "results: { to: a/e }\n",
    "dead-letters: a/e\n",
    "order: key\n",
    "stream: ",
    "config: ",
    "progress:",
];

/// A module file is refused with problems that stand within it, or gives the same module twice; neither shows a
/// secret.
pub(crate) fn module_file(input: &[u8]) {
    let text = Draw::new(input).text(&YAML_WORDS);
    if text.contains("${file:/") || text.to_lowercase().contains(CANARY) {
        // The machine's own files are no business of a fuzzer's.
        return;
    }

    let first = parse(&text, &sources());
    let second = parse(&text, &sources());

    match (first, second) {
        (Ok(first), Ok(second)) => {
            let shown = format!("{first:?}");
            assert_eq!(shown, format!("{second:?}"));
            hides_secrets(&shown);
        }
        (Err(first), Err(second)) => {
            assert!(!first.is_empty());
            assert_eq!(first, second);
            for problem in &first {
                stands_in(problem.mark, lines(&text), &text);
                hides_secrets(&format!("{problem:?}"));
            }
            let file = "module.yaml".to_owned();
            hides_secrets(
                &Problems {
                    file,
                    text,
                    problems: first,
                }
                .to_string(),
            );
        }
        (first, second) => panic!("{first:?}, then {second:?}"),
    }
}

fn hides_secrets(shown: &str) {
    assert!(!shown.to_lowercase().contains(CANARY), "{shown}");
}

/// A place in a text of these lines, or just behind a line's end.
fn stands_in<'a>(mark: Mark, mut lines: impl Iterator<Item = &'a str>, text: &str) {
    let Some(index) = mark.line.checked_sub(1) else {
        return;
    };
    let line = lines
        .nth(index)
        .unwrap_or_else(|| panic!("{mark:?} in {text:?}"));
    let columns = 1..=line.chars().count() + 1;
    assert!(
        mark.len > 0 && columns.contains(&mark.column),
        "{mark:?} in {text:?}"
    );
}

const JSON_WORDS: [&str; 24] = [
    "[{\"PropertyGroupId\":\"A\",\"PropertyMap\":{",
    "{\"PropertyGroupId\":\"B\",\"PropertyMap\":{",
    "}}",
    "]",
    ",",
    ":",
    "\"a\"",
    "\"b\"",
    "\"kanar13\"",
    "\"kanar13 \\u00e9\\n\"",
    "\"env\"",
    "\"PropertyGroupId\"",
    "\"PropertyMap\"",
    "{",
    "}",
    "[",
    "null",
    "1e999",
    "\\ud800",
    "\u{e9}",
    "\u{feff}",
    "\n",
    "\"\"",
    "\"kanar13",
];

/// Property groups are what another JSON reader sees in them; what is refused shows no value.
pub(crate) fn property_groups(input: &[u8]) {
    let text = Draw::new(input).text(&JSON_WORDS);
    let seen = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let seen = serde_json::from_str::<serde_json::Value>(seen);

    match parse_properties(&text) {
        Ok(groups) => {
            let list = seen.expect("it is JSON");
            let list = list.as_array().expect("a list");
            assert_eq!(list.len(), groups.len());
            for group in list {
                let id = group["PropertyGroupId"].as_str().expect("an id");
                let map = group["PropertyMap"].as_object().expect("a map");
                let own = &groups[id];
                assert!(id != "env" && id != "file" && own.len() == map.len());
                assert!(
                    map.iter()
                        .all(|(key, value)| value.as_str() == own.get(key).map(String::as_str))
                );
            }
            let again: Vec<_> = groups
                .iter()
                .map(|(id, map)| serde_json::json!({ "PropertyGroupId": id, "PropertyMap": map }))
                .collect();
            let again = serde_json::Value::from(again).to_string();
            assert_eq!(parse_properties(&again), Ok(groups));
        }
        Err(Problem {
            mark,
            message,
            hint,
        }) => {
            stands_in(mark, text.split('\n'), &text);
            // The name of a group is none of its values.
            let names_group = message.starts_with("the property group `");
            assert!(
                names_group || !format!("{message}{hint:?}").contains(CANARY),
                "{message}"
            );
            assert!(
                !message.contains("the file is no JSON") || seen.is_err(),
                "{text:?}"
            );
        }
    }
}

const TEXT_WORDS: [&str; 16] = [
    "${",
    "}",
    "$",
    "$${",
    "${Api:url}",
    "${Api:key}",
    "${Api:line}",
    "${Api:no}",
    "${No:x}",
    "${env:KEY}",
    "${env:NO}",
    "${env:",
    "${file:no}",
    "\u{e9}",
    "\n",
    "Api:",
];

/// References are filled in once, from the left, and errors show no value.
pub(crate) fn interpolation(input: &[u8]) {
    let text = Draw::new(input).text(&TEXT_WORDS);
    if text.contains("${file:/") || text.to_lowercase().contains(CANARY) {
        return;
    }
    let sources = sources();

    let filled = fill(&text, &sources);

    match (&filled, model(&text, &sources)) {
        (Ok(filled), Some(expected)) => assert_eq!(*filled, expected, "{text:?}"),
        (Err(unfilled), None) => hides_secrets(&format!("{unfilled:?}")),
        (filled, expected) => panic!("{text:?}: {filled:?}, but {expected:?}"),
    }
    let escaped = text.replace("${", "$${");
    let secret = false;
    assert_eq!(fill(&escaped, &sources), Ok(Filled { text, secret }));
}

/// Character by character; none where a reference leads nowhere.
fn model(text: &str, sources: &Sources) -> Option<Filled> {
    let mut filled = Filled {
        text: String::new(),
        secret: false,
    };
    let characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        match &characters[at..] {
            ['$', '$', '{', ..] => {
                filled.text.push_str("${");
                at += 3;
            }
            ['$', '{', rest @ ..] => {
                let len = rest.iter().position(|character| *character == '}')?;
                let name: String = rest[..len].iter().collect();
                let (group, key) = name.split_once(':')?;
                let value = match group {
                    "env" => (sources.env)(key)?,
                    "file" => return None,
                    group => sources.groups.get(group)?.get(key)?.clone(),
                };
                filled.text.push_str(&value);
                filled.secret = true;
                at += 2 + len + 1;
            }
            [character, ..] => {
                filled.text.push(*character);
                at += 1;
            }
            [] => break,
        }
    }
    Some(filled)
}
