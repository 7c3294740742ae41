//! Property groups: the file of `--properties`. Its values are secrets, so no error shows a line of it or repeats
//! what stands there.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::error::Category;

use super::{
    problem::{Mark, Problem, Problems},
    read,
};
use crate::json::Object;

/// Property groups by group and key.
pub type Groups = BTreeMap<String, BTreeMap<String, String>>;

/// One group of runtime properties, as Managed Service for Apache Flink writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct PropertyGroup {
    property_group_id: String,
    #[serde(deserialize_with = "unique")]
    property_map: BTreeMap<String, String>,
}

/// A map in which no key stands twice: serde would take the last.
fn unique<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;
    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.insert(key, value).is_some() {
                    return Err(A::Error::custom("a key stands twice"));
                }
            }
            Ok(map)
        }
    }
    from.deserialize_map(Unique)
}

/// Loads a file of property groups.
///
/// # Errors
/// When it cannot be read, or is no list of property groups.
pub fn load_properties(path: &Path) -> Result<Groups, Problems> {
    let text = read(path, "the file of property groups")?;
    parse_properties(&text).map_err(|problem| Problems::whole(path.display().to_string(), problem))
}

/// Reads a JSON list of `PropertyGroupId` and `PropertyMap`.
///
/// # Errors
/// What is wrong, with line and column, and without the values that stand there.
pub fn parse_properties(text: &str) -> Result<Groups, Problem> {
    // Editors on Windows write one; RFC 8259, section 8.1, lets a reader pass over it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let list: Vec<Object<PropertyGroup>> =
        serde_json::from_str(text).map_err(|error| refused(&error, text))?;
    let mut groups = Groups::new();
    for Object(group) in list {
        let id = group.property_group_id;
        if matches!(&*id, "env" | "file") {
            let message = format!("`{id}` is no name for a property group");
            let hint =
                format!("`${{{id}:…}}` has a meaning of its own; give the group another name");
            return Err(Problem::new(Mark::default(), message).hint(hint));
        }
        if groups.insert(id.clone(), group.property_map).is_some() {
            let message = format!("the property group `{id}` stands twice");
            return Err(
                Problem::new(Mark::default(), message).hint("put its keys into one `PropertyMap`")
            );
        }
    }
    Ok(groups)
}

fn refused(error: &serde_json::Error, text: &str) -> Problem {
    let reason = match error.classify() {
        // serde's own words would repeat the value.
        Category::Data => {
            let words = error.to_string();
            if words.starts_with("missing field") {
                "a group lacks its `PropertyGroupId` or its `PropertyMap`"
            } else if words.starts_with("unknown field") {
                "a group has another key than `PropertyGroupId` and `PropertyMap`"
            } else {
                "this value has another type, or its key stands twice"
            }
        }
        Category::Eof => "the file ends too early",
        Category::Syntax | Category::Io => "the file is no JSON",
    };
    let line = text.split('\n').nth(error.line().saturating_sub(1));
    // serde counts bytes, and editors characters: each has one byte that continues none.
    let column = line
        .unwrap_or_default()
        .bytes()
        .take(error.column())
        .filter(|byte| byte & 0xC0 != 0x80)
        .count();
    let mark = Mark {
        line: error.line(),
        column: column.max(1),
        len: 1,
    };
    Problem::new(mark, format!("no list of property groups: {reason}")).hint(
        "it is a JSON list of objects with `PropertyGroupId` and `PropertyMap`, a map of texts, as Managed Service \
         for Apache Flink writes them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_groups_is_refused_with_its_place_and_without_its_values() {
        let table = [
            (
                "[{\"PropertyGroupId\":\"A\",\n\"PropertyMap\":\"canary\"}]",
                2,
                "another type",
            ),
            (
                "[{\"PropertyGroupId\":\"A\",\"PropertyMap\":{\"a\":4711}}]",
                1,
                "another type",
            ),
            ("[{\"PropertyGroupId\":\"A\"}]", 1, "lacks its"),
            ("{\"canary\":1}", 1, "another type"),
            ("[[\"A\",\n{\"a\":\"canary\"}]]", 1, "another type"),
            ("[{\"PropertyGroupId\":\n\"canary\",]", 2, "no JSON"),
            ("[", 1, "ends too early"),
            (
                "[{\"PropertyGroupId\":\"A\",\"PropertyMap\":{\"a\":\"canary\",\n\"a\":\"4711\"}}]",
                2,
                "its key stands twice",
            ),
        ];

        for (text, line, part) in table {
            let problem = parse_properties(text).expect_err(text);
            assert_eq!(problem.mark.line, line, "{text}");
            assert!(
                problem.message.contains(part),
                "{text}: {}",
                problem.message
            );
            let shown = format!("{problem:?}");
            assert!(
                !shown.contains("canary") && !shown.contains("4711"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let text = "\u{feff}[{\"PropertyGroupId\":\"A\",\"PropertyMap\":{\"a\":\"b\"}}]";

        let groups = parse_properties(text).expect("a list");

        assert_eq!(groups["A"]["a"], "b");
    }

    #[test]
    fn a_group_that_stands_twice_is_refused() {
        let group = r#"{"PropertyGroupId":"A","PropertyMap":{}}"#;

        let problem = parse_properties(&format!("[{group},{group}]")).expect_err("twice");

        assert_eq!(problem.message, "the property group `A` stands twice");
    }

    #[test]
    fn a_group_that_no_reference_can_reach_is_refused() {
        for name in ["env", "file"] {
            let text = format!(r#"[{{"PropertyGroupId":"{name}","PropertyMap":{{}}}}]"#);

            let problem = parse_properties(&text).expect_err("it has a meaning of its own");

            assert!(
                problem.message.contains("is no name"),
                "{}",
                problem.message
            );
        }
    }
}
