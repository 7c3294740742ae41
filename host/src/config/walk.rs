//! Holds the file against the schema, and turns it into JSON: the schema that editors use is the one that
//! decides, and every problem is found in one go.

use serde_json::{Map, Value};

use super::{
    problem::Problem,
    tree::{Data, Node},
    units::{parse_duration, parse_size},
};

/// Walks `node` along `schema`. The JSON is what serde reads; it is of use only if there was no problem.
pub(super) fn walk(node: &Node, schema: &Value, problems: &mut Vec<Problem>) -> Value {
    Walk {
        definitions: schema.get("$defs"),
        problems,
    }
    .value(node, schema, "the file")
}

struct Walk<'a> {
    definitions: Option<&'a Value>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, node: &Node, schema: &'a Value, name: &str) -> Value {
        let schema = self.resolve(schema);
        if let Some(choices) = choices(schema) {
            return self.choice(node, &choices, name);
        }
        match &node.data {
            Data::Map(entries) if allows(schema, "object") => self.map(node, entries, schema, name),
            Data::List(items) if allows(schema, "array") => {
                let of = schema.get("items").unwrap_or(&Value::Null);
                items
                    .iter()
                    .map(|item| self.value(item, of, name))
                    .collect()
            }
            Data::Map(_) | Data::List(_) if is_any(schema) => node.to_json(),
            Data::Map(_) | Data::List(_) => self.wrong(node, schema, name),
            _ => self.scalar(node, schema, name),
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str).or_else(|| {
            // An optional value: `anyOf` it and null.
            let any = schema.get("anyOf")?.as_array()?;
            any.iter().find_map(|schema| schema.get("$ref")?.as_str())
        });
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions?.get(name))
            .unwrap_or(schema)
    }

    fn map(
        &mut self,
        node: &Node,
        entries: &[(String, super::Mark, Node)],
        schema: &'a Value,
        name: &str,
    ) -> Value {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let known = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&EMPTY);
        let others = schema
            .get("additionalProperties")
            .filter(|others| **others != Value::Bool(false));
        let mut out = Map::new();
        for (key, mark, value) in entries {
            match known.get(key).or(others) {
                Some(schema) => {
                    out.insert(key.clone(), self.value(value, schema, key));
                }
                None => {
                    let problem = Problem::new(*mark, format!("unknown key `{key}`"));
                    self.problems
                        .push(problem.suggest(key, known.keys().map(String::as_str)));
                }
            }
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for missing in required
            .filter_map(Value::as_str)
            .filter(|key| !entries.iter().any(|(name, ..)| name == key))
        {
            self.problems.push(Problem::new(
                node.mark,
                format!("`{name}` lacks the key `{missing}`"),
            ));
        }
        Value::Object(out)
    }

    fn choice(&mut self, node: &Node, choices: &[&str], name: &str) -> Value {
        let text = match &node.data {
            Data::Text(text) => text.value.as_str(),
            _ => "",
        };
        if choices.contains(&text) {
            return text.into();
        }
        let shown = node.written().unwrap_or("this");
        let problem = Problem::new(node.mark, format!("`{name}` cannot be `{shown}`"));
        self.problems
            .push(problem.suggest(shown, choices.iter().copied()));
        Value::Null
    }

    fn scalar(&mut self, node: &Node, schema: &Value, name: &str) -> Value {
        if is_any(schema) {
            return node.to_json();
        }
        let value = match (&node.data, schema.get("format").and_then(Value::as_str)) {
            (Data::Null, _) if allows(schema, "null") => return Value::Null,
            (Data::Text(text), Some("duration")) => {
                return self.unit(
                    node,
                    parse_duration(&text.value).map(|_| text.value.as_str().into()),
                    name,
                );
            }
            (Data::Text(text), Some("size")) => {
                return self.unit(node, parse_size(&text.value).map(Value::from), name);
            }
            (Data::Integer(size), Some("size")) if *size >= 0 => return (*size).into(),
            (Data::Boolean(value), _) if allows(schema, "boolean") => Value::from(*value),
            (Data::Integer(value), _) if allows(schema, "integer") || allows(schema, "number") => {
                Value::from(*value)
            }
            (Data::Float(value), _) if allows(schema, "number") => Value::from(*value),
            (Data::Text(text), None) if allows(schema, "string") => {
                return text.value.as_str().into();
            }
            // A number may come from outside the file, as text.
            (Data::Text(text), _) if text.secret && allows(schema, "integer") => {
                match text.value.parse::<i64>() {
                    Ok(value) => Value::from(value),
                    Err(_) => return self.wrong(node, schema, name),
                }
            }
            _ => return self.wrong(node, schema, name),
        };
        let minimum = schema.get("minimum").and_then(Value::as_f64);
        if let (Some(minimum), Some(number)) = (minimum, value.as_f64())
            && number < minimum
        {
            self.problems.push(Problem::new(
                node.mark,
                format!("`{name}` must be at least {minimum}"),
            ));
        }
        value
    }

    fn unit(&mut self, node: &Node, value: Result<Value, String>, name: &str) -> Value {
        value.unwrap_or_else(|hint| {
            let shown = node.written().unwrap_or_default();
            self.problems
                .push(Problem::new(node.mark, format!("`{name}` cannot be `{shown}`")).hint(hint));
            Value::Null
        })
    }

    fn wrong(&mut self, node: &Node, schema: &Value, name: &str) -> Value {
        let wanted = match schema.get("format").and_then(Value::as_str) {
            Some("duration") => "a duration, such as `200ms` or `5s`",
            Some("size") => "a size, such as `64MiB` or a number of bytes",
            _ if allows(schema, "object") => "a mapping",
            _ if allows(schema, "array") => "a list",
            _ if allows(schema, "string") => "a text (quote it, if it looks like something else)",
            _ if allows(schema, "integer") => "a whole number",
            _ if allows(schema, "number") => "a number",
            _ if allows(schema, "boolean") => "`true` or `false`",
            _ => "something else",
        };
        let found = match &node.data {
            Data::Null => "empty",
            Data::Boolean(_) => "a truth value",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        };
        self.problems.push(Problem::new(
            node.mark,
            format!("`{name}` is {found}, and must be {wanted}"),
        ));
        Value::Null
    }
}

fn allows(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(many)) => many.iter().any(|one| one == kind),
        _ => false,
    }
}

fn is_any(schema: &Value) -> bool {
    *schema == Value::Bool(true) || (schema.get("type").is_none() && schema.get("oneOf").is_none())
}

/// The values of an enumeration: `enum`, or `oneOf` constants where each has its own documentation.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(values) = schema.get("enum") {
        return values.as_array()?.iter().map(Value::as_str).collect();
    }
    let mut all = Vec::new();
    for one in schema.get("oneOf")?.as_array()? {
        match (one.get("const"), one.get("enum")) {
            (Some(value), _) => all.push(value.as_str()?),
            (None, Some(values)) => all.extend(values.as_array()?.iter().filter_map(Value::as_str)),
            (None, None) => return None,
        }
    }
    Some(all)
}
