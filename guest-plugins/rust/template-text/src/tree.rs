//! JSON with templates in its strings.

use nozzle_plugin::Event;
use serde_json::{Map, Value};

use crate::Template;

/// A JSON value in which every string is a template. Names of members are no templates.
#[derive(Debug, PartialEq)]
pub struct Tree(Node);

#[derive(Debug, PartialEq)]
enum Node {
    Scalar(Value),
    Text(Template),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Tree {
    /// Reads the templates.
    ///
    /// # Errors
    /// In words that fit the refusal of a configuration.
    pub fn parse(value: &Value) -> Result<Self, String> {
        Node::parse(value).map(Self)
    }

    /// The JSON for one record. `write` writes a value into a string that stands under this name: the name of the
    /// nearest member around it, "" outside of any.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with(
        &self,
        event: &Event<'_>,
        write: &impl Fn(&mut String, &str, &str),
    ) -> Result<Value, String> {
        self.0.render(event, "", write)
    }

    /// The JSON for one record, with values as they are.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render(&self, event: &Event<'_>) -> Result<Value, String> {
        self.render_with(event, &|out, value, _| out.push_str(value))
    }
}

impl Node {
    fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::parse(text)?),
            Value::Array(items) => {
                Self::Array(items.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    Self::parse(value).map(|node| (name.clone(), node))
                };
                Self::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            scalar => Self::Scalar(scalar.clone()),
        })
    }

    fn render(
        &self,
        event: &Event<'_>,
        name: &str,
        write: &impl Fn(&mut String, &str, &str),
    ) -> Result<Value, String> {
        Ok(match self {
            Self::Scalar(value) => value.clone(),
            Self::Text(template) => {
                let text = template.render_with(event, |out, value| write(out, value, name));
                Value::String(text?)
            }
            Self::Array(items) => {
                let items = items.iter().map(|item| item.render(event, name, write));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| {
                    let value = node.render(event, name, write)?;
                    Ok((name.clone(), value))
                });
                Value::Object(members.collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_string_is_a_template() {
        let tree = Tree::parse(&json!({
            "{id}": ["{json:/a}", 1, null, { "url": "x?{json:/a}" }],
            "plain": "{{}}",
        }));
        let batch = testing::batch([&br#"{"a":"\"<"}"#[..]]);
        let event = batch.get(0).expect("the event");

        let found = tree
            .expect("templates")
            .render_with(&event, &|out, value, name| {
                out.push_str(&value.replace('<', name));
            });

        let expected = json!({
            "{id}": ["\"{id}", 1, null, { "url": "x?\"url" }],
            "plain": "{}",
        });
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn what_is_missing_or_no_template_is_an_error() {
        let tree = Tree::parse(&json!(["{key}"])).expect("a template");
        let batch = testing::batch([&b"{}"[..]]);
        let event = batch.get(0).expect("the event");

        assert_eq!(tree.render(&event), Err("the record has no key".to_owned()));
        assert!(Tree::parse(&json!([{ "a": "{nothing}" }])).is_err());
    }
}
