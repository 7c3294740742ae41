//! The body of a bulk request: an action line and a data line for each record.

use std::borrow::Cow;

use nozzle_plugin::Event;
use serde_json::{Map, Value};

/// Writes action lines. What is the same for every record is made once.
#[derive(Debug)]
pub struct Action {
    /// The line up to the values from the record: `{"index":{"_index":"weather"`.
    head: String,
    /// Whether `head` ends in an object without keys.
    bare: bool,
    /// The names of the id and of the key, as JSON; none where they are left out.
    id: Option<String>,
    key: Option<String>,
}

impl Action {
    /// `id` and `key` name what holds the event's id and key; "" leaves it out.
    ///
    /// # Errors
    /// When there is no name, or a key stands twice.
    pub fn new(
        name: &str,
        fields: &Map<String, Value>,
        id: &str,
        key: &str,
    ) -> Result<Self, String> {
        if name.is_empty() {
            return Err("`action` is empty".to_owned());
        }
        let twice = |other: &str| id == other || key == other;
        if let Some(field) = fields.keys().find(|field| twice(field)) {
            return Err(format!("`{field}` stands twice in the action"));
        }
        if id == key && !id.is_empty() {
            return Err(format!("`{id}` stands for the id and for the key"));
        }
        let mut line = format!("{{{}:{}", quoted(name), Value::from(fields.clone()));
        line.truncate(line.len() - 1);
        let field = |name: &str| (!name.is_empty()).then(|| quoted(name));
        Ok(Self {
            head: line,
            bare: fields.is_empty(),
            id: field(id),
            key: field(key),
        })
    }

    /// Appends the line of one event, with its end.
    pub fn write(&self, event: &Event<'_>, body: &mut Vec<u8>) {
        body.extend_from_slice(self.head.as_bytes());
        let id = self.id.as_deref().map(|name| (name, event.id()));
        let key = self.key.as_deref().zip(event.key());
        let mut first = self.bare;
        for (name, value) in [id, key].into_iter().flatten() {
            if !std::mem::take(&mut first) {
                body.push(b',');
            }
            body.extend_from_slice(name.as_bytes());
            body.push(b':');
            body.extend_from_slice(quoted(value).as_bytes());
        }
        body.extend_from_slice(b"}}\n");
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// JSON on one line. Inside its strings there are no line ends, so those that there are stand between its parts.
pub fn one_line(json: &str) -> Cow<'_, [u8]> {
    if !json.contains(['\n', '\r']) {
        return json.as_bytes().into();
    }
    let kept = json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r'));
    kept.collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::{TestEvent, events};
    use serde_json::json;

    use super::*;

    fn line(fields: Value, id: &str, key: &str, event: TestEvent<'_>) -> String {
        let fields = fields.as_object().expect("an object");
        let action = Action::new("index", fields, id, key).expect("an action");
        let mut body = Vec::new();
        action.write(&events([event]).get(0).expect("an event"), &mut body);
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn an_action_names_the_id_and_the_key_of_its_record() {
        let event = |id, key| TestEvent {
            id,
            key,
            ..TestEvent::default()
        };
        let with_key = event("f:1", Some("a\"b\n"));
        let without = event("f:2", None);
        let fields = json!({ "_index": "weather" });
        let table = [
            (line(json!({}), "", "", with_key), "{\"index\":{}}\n"),
            (
                line(json!({}), "_id", "", with_key),
                "{\"index\":{\"_id\":\"f:1\"}}\n",
            ),
            (
                line(json!({}), "", "routing", with_key),
                "{\"index\":{\"routing\":\"a\\\"b\\n\"}}\n",
            ),
            (line(json!({}), "", "routing", without), "{\"index\":{}}\n"),
            (
                line(fields, "_id", "routing", with_key),
                "{\"index\":{\"_index\":\"weather\",\"_id\":\"f:1\",\"routing\":\"a\\\"b\\n\"}}\n",
            ),
        ];

        for (found, expected) in table {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_action_without_a_name_or_with_a_key_twice_is_refused() {
        let fields = Map::from_iter([("_id".to_owned(), Value::from("x"))]);

        assert!(Action::new("", &Map::new(), "_id", "").is_err());
        assert!(Action::new("index", &fields, "_id", "").is_err());
        assert!(Action::new("index", &Map::new(), "x", "x").is_err());
        assert!(Action::new("index", &fields, "", "").is_ok());
    }

    #[test]
    fn json_on_several_lines_is_put_on_one_and_not_changed() {
        let table = [
            ("{\"a\": 1}", "{\"a\": 1}"),
            (
                "{\n  \"b\": 1,\r\n\t\"a\": 2\n}\n",
                "{  \"b\": 1,\t\"a\": 2}",
            ),
            (
                "[12345678901234567890123,\n1.0, 1e2]",
                "[12345678901234567890123,1.0, 1e2]",
            ),
            ("{\"a\":1,\n\"a\":2}", "{\"a\":1,\"a\":2}"),
            ("[\"a  b\\n\",\n1]", "[\"a  b\\n\",1]"),
        ];

        for (json, expected) in table {
            assert_eq!(String::from_utf8_lossy(&one_line(json)), expected, "{json}");
        }
    }
}
