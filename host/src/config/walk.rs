//! Holds the file against the schema, and turns it into JSON: the schema that editors use is the one that
//! decides, and every problem is found in one go.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    problem::{Mark, Problem, close_to},
    schema::Schema,
    tree::{Data, Node, Text},
    units::parse_size,
};

/// What a file says, as far as the schema goes.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Without what is wrong; a key that is almost right is taken for the one that was meant.
    pub(super) json: Value,
    /// The places beside what was left out, in the same mapping, and those of the mappings around it: what is wrong with them
    /// may be so for that alone.
    pub(super) beside: BTreeSet<Mark>,
    /// Whether a list lacks items: then those behind them have other places in the JSON.
    pub(super) is_shifted: bool,
}

/// Walks `node` along `schema`. If there was no problem, the JSON is all that the file says.
pub(super) fn walk(node: &Node, schema: &Value, problems: &mut Vec<Problem>) -> Walked {
    let walked = Walked::default();
    let mut walk = Walk { problems, walked };
    let json = walk.value(node, Schema::root(schema), "the file");
    Walked {
        json: json.unwrap_or_default(),
        ..walk.walked
    }
}

struct Walk<'a> {
    problems: &'a mut Vec<Problem>,
    walked: Walked,
}

impl Walk<'_> {
    /// None if the value is wrong, and has been reported.
    fn value(&mut self, node: &Node, schema: Schema<'_>, name: &str) -> Option<Value> {
        if schema.is_any() {
            return Some(self.any(node));
        }
        if let Data::Text(Text {
            unfilled: Some(unfilled),
            ..
        }) = &node.data
        {
            return self.wrong_with(unfilled.at(node.mark));
        }
        let is_name = schema.or_name() && matches!(node.data, Data::Text(_));
        if (is_name || schema.is_written_out())
            && let Some(mark) = node.first_secret()
        {
            let message = format!("`{name}` holds a `${{…}}`, and names are shown in logs");
            return self.wrong_with(Problem::new(mark, message).hint("write it out"));
        }
        if is_name {
            return Some(self.any(node));
        }
        if let Some(choices) = schema.choices() {
            return self.choice(node, &choices, name);
        }
        match &node.data {
            Data::Map(entries) if schema.allows("object") => {
                Some(self.map(node, entries, schema, name))
            }
            Data::List(items) if schema.allows("array") => {
                let of = schema.items();
                let mut out = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let name = format!("{name}[{index}]");
                    let read = self.value(item, of, &name);
                    self.walked.is_shifted |= read.is_none();
                    out.extend(read);
                }
                Some(Value::Array(out))
            }
            Data::Map(_) | Data::List(_) => self.wrong(node, schema, name),
            _ => self.scalar(node, schema, name),
        }
    }

    fn map(
        &mut self,
        node: &Node,
        entries: &[(String, Mark, Node)],
        schema: Schema<'_>,
        name: &str,
    ) -> Value {
        let mut out = Map::new();
        let (mut lacks, within) = (false, self.walked.beside.len());
        for (key, mark, value) in entries {
            let known = schema.property(key).map(|schema| (&**key, schema));
            let meant = known.or_else(|| {
                let problem = Problem::new(*mark, format!("unknown key `{key}`"));
                let (problem, meant) = match schema.moved(key) {
                    Some(hint) => (problem.hint(hint), None),
                    None => (
                        problem.suggest(key, schema.keys()),
                        close_to(key, schema.keys()),
                    ),
                };
                self.problems.push(problem);
                let meant = meant.filter(|meant| entries.iter().all(|(key, ..)| key != meant))?;
                // It has no place in the file.
                self.walked.beside.insert(node.mark);
                Some((meant, schema.property(meant)?))
            });
            let read = meant.and_then(|(key, schema)| Some((key, self.value(value, schema, key)?)));
            match read {
                Some((key, value)) => drop(out.insert(key.to_owned(), value)),
                None => lacks = true,
            }
        }
        if lacks {
            let beside = entries.iter().flat_map(|(_, key, node)| [*key, node.mark]);
            self.walked.beside.extend(beside);
        }
        if lacks || self.walked.beside.len() > within {
            self.walked.beside.insert(node.mark);
        }
        for key in schema.required() {
            if !out.contains_key(key) && !entries.iter().any(|(name, ..)| name == key) {
                let message = format!("`{name}` lacks the key `{key}`");
                self.problems.push(Problem::new(node.mark, message));
            }
        }
        Value::Object(out)
    }

    /// A value that has no schema: wrong is only what JSON does not have, and what cannot be filled in.
    fn any(&mut self, node: &Node) -> Value {
        if let Some(mark) = node.first_no_number() {
            let problem = Problem::new(mark, "a number must be finite");
            self.problems.push(problem);
        }
        for (mark, unfilled) in node.all_unfilled() {
            self.problems.push(unfilled.at(mark));
        }
        node.to_json()
    }

    fn choice(&mut self, node: &Node, choices: &[&str], name: &str) -> Option<Value> {
        let text = match &node.data {
            Data::Text(text) => text.value.as_str(),
            _ => "",
        };
        if choices.contains(&text) {
            return Some(text.into());
        }
        // What YAML reads as a number or a truth value was meant as a text.
        let plain = match &node.data {
            Data::Integer(value) => Some(value.to_string()),
            Data::Float(value) => Some(value.to_string()),
            Data::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        let shown = match (&node.data, &plain) {
            (Data::Null, _) => "empty".to_owned(),
            (Data::Integer(_) | Data::Float(_), Some(plain)) => format!("the number {plain}"),
            (_, Some(plain)) => format!("`{plain}`"),
            _ => node
                .written()
                .map_or("this".to_owned(), |text| format!("`{text}`")),
        };
        let problem = Problem::new(node.mark, format!("`{name}` cannot be {shown}"));
        if let Some(plain) = plain.filter(|plain| choices.contains(&plain.as_str())) {
            return self.wrong_with(problem.hint(format!("quote it: `\"{plain}\"`")));
        }
        self.wrong_with(
            problem.suggest(node.written().unwrap_or_default(), choices.iter().copied()),
        )
    }

    fn scalar(&mut self, node: &Node, schema: Schema<'_>, name: &str) -> Option<Value> {
        match (&node.data, schema.format()) {
            (Data::Null, _) if schema.allows("null") => Some(Value::Null),
            (Data::Text(text), Some("duration")) => {
                let value = schema
                    .takes_duration(&text.value)
                    .map(|()| text.value.as_str().into());
                self.unit(node, value, name)
            }
            (Data::Text(text), Some("size")) => {
                let size = parse_size(&text.value).and_then(|size| schema.takes_size(size));
                self.unit(node, size.map(Value::from), name)
            }
            (Data::Integer(size), Some("size")) if *size >= 0 => {
                let size = schema.takes_size(size.unsigned_abs());
                self.unit(node, size.map(Value::from), name)
            }
            (Data::Boolean(value), _) if schema.allows("boolean") => Some((*value).into()),
            (Data::Integer(value), _) if schema.allows("integer") => {
                self.integer(node, *value, schema, name)
            }
            (Data::Integer(value), _) if schema.allows("number") => Some((*value).into()),
            (Data::Float(value), _) if schema.allows("number") && value.is_finite() => {
                Some((*value).into())
            }
            (Data::Text(text), None) if schema.allows("string") => {
                if text.value.is_empty() && schema.is_filled() {
                    let message = format!("`{name}` is an empty text");
                    return self.wrong_with(Problem::new(node.mark, message));
                }
                Some(text.value.as_str().into())
            }
            // A number or a truth value may come from outside the file, as text.
            (Data::Text(text), _) if text.secret => {
                let value = match text.value.as_str() {
                    "true" | "false" if schema.allows("boolean") => {
                        Some((text.value == "true").into())
                    }
                    number if schema.allows("integer") => {
                        let Ok(number) = number.parse() else {
                            return self.wrong(node, schema, name);
                        };
                        return self.integer(node, number, schema, name);
                    }
                    number if schema.allows("number") => {
                        number.parse::<f64>().ok().map(Value::from)
                    }
                    _ => None,
                };
                // What is no finite number is null in JSON.
                let value = value.filter(|value| !value.is_null());
                value.or_else(|| self.wrong(node, schema, name))
            }
            _ => self.wrong(node, schema, name),
        }
    }

    fn integer(
        &mut self,
        node: &Node,
        value: i64,
        schema: Schema<'_>,
        name: &str,
    ) -> Option<Value> {
        let (minimum, maximum) = schema.range();
        let bound = match (minimum, maximum) {
            (Some(minimum), _) if value < minimum => format!("at least {minimum}"),
            (_, Some(maximum)) if value > maximum => format!("at most {maximum}"),
            _ => return Some(value.into()),
        };
        self.wrong_with(Problem::new(node.mark, format!("`{name}` must be {bound}")))
    }

    fn unit(&mut self, node: &Node, value: Result<Value, String>, name: &str) -> Option<Value> {
        match value {
            Ok(value) => Some(value),
            Err(hint) => {
                let shown = match &node.data {
                    Data::Integer(value) => value.to_string(),
                    _ => node.written().unwrap_or_default().to_owned(),
                };
                let problem = Problem::new(node.mark, format!("`{name}` cannot be `{shown}`"));
                self.wrong_with(problem.hint(hint))
            }
        }
    }

    fn wrong(&mut self, node: &Node, schema: Schema<'_>, name: &str) -> Option<Value> {
        let wanted = match schema.format() {
            Some("duration") => "a duration, such as `200ms` or `5s`",
            Some("size") => "a size, such as `64MiB` or a number of bytes",
            _ if schema.or_name() => "a name or a mapping",
            _ if schema.allows("object") => "a mapping",
            _ if schema.allows("array") => "a list",
            _ if schema.allows("string") => "a text (quote it, if it looks like something else)",
            _ if schema.allows("integer") => "a whole number",
            _ if schema.allows("number") => "a number",
            _ => "`true` or `false`",
        };
        let found = match &node.data {
            Data::Null => "empty",
            Data::Boolean(_) => "a truth value",
            Data::Integer(value) if *value < 0 => "a negative number",
            Data::Integer(_) => "a number",
            // Beyond 64 bits, a whole number is read as a float.
            Data::Float(value) if !value.is_finite() => "not finite",
            Data::Float(value) if value.abs() >= 9e18 => "too large a number",
            Data::Float(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        };
        let problem = Problem::new(
            node.mark,
            format!("`{name}` is {found}, and must be {wanted}"),
        );
        let defaults = matches!(node.data, Data::Null)
            && schema.allows("object")
            && schema.required().next().is_none();
        self.wrong_with(if defaults {
            problem.hint(format!("write `{name}: {{}}` for the defaults"))
        } else {
            problem
        })
    }

    fn wrong_with(&mut self, problem: Problem) -> Option<Value> {
        self.problems.push(problem);
        None
    }
}
