//! `ingresses[].routers`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Sends events of its ingress to sinks: all of them, or those that `when` describes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RouterYaml {
    /// The sinks' ids.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) to: Vec<String>,
    /// Which events it takes. Default: all.
    pub(in crate::config) when: Option<WhenYaml>,
}

/// What is asked of an event. Of several keys, all must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct WhenYaml {
    /// Of an attribute.
    pub(in crate::config) attribute: Option<AttributeYaml>,
    /// Of the key.
    pub(in crate::config) key: Option<TextYaml>,
    /// Of a value in the data; data that is no JSON does not meet it.
    pub(in crate::config) json: Option<JsonYaml>,
    /// All of these hold.
    pub(in crate::config) all: Option<Vec<WhenYaml>>,
    /// At least one of these holds.
    pub(in crate::config) any: Option<Vec<WhenYaml>>,
    /// This does not hold.
    pub(in crate::config) not: Option<Box<WhenYaml>>,
}

/// What is asked of an attribute. Of several keys, all must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct AttributeYaml {
    /// The attribute's name.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) name: String,
    /// It is this text.
    pub(in crate::config) equals: Option<String>,
    /// This regular expression is found in it; `^` and `$` bind it to the ends.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) matches: Option<String>,
    /// It begins with this text.
    pub(in crate::config) prefix: Option<String>,
    /// It is there, or it is not.
    pub(in crate::config) exists: Option<bool>,
}

/// What is asked of a key. Of several keys, all must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct TextYaml {
    /// It is this text.
    pub(in crate::config) equals: Option<String>,
    /// This regular expression is found in it; `^` and `$` bind it to the ends.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) matches: Option<String>,
    /// It begins with this text.
    pub(in crate::config) prefix: Option<String>,
    /// It is there, or it is not.
    pub(in crate::config) exists: Option<bool>,
}

/// What is asked of a value in the data. Of several keys, all must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct JsonYaml {
    /// Where it is: a JSON pointer (RFC 6901) such as `/user/country`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) pointer: String,
    /// It is this value, `null` too; numbers are compared by what they say (1 is 1.0).
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Value")]
    pub(in crate::config) equals: Option<Value>,
    /// It is a text in which this regular expression is found; `^` and `$` bind it to the ends.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) matches: Option<String>,
    /// It is there, `null` too, or it is not.
    pub(in crate::config) exists: Option<bool>,
}

/// A value that is there, even where it is `null`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
