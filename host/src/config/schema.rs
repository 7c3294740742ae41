//! The JSON Schema of the module file, and what the walk asks of it.

use serde_json::{Map, Value};

use super::{
    shape::ModuleYaml,
    units::{parse_duration, parse_size},
};

/// The JSON Schema of the module file.
pub fn schema() -> Value {
    schemars::schema_for!(ModuleYaml).to_value()
}

/// A schema with the definitions that it refers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a> {
    definitions: Option<&'a Value>,
    at: &'a Value,
    /// Whether a text stands for the mapping: the name of one that is defined elsewhere.
    or_name: bool,
}

impl<'a> Schema<'a> {
    pub(super) fn root(schema: &'a Value) -> Self {
        Self {
            definitions: schema.get("$defs"),
            at: schema,
            or_name: false,
        }
    }

    /// `at`, with its reference followed, that of an optional value too.
    fn below(self, at: &'a Value) -> Self {
        let below = self.referred(at);
        let alternatives = below.at.get("anyOf").and_then(Value::as_array);
        let Some(alternatives) = alternatives.filter(|_| below.at.get("type").is_none()) else {
            return below;
        };
        // A name or a mapping.
        let is_text = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "string");
        let mapping = alternatives.iter().find(|schema| !is_text(schema));
        Self {
            or_name: alternatives.iter().any(is_text),
            ..mapping.map_or(below, |mapping| below.referred(mapping))
        }
    }

    fn referred(self, at: &'a Value) -> Self {
        let reference = at.get("$ref").and_then(Value::as_str).or_else(|| {
            let any = at.get("anyOf")?.as_array()?;
            any.iter().find_map(|schema| schema.get("$ref")?.as_str())
        });
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        let at = name
            .and_then(|name| self.definitions?.get(name))
            .unwrap_or(at);
        Self {
            at,
            or_name: false,
            ..self
        }
    }

    /// Whether a name may stand for the mapping.
    pub(super) fn or_name(self) -> bool {
        self.or_name
    }

    pub(super) fn items(self) -> Self {
        self.below(self.at.get("items").unwrap_or(&Value::Bool(true)))
    }

    pub(super) fn property(self, key: &str) -> Option<Self> {
        let others = || {
            self.at
                .get("additionalProperties")
                .filter(|others| **others != Value::Bool(false))
        };
        let known = self.at.get("properties").and_then(|known| known.get(key));
        known.or_else(others).map(|schema| self.below(schema))
    }

    /// What to write instead of a key that stood here in an earlier version: `x-moved`.
    pub(super) fn moved(self, key: &str) -> Option<&'a str> {
        self.at.get("x-moved")?.get(key)?.as_str()
    }

    /// The keys that it names.
    pub(super) fn keys(self) -> Vec<&'a str> {
        let properties = self.at.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect()
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'a str> {
        let required = self.at.get("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    pub(super) fn allows(self, kind: &str) -> bool {
        match self.at.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(many)) => many.iter().any(|one| one == kind),
            _ => false,
        }
    }

    pub(super) fn is_any(self) -> bool {
        *self.at == Value::Bool(true)
            || (self.at.get("type").is_none() && self.at.get("oneOf").is_none())
    }

    pub(super) fn format(self) -> Option<&'a str> {
        self.at.get("format").and_then(Value::as_str)
    }

    /// The smallest and the largest number.
    pub(super) fn range(self) -> (Option<i64>, Option<i64>) {
        let minimum = self.at.get("minimum").and_then(Value::as_i64);
        let maximum = self.at.get("maximum").and_then(Value::as_i64);
        // A type that serde will not take more for.
        let of_type = (self.format() == Some("uint32")).then_some(i64::from(u32::MAX));
        (minimum, maximum.or(of_type))
    }

    /// Whether a text must say something.
    pub(super) fn is_filled(self) -> bool {
        self.at.get("minLength") == Some(&Value::from(1))
    }

    /// Whether it takes a duration, which is no shorter than `x-shortest`.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn takes_duration(self, text: &str) -> Result<(), String> {
        let duration = parse_duration(text)?;
        match self.at.get("x-shortest").and_then(Value::as_str) {
            Some(shortest) if duration < parse_duration(shortest)? => {
                Err(format!("write a duration of at least `{shortest}`"))
            }
            _ => Ok(()),
        }
    }

    /// The size, if it takes it: none that is larger than `x-largest`.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn takes_size(self, size: u64) -> Result<u64, String> {
        match self.at.get("x-largest").and_then(Value::as_str) {
            Some(largest) if size > parse_size(largest)? => {
                Err(format!("write a size of at most `{largest}`"))
            }
            _ => Ok(size),
        }
    }

    /// Whether the value is a name that logs and errors show: no secret can be one.
    pub(super) fn is_written_out(self) -> bool {
        self.at.get("x-written-out") == Some(&Value::Bool(true))
    }

    /// The values of an enumeration: `enum`, or `oneOf` constants where each has its own documentation.
    pub(super) fn choices(self) -> Option<Vec<&'a str>> {
        if let Some(values) = self.at.get("enum") {
            return values.as_array()?.iter().map(Value::as_str).collect();
        }
        let mut all = Vec::new();
        for one in self.at.get("oneOf")?.as_array()? {
            match (one.get("const"), one.get("enum")) {
                (Some(value), _) => all.push(value.as_str()?),
                (None, Some(values)) => {
                    all.extend(values.as_array()?.iter().filter_map(Value::as_str));
                }
                (None, None) => return None,
            }
        }
        Some(all)
    }
}
