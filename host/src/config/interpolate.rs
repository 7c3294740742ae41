//! `${Group:key}`, `${env:NAME}` and `${file:PATH}` in the values of a module file.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// Where values come from.
pub struct Sources {
    /// The property groups, by group and key.
    pub groups: BTreeMap<String, BTreeMap<String, String>>,
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

/// Why a reference cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfilled {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Fills in the references of `text`; `$${` stands for `${`.
pub(super) fn fill(text: &str, sources: &Sources) -> Result<Filled, Unfilled> {
    let mut out = String::with_capacity(text.len());
    let mut secret = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(unfilled(
                "a `${` without its `}`",
                "write `$${` for the text itself",
            ));
        };
        out.push_str(&look_up(name, sources)?);
        secret = true;
        rest = after;
    }
    out.push_str(rest);
    Ok(Filled { text: out, secret })
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
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned()),
                Err(error) => Err(unfilled(
                    format!("the file `{}` cannot be read: {error}", path.display()),
                    "a path is relative to the module file's folder",
                )),
            }
        }
        _ => {
            let known = |names: Vec<&String>| {
                if names.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are {names:?}")
                }
            };
            let Some(properties) = sources.groups.get(group) else {
                let groups = known(sources.groups.keys().collect());
                let hint = format!(
                    "name the file of property groups with --properties; of groups, {groups}"
                );
                return Err(unfilled(
                    format!("there is no property group `{group}`"),
                    hint,
                ));
            };
            properties.get(key).cloned().ok_or_else(|| {
                let keys = known(properties.keys().collect());
                unfilled(
                    format!("the property group `{group}` has no `{key}`"),
                    format!("of keys, {keys}"),
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

/// One group of runtime properties, as Managed Service for Apache Flink writes them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PropertyGroup {
    property_group_id: String,
    property_map: BTreeMap<String, String>,
}

/// Reads a JSON list of `PropertyGroupId` and `PropertyMap`.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse_properties(text: &str) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let groups: Vec<PropertyGroup> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(groups
        .into_iter()
        .map(|group| (group.property_group_id, group.property_map))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_missing_is_named_with_what_there_is() {
        for (text, part) in [
            ("${Api:token}", "has no `token`"),
            ("${Other:x}", "no property group `Other`"),
            ("${env:NOPE}", "`NOPE` is not set"),
            ("${file:x}", "`/nowhere/x` cannot be read"),
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
