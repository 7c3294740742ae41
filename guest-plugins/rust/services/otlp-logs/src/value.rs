//! Values of OpenTelemetry in JSON.

use serde_json::{Value, json};

/// A JSON value as an `AnyValue`; `null` is the empty one.
pub fn any_value(value: Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::String(value) => json!({ "stringValue": value }),
        Value::Number(number) => match number.as_i64() {
            // 64-bit integers are strings in the JSON of Protocol Buffers.
            Some(integer) => json!({ "intValue": integer.to_string() }),
            None => json!({ "doubleValue": number.as_f64() }),
        },
        Value::Array(values) => {
            let values: Vec<Value> = values.into_iter().map(any_value).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(members) => {
            let members = members.into_iter();
            let members: Vec<Value> = members
                .map(|(key, value)| json!({ "key": key, "value": any_value(value) }))
                .collect();
            json!({ "kvlistValue": { "values": members } })
        }
    }
}

/// Attributes, in their order.
pub fn attributes<'a>(of: impl IntoIterator<Item = (&'a str, Value)>) -> Vec<Value> {
    of.into_iter()
        .map(|(key, value)| json!({ "key": key, "value": any_value(value) }))
        .collect()
}

/// The number of a severity (<https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>); 0 where
/// the word is not known.
pub fn severity(text: &str) -> u8 {
    let lower = text.to_ascii_lowercase();
    let word = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    let step = match lower.strip_prefix(word) {
        Some("" | "1") | None => 0,
        Some("2") => 1,
        Some("3") => 2,
        Some("4") => 3,
        Some(_) => return 0,
    };
    let first = match word {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "critical" | "crit" => 18,
        "alert" => 19,
        "fatal" | "emergency" | "emerg" | "panic" => 21,
        _ => return 0,
    };
    first + step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_those_of_the_data_model() {
        let table = [
            ("TRACE", 1),
            ("debug3", 7),
            ("Info", 9),
            ("warning", 13),
            ("ERROR4", 20),
            ("FATAL", 21),
            ("loud", 0),
            ("info9", 0),
            ("", 0),
        ];

        for (text, expected) in table {
            assert_eq!(severity(text), expected, "{text}");
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_a_double() {
        let large = json!(18_446_744_073_709_551_615_u64);

        assert_eq!(any_value(json!(-1)), json!({ "intValue": "-1" }));
        assert_eq!(
            any_value(large),
            json!({ "doubleValue": 18_446_744_073_709_551_615.0 })
        );
    }
}
