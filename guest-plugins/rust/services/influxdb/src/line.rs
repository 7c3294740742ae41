//! A line of the protocol (<https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>).

use serde_json::Value;

/// A point as it is sent, and what is asked of it when it was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Without its end.
    pub line: String,
    pub measurement: String,
    /// Names of the fields, and the types that they were sent with.
    pub fields: Vec<(String, Type)>,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Float,
    Integer,
    Boolean,
    String,
}

impl Type {
    /// As InfluxDB calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }
}

impl Point {
    pub fn new(measurement: &str) -> Result<Self, String> {
        if measurement.is_empty() || measurement.starts_with('#') {
            return Err(format!("`{measurement}` is no name of a measurement"));
        }
        Ok(Self {
            line: escaped(measurement, &[',', ' '])?,
            measurement: measurement.to_owned(),
            fields: Vec::new(),
        })
    }

    /// Tags stand before fields. An empty value is none.
    pub fn tag(&mut self, name: &str, value: &str) -> Result<(), String> {
        if !value.is_empty() {
            let (name, value) = (key(name)?, key(value)?);
            self.line.push_str(&format!(",{name}={value}"));
        }
        Ok(())
    }

    /// Numbers are written as `numbers`; what has no type here is written as text, in its JSON; `null` is no field.
    pub fn field(&mut self, name: &str, value: &Value, numbers: Type) -> Result<(), String> {
        let (text, of_type) = match value {
            Value::Null => return Ok(()),
            _ if name == "time" => {
                return Err(
                    "a field cannot be called `time`, which InfluxDB drops: name it under `fields`"
                        .to_owned(),
                );
            }
            Value::Bool(value) => (value.to_string(), Type::Boolean),
            Value::Number(number) if numbers == Type::Integer => {
                let integer = number.as_i64();
                let integer =
                    integer.ok_or_else(|| format!("`{number}` is no integer of 64 bits"))?;
                (format!("{integer}i"), Type::Integer)
            }
            Value::Number(number) => {
                let float = number.as_f64().filter(|float| float.is_finite());
                let float = float.ok_or_else(|| format!("`{number}` is no float"))?;
                (float.to_string(), Type::Float)
            }
            Value::String(text) => (quoted(text), Type::String),
            other => (quoted(&other.to_string()), Type::String),
        };
        let before = if self.fields.is_empty() { ' ' } else { ',' };
        self.line
            .push_str(&format!("{before}{}={text}", key(name)?));
        self.fields.push((name.to_owned(), of_type));
        Ok(())
    }

    pub fn finish(mut self, nanoseconds: u64) -> Result<Self, String> {
        if self.fields.is_empty() {
            return Err("the record has none of the fields".to_owned());
        }
        if i64::try_from(nanoseconds).is_err() {
            return Err("the time is beyond the year 2262".to_owned());
        }
        self.line.push_str(&format!(" {nanoseconds}"));
        Ok(self)
    }
}

/// A tag's name or value, or a field's name.
fn key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the name of a tag or field is empty".to_owned());
    }
    escaped(text, &[',', '=', ' '])
}

/// What stands outside of quotes. A backslash is one, unless something that can be escaped comes behind it: at the end,
/// that is what the line goes on with.
fn escaped(text: &str, special: &[char]) -> Result<String, String> {
    if text.contains(['\n', '\r']) || text.ends_with('\\') {
        return Err(format!(
            "{text:?} cannot be a name or a tag: it has a line break, or ends in a backslash"
        ));
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(out)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_escaped() {
        let mut point = Point::new("my data,x=1").expect("a name");
        point.tag("a b", "c,d=e\\f").expect("a tag");
        point.tag("empty", "").expect("no tag");
        point
            .field("g=h", &Value::from("i\nj"), Type::Float)
            .expect("a field");

        let point = point.finish(1).expect("a point");

        assert_eq!(
            point.line,
            "my\\ data\\,x=1,a\\ b=c\\,d\\=e\\f g\\=h=\"i\nj\" 1"
        );
        assert_eq!(point.fields, [("g=h".to_owned(), Type::String)]);
    }

    #[test]
    fn what_no_escape_saves_is_refused() {
        let mut point = Point::new("m").expect("a name");

        for bad in ["a\\", "a\nb", "a\rb"] {
            assert!(Point::new(bad).is_err(), "{bad:?}");
            assert!(point.tag("t", bad).is_err(), "{bad:?}");
            assert!(point.tag(bad, "v").is_err(), "{bad:?}");
        }
        assert!(point.clone().finish(1).is_err());
        assert!(point.field("", &Value::from(1), Type::Float).is_err());
        assert!(point.field("n", &Value::from(1.5), Type::Integer).is_err());
        assert!(
            point
                .field("n", &Value::from(u64::MAX), Type::Integer)
                .is_err()
        );
    }
}
