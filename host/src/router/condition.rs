//! What a router may ask of an event.

use regex::Regex;
use serde_json::{Number, Value};

use super::Looked;

/// What a router asks of an event.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Of an attribute; where a name stands twice, of the first.
    Attribute(String, Test),
    /// Of the key; an event without a key has none.
    Key(Test),
    /// Of a value in the data; data that is no JSON meets no such condition.
    Json(Pointer, JsonTest),
    /// Every one of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
    /// All but this.
    Not(Box<Condition>),
}

/// What is asked of a text.
#[derive(Debug, Clone)]
pub enum Test {
    /// It is this.
    Equals(String),
    /// The expression is found in it.
    Matches(Regex),
    /// It begins so.
    Prefix(String),
    /// It is there, or it is not.
    Exists(bool),
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum JsonTest {
    /// It is this; numbers by what they say, not by how they are written.
    Equals(Value),
    /// It is a text, and the expression is found in it.
    Matches(Regex),
    /// It is there, `null` too, or it is not.
    Exists(bool),
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(String);

/// Why a text is no JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("a pointer that is not empty begins with `/`")]
    NoSlash,
    /// A tilde that stands for nothing.
    #[error("behind `~` must be `0` (for `~`) or `1` (for `/`)")]
    Tilde,
}

impl Pointer {
    /// Checks the form: empty for the whole document, otherwise `/` before each part.
    ///
    /// # Errors
    /// When it has another form.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash);
        }
        let mut tildes = text.split('~').skip(1);
        if !tildes.all(|rest| rest.starts_with(['0', '1'])) {
            return Err(PointerError::Tilde);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Condition {
    pub(super) fn holds(&self, looked_at: &Looked<'_>) -> bool {
        let event = looked_at.event;
        match self {
            Self::Attribute(name, test) => {
                let mut named = event
                    .attributes
                    .iter()
                    .filter(|(other, _)| **other == **name);
                test.holds(named.next().map(|(_, value)| &**value))
            }
            Self::Key(test) => test.holds(event.key.as_deref()),
            Self::Json(pointer, test) => looked_at
                .json()
                .is_some_and(|json| test.holds(json.pointer(&pointer.0))),
            Self::All(all) => all.iter().all(|condition| condition.holds(looked_at)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(looked_at)),
            Self::Not(not) => !not.holds(looked_at),
        }
    }
}

impl Test {
    fn holds(&self, text: Option<&str>) -> bool {
        match self {
            Self::Equals(equal) => text == Some(equal),
            Self::Matches(regex) => text.is_some_and(|text| regex.is_match(text)),
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Exists(exists) => text.is_some() == *exists,
        }
    }
}

impl JsonTest {
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Equals(equal), Some(value)) => same(equal, value),
            (Self::Matches(regex), Some(Value::String(text))) => regex.is_match(text),
            (Self::Equals(_) | Self::Matches(_), _) => false,
            (Self::Exists(exists), value) => value.is_some() == *exists,
        }
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let in_other = |(key, one): (&String, &Value)| {
                other.get(key).is_some_and(|other| same(one, other))
            };
            one.len() == other.len() && one.iter().all(in_other)
        }
        (one, other) => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    // Whole numbers are compared as such: as floats, large ones would be the same as their neighbours.
    one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_has_the_form_of_rfc_6901() {
        for text in ["", "/", "/a", "/a/0/~0~1", "//"] {
            assert!(Pointer::parse(text).is_ok(), "{text}");
        }
        assert_eq!(Pointer::parse("a/b"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("#/a"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::Tilde));
        assert_eq!(Pointer::parse("/~2"), Err(PointerError::Tilde));
    }

    /// The examples of RFC 6901, section 5.
    #[test]
    fn the_examples_of_the_standard() {
        let document = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        });
        let table = [
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ];
        for (text, expected) in table {
            let pointer = Pointer::parse(text).expect(text);
            assert!(
                JsonTest::Equals(expected).holds(document.pointer(&pointer.0)),
                "{text}"
            );
        }
        assert!(JsonTest::Exists(false).holds(document.pointer("/foo/00")));
        assert!(JsonTest::Exists(false).holds(document.pointer("/foo/-")));
    }

    #[test]
    fn numbers_are_compared_by_what_they_say() {
        let same = |one: Value, other: Value| same(&one, &other);

        assert!(same(json!(1), json!(1.0)) && same(json!([1.0]), json!([1])));
        assert!(!same(json!([1]), json!([1, 2])) && !same(json!([1]), json!([2])));
        assert!(
            same(json!({"a": 2}), json!({"a": 2.0}))
                && !same(json!({"a": 2}), json!({"a": 2, "b": 0}))
        );
        assert!(!same(json!(u64::MAX), json!(u64::MAX - 1)) && !same(json!(-1), json!(1)));
    }
}
