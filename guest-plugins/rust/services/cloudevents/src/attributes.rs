//! Context attributes: from templates to values that the specification allows, and to headers.

use nozzle_plugin::Event;
use template_text::{Place, Template, time::is_rfc3339};

use crate::Config;

/// What no extension may be called: the names that the specification gives away.
const RESERVED: [&str; 9] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];

/// The templates of all attributes but `specversion` and `datacontenttype`.
#[derive(Debug)]
pub struct Attributes {
    required: [(&'static str, Template); 3],
    optional: Vec<(String, Template)>,
}

impl Attributes {
    pub fn new(config: &Config) -> Result<Self, String> {
        let named = |name: &str, text: &str| {
            Template::parse(text).map_err(|error| format!("`{name}`: {error}"))
        };
        let mut optional = Vec::new();
        let known = [
            ("subject", config.subject.as_deref()),
            ("time", Some(config.time.as_str())),
            ("dataschema", config.data_schema.as_deref()),
        ];
        for (name, text) in known {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                optional.push((name.to_owned(), named(name, text)?));
            }
        }
        for (name, text) in &config.extensions {
            if !is_name(name) {
                return Err(format!(
                    "`{name}` is no name for an extension: they are of the letters a to z and digits"
                ));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!("`{name}` is no extension, but the specification's"));
            }
            optional.push((name.clone(), named(name, text)?));
        }
        Ok(Self {
            required: [
                ("id", named("id", &config.id)?),
                ("source", named("source", &config.source)?),
                ("type", named("type", &config.kind)?),
            ],
            optional,
        })
    }

    /// The attributes of a record.
    pub fn of(&self, event: &Event<'_>) -> Result<Vec<(&str, String)>, String> {
        let mut found = Vec::with_capacity(self.required.len() + self.optional.len());
        for (name, template) in &self.required {
            let value = template.render(event, Place::Body)?;
            if value.is_empty() {
                return Err(format!("the attribute `{name}` is empty"));
            }
            found.push((*name, check(name, value)?));
        }
        for (name, template) in &self.optional {
            if let Some(value) = template.render_optional(event)? {
                found.push((name, check(name, value)?));
            }
        }
        Ok(found)
    }
}

/// CloudEvents, "Naming Conventions".
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn check(name: &str, value: String) -> Result<String, String> {
    let fits = match name {
        "time" => is_rfc3339(&value),
        "source" | "dataschema" => value.bytes().all(is_of_a_uri),
        _ => value.chars().all(is_of_a_string),
    };
    match (fits, name) {
        (true, _) => Ok(value),
        (false, "time") => Err(format!("the attribute `time` is no RFC 3339 time: {value}")),
        (false, "source" | "dataschema") => Err(format!(
            "the attribute `{name}` is no URI: {}",
            value.escape_debug()
        )),
        (false, _) => Err(format!(
            "the attribute `{name}` has a control character: {}",
            value.escape_debug()
        )),
    }
}

/// RFC 3986, section 2: what a URI may be of, percent-encoding included.
fn is_of_a_uri(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// CloudEvents, "Type System": neither control characters nor noncharacters.
fn is_of_a_string(character: char) -> bool {
    let code = u32::from(character);
    !character.is_control() && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}

/// A value as a header has it (HTTP binding, section 3.1.3.2): percent-encoded but for printable ASCII, without the
/// space, `"` and `%`.
pub fn encode(value: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' | 0..=b' ' | 0x7f.. => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
            byte => out.push(char::from(byte)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_encoded_as_the_binding_says() {
        let table = [
            ("Euro \u{20ac} \u{1f600}", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("a\"b%c", "a%22b%25c"),
            (
                "!#$&'()*+,-./:;<=>?@[]^_`{|}~",
                "!#$&'()*+,-./:;<=>?@[]^_`{|}~",
            ),
            ("\u{0}\u{1f}\u{7f}\u{80}", "%00%1F%7F%C2%80"),
            ("", ""),
        ];

        for (value, expected) in table {
            assert_eq!(encode(value), expected);
        }
    }

    #[test]
    fn values_are_of_the_specifications_types() {
        let good = [
            ("subject", "a b \u{e9}"),
            ("time", "2018-04-05T17:31:00Z"),
            ("source", "/streams/a%20b?x#y"),
            ("source", "urn:a:b"),
            ("any", "\u{20ac}"),
        ];
        let bad = [
            ("subject", "a\nb"),
            ("subject", "\u{85}"),
            ("subject", "\u{fffe}"),
            ("subject", "\u{fdd0}"),
            ("time", "yesterday"),
            ("source", "a b"),
            ("source", "\u{e9}"),
            ("dataschema", "<x>"),
        ];

        for (name, value) in good {
            assert_eq!(check(name, value.to_owned()).as_deref(), Ok(value));
        }
        for (name, value) in bad {
            let reason = check(name, value.to_owned()).expect_err(value);
            assert!(!reason.contains(char::is_control), "{reason:?}");
        }
    }
}
