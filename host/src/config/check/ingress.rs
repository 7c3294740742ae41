//! Ingresses and their routers.

use std::collections::BTreeMap;

use super::{Checker, router::Routers};
use crate::{
    config::{
        IngressConfig, IngressKind,
        problem::Problem,
        relative,
        shape::ingress::{DatagenYaml, FieldYaml, IngressYaml},
        tree::Node,
    },
    ingress::settings::{DatagenSettings, Field, FileIngressSettings, FilePath},
};

impl Checker<'_> {
    pub(super) fn ingress(
        &mut self,
        index: usize,
        yaml: IngressYaml,
        sinks: &[String],
        egresses: &[String],
    ) -> Option<IngressConfig> {
        let index = index.to_string();
        let at = ["ingresses", &*index];
        let id = self.id(&["ingresses", &index, "id"], &yaml.id);
        let Routers { to, router } = self.routers(&index, &yaml.id, yaml.routers, sinks);
        let unrouted = yaml.unrouted.as_deref();
        let on_unrouted = self.unrouted(&index, unrouted, router.takes_all(), (sinks, egresses));
        let kind = match (yaml.datagen, yaml.file, yaml.kinesis) {
            (Some(datagen), None, None) => IngressKind::Datagen(self.datagen(&index, datagen)),
            (None, Some(file), None) if file.path == "-" => {
                IngressKind::File(FileIngressSettings {
                    path: FilePath::Stdin,
                })
            }
            (None, Some(file), None) => {
                let path = FilePath::Path(relative(&self.folder, &file.path));
                IngressKind::File(FileIngressSettings { path })
            }
            (None, None, Some(kinesis)) => {
                IngressKind::Kinesis(self.kinesis_ingress(&index, kinesis)?)
            }
            _ => {
                self.exactly_one(&at, &yaml.id, "`datagen`, `file` and `kinesis`");
                return None;
            }
        };
        let way: &[&str] = match kind {
            IngressKind::File(_) => &["file", "path"],
            IngressKind::Kinesis(_) => &["kinesis", "stream"],
            IngressKind::Datagen(_) | IngressKind::DeadLetters(_) => &["datagen"],
        };
        Some(IngressConfig {
            id: id?,
            place: self.mark(&[&at, way].concat()),
            kind,
            to,
            router,
            on_unrouted,
        })
    }

    fn datagen(&mut self, index: &str, yaml: DatagenYaml) -> DatagenSettings {
        let fields = if yaml.fields.is_empty() {
            default_fields()
        } else {
            self.fields(&["ingresses", index, "datagen", "fields"], yaml.fields)
        };
        if let Some(key) = &yaml.key
            && !fields.iter().any(|(name, _)| name == key)
        {
            let problem = Problem::new(
                self.mark(&["ingresses", index, "datagen", "key"]),
                format!("there is no field `{key}`"),
            );
            self.problems
                .push(problem.suggest(key, fields.iter().map(|(name, _)| name.as_str())));
        }
        DatagenSettings {
            rate: yaml.rate,
            count: yaml.count,
            seed: yaml.seed,
            key: yaml.key,
            size: yaml.size.and_then(|size| usize::try_from(size.0).ok()),
            fields,
        }
    }

    fn fields(&mut self, at: &[&str], yaml: BTreeMap<String, FieldYaml>) -> Vec<(String, Field)> {
        let mut fields = Vec::new();
        for (name, yaml) in yaml {
            let path = [at, &[&*name]].concat();
            match self.field(&path, yaml) {
                Ok(field) => fields.push((name, field)),
                Err(message) => {
                    let mark = self.mark(&path);
                    self.problems
                        .push(Problem::new(mark, format!("the field `{name}` {message}")));
                }
            }
        }
        fields
    }

    fn field(&mut self, path: &[&str], yaml: FieldYaml) -> Result<Field, &'static str> {
        let mut found = Vec::new();
        if let Some(sequence) = yaml.sequence {
            if sequence.end.is_some_and(|end| end < sequence.start) {
                return Err("has an `end` below its `start`");
            }
            found.push(Field::Sequence {
                start: sequence.start,
                end: sequence.end,
            });
        }
        if let Some(integer) = yaml.integer {
            if integer.min > integer.max {
                return Err("has a `min` above its `max`");
            }
            found.push(Field::Integer {
                min: integer.min,
                max: integer.max,
            });
        }
        if let Some(float) = yaml.float {
            if float.min > float.max {
                return Err("has a `min` above its `max`");
            }
            if !(float.max - float.min).is_finite() {
                return Err("has a `min` too far from its `max`");
            }
            found.push(Field::Float {
                min: float.min,
                max: float.max,
            });
        }
        if let Some(string) = yaml.string {
            if string.min_length > string.max_length {
                return Err("has a `min-length` above its `max-length`");
            }
            found.push(Field::String {
                length: (string.min_length, string.max_length),
            });
        }
        if let Some(values) = yaml.choice {
            if values.is_empty() {
                return Err("has no value to choose from");
            }
            if self.root.at(path).and_then(Node::first_secret).is_some() {
                return Err("holds a `${…}`, and a record is no place for a secret");
            }
            found.push(Field::Choice { values });
        }
        found.extend(yaml.boolean.map(|_| Field::Boolean));
        found.extend(yaml.uuid.map(|_| Field::Uuid));
        found.extend(yaml.timestamp.map(|_| Field::Timestamp));
        if let Some(object) = yaml.object {
            found.push(Field::Object {
                fields: self.fields(&[path, &["object"]].concat(), object),
            });
        }
        match (found.pop(), found.is_empty()) {
            (Some(field), true) => Ok(field),
            _ => Err("needs exactly one kind, such as `integer: { min: 0, max: 9 }` or `uuid: {}`"),
        }
    }
}

/// What datagen makes when nothing is said.
pub(in crate::config) fn default_fields() -> Vec<(String, Field)> {
    let users = (1..=20)
        .map(|number| format!("user-{number}").into())
        .collect();
    vec![
        (
            "id".to_owned(),
            Field::Sequence {
                start: 1,
                end: None,
            },
        ),
        ("user".to_owned(), Field::Choice { values: users }),
        (
            "amount".to_owned(),
            Field::Float {
                min: 0.0,
                max: 1000.0,
            },
        ),
        ("at".to_owned(), Field::Timestamp),
    ]
}
