//! Which records a request carries: a JSON value, an array of them, or a bulk body.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// Records that are accepted or refused together, by id.
    Whole(Vec<u64>),
    /// Items of a bulk request, each with a fate of its own.
    Items(Vec<u64>),
}

/// Reads a body. `bulk` bodies alternate action and record.
pub(super) fn read(body: &[u8], bulk: bool, id_field: &str) -> Carried {
    if bulk {
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        return Carried::Items(
            lines
                .skip(1)
                .step_by(2)
                .map(|line| identity(line, id_field))
                .collect(),
        );
    }
    match serde_json::from_slice(body) {
        Ok(Value::Array(records)) => Carried::Whole(
            records
                .iter()
                .map(|record| of_value(record, id_field))
                .collect(),
        ),
        Ok(record) => Carried::Whole(vec![of_value(&record, id_field)]),
        Err(_) => Carried::Whole(vec![hash(body)]),
    }
}

fn identity(line: &[u8], id_field: &str) -> u64 {
    serde_json::from_slice(line).map_or_else(|_| hash(line), |record| of_value(&record, id_field))
}

/// The id, or the whole record where it has none.
fn of_value(record: &Value, id_field: &str) -> u64 {
    let id = record.get(id_field).unwrap_or(record);
    hash(id.to_string().as_bytes())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_name_the_same_records() {
        let one = read(b"{\"id\":1,\"x\":2}", false, "id");
        let many = read(b"[{\"id\":1},{\"id\":2},3]", false, "id");
        let bulk = read(
            b"{\"index\":{}}\n{\"id\":1}\n{\"index\":{}}\n{\"id\":2}\n",
            true,
            "id",
        );

        let (Carried::Whole(one), Carried::Whole(many), Carried::Items(bulk)) = (one, many, bulk)
        else {
            panic!("the forms are told apart");
        };
        assert_eq!((one.len(), many.len(), bulk.len()), (1, 3, 2));
        assert_eq!(one[0], many[0]);
        assert_eq!(bulk, many[..2]);
    }
}
