//! What must be an object in JSON.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A `T` that stands there as an object: what serde derives for a struct takes a list of its values, too.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        x: i32,
        y: i32,
    }

    fn read(text: &str) -> Result<(i32, i32), String> {
        let point: Result<Object<Point>, _> = serde_json::from_str(text);
        let point = point.map_err(|error| error.to_string())?;
        Ok((point.0.x, point.0.y))
    }

    #[test]
    fn a_list_of_the_values_is_no_object() {
        let refused = |text: &str| read(text).expect_err("refused");

        assert_eq!(read(r#"{"y":2,"x":1}"#), Ok((1, 2)));
        assert!(refused("[1,2]").contains("expected an object"));
        assert!(refused(r#"{"x":1}"#).contains("missing field `y`"));
        assert!(refused(r#"{"x":1,"z":2}"#).contains("unknown field `z`"));
    }
}
