//! YAML files beside the module file, such as the cases of a plugin's test: held against a schema of their own, with the
//! same care. A `${…}` in them is text.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    problem::{Mark, Problem},
    tree::{Data, Node},
    walk,
};

/// A file that was read, and the places of its values.
#[derive(Debug)]
pub struct Document(Node);

impl Document {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn parse<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<(T, Self), Vec<Problem>> {
        let mut problems = Vec::new();
        let read = Node::parse_with(text, None, &mut problems).and_then(|root| {
            let schema = schemars::schema_for!(T).to_value();
            let json = walk::walk(&root, &schema, &mut problems).json;
            if !problems.is_empty() {
                return None;
            }
            match serde_json::from_value(json) {
                Ok(value) => Some((value, Self(root))),
                Err(error) => {
                    let message = format!("the file cannot be read: {error}");
                    problems.push(Problem::new(Mark::default(), message));
                    None
                }
            }
        });
        read.ok_or_else(|| {
            for problem in &mut problems {
                problem.mark = problem.mark.within(text);
            }
            problems.sort_by_key(|problem| problem.mark);
            problems
        })
    }

    /// Where the value stands that is reached by these keys and indices, or the nearest one around it.
    pub fn mark(&self, path: &[&str]) -> Mark {
        (0..=path.len())
            .rev()
            .find_map(|length| self.0.at(path.get(..length)?))
            .map_or(Mark::default(), |node| node.mark)
    }

    /// The keys of the file, with the lines that they stand on, in order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        let entries = match &self.0.data {
            Data::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let lines = entries.iter();
        lines.map(|(key, mark, _)| (key.as_str(), mark.line))
    }
}
