//! Routers and their conditions.

use regex::Regex;

use super::Checker;
use crate::{
    config::{
        problem::Problem,
        shape::router::{AttributeYaml, JsonYaml, RouterYaml, TextYaml, WhenYaml},
    },
    router::{Condition, JsonTest, Pointer, Router, Rule, Test},
};

const TEXT_TESTS: &str = "`equals`, `matches`, `prefix` or `exists`";
const JSON_TESTS: &str = "`equals`, `matches` or `exists`";

/// The routers of an ingress, checked.
pub(super) struct Routers {
    /// Every sink that they name, once.
    pub(super) to: Vec<usize>,
    pub(super) router: Router,
}

impl Checker<'_> {
    pub(super) fn routers(
        &mut self,
        ingress: &str,
        id: &str,
        yaml: Vec<RouterYaml>,
        sinks: &[String],
    ) -> Routers {
        if yaml.iter().all(|router| router.to.is_empty()) {
            let mark = self.mark(&["ingresses", ingress, "routers"]);
            let message = format!("the routers of `{id}` name no sink");
            self.problems.push(Problem::new(mark, message));
        }
        let (mut all, mut rules) = (Vec::new(), Vec::new());
        for (router, yaml) in yaml.into_iter().enumerate() {
            let router = router.to_string();
            let at = ["ingresses", ingress, "routers", &router];
            let mut to = Vec::new();
            for (place, sink) in yaml.to.iter().enumerate() {
                let place = place.to_string();
                let path = [&at[..], &["to", &place]].concat();
                let Some(sink) = self.reference(&path, sink, sinks, "sink") else {
                    continue;
                };
                let known = all.iter().position(|other| *other == sink);
                to.push(known.unwrap_or_else(|| {
                    all.push(sink);
                    all.len() - 1
                }));
            }
            let when = match yaml.when {
                None => None,
                // One that is wrong takes nothing: what follows from that is not reported as well.
                Some(when) => match self.when(&[&at[..], &["when"]].concat(), when) {
                    None => continue,
                    when => when,
                },
            };
            rules.push(Rule { to, when });
        }
        self.without_effect(ingress, &rules, &all, sinks);
        let router = Router::new(rules, all.len());
        Routers { to: all, router }
    }

    /// Conditions that decide nothing, as their sinks get every event anyway.
    fn without_effect(&mut self, ingress: &str, rules: &[Rule], all: &[usize], sinks: &[String]) {
        let of_all = |place: &usize| {
            let mut others = rules.iter().filter(|rule| rule.when.is_none());
            others.any(|rule| rule.to.contains(place))
        };
        for (index, rule) in rules.iter().enumerate() {
            if rule.when.is_none() || rule.to.is_empty() || !rule.to.iter().all(of_all) {
                continue;
            }
            let named = rule
                .to
                .iter()
                .filter_map(|place| sinks.get(*all.get(*place)?));
            let named: Vec<_> = named.map(|sink| format!("`{sink}`")).collect();
            let mark = self.mark(&["ingresses", ingress, "routers", &index.to_string(), "when"]);
            let message = format!(
                "this router has no effect: a router without `when` sends every event to {}",
                named.join(", ")
            );
            let problem = Problem::new(mark, message);
            self.problems.push(problem.hint("take one of the two away"));
        }
    }

    fn when(&mut self, path: &[&str], yaml: WhenYaml) -> Option<Condition> {
        let problems = self.problems.len();
        let mut parts = Vec::new();
        if let Some(attribute) = yaml.attribute {
            parts.extend(self.attribute(&[path, &["attribute"]].concat(), attribute));
        }
        if let Some(key) = yaml.key {
            let tests = self.texts(&[path, &["key"]].concat(), key);
            parts.extend(tests.into_iter().map(Condition::Key));
        }
        if let Some(json) = yaml.json {
            parts.extend(self.json(&[path, &["json"]].concat(), json));
        }
        if let Some(all) = yaml.all {
            parts.push(Condition::All(self.list(path, "all", all)));
        }
        if let Some(any) = yaml.any {
            parts.push(Condition::Any(self.list(path, "any", any)));
        }
        if let Some(not) = yaml.not {
            let not = self.when(&[path, &["not"]].concat(), *not);
            parts.extend(not.map(|not| Condition::Not(Box::new(not))));
        }
        if self.problems.len() > problems {
            return None;
        }
        if parts.is_empty() {
            let problem = Problem::new(self.mark(path), "this condition asks for nothing");
            self.problems
                .push(problem.hint("leave `when` out to take every event"));
            return None;
        }
        match (parts.pop(), parts.is_empty()) {
            (one, true) => one,
            (last, false) => {
                parts.extend(last);
                Some(Condition::All(parts))
            }
        }
    }

    fn list(&mut self, path: &[&str], key: &'static str, yaml: Vec<WhenYaml>) -> Vec<Condition> {
        let path = [path, &[key]].concat();
        if yaml.is_empty() {
            let message = format!("`{key}` is empty: it would hold for every event or for none");
            self.problems.push(Problem::new(self.mark(&path), message));
        }
        let mut all = Vec::new();
        for (index, yaml) in yaml.into_iter().enumerate() {
            all.extend(self.when(&[&path[..], &[&index.to_string()]].concat(), yaml));
        }
        all
    }

    fn attribute(&mut self, path: &[&str], yaml: AttributeYaml) -> Vec<Condition> {
        let AttributeYaml {
            name,
            equals,
            matches,
            prefix,
            exists,
        } = yaml;
        let text = TextYaml {
            equals,
            matches,
            prefix,
            exists,
        };
        let tests = self.texts(path, text);
        let condition = |test| Condition::Attribute(name.clone(), test);
        tests.into_iter().map(condition).collect()
    }

    fn texts(&mut self, path: &[&str], yaml: TextYaml) -> Vec<Test> {
        let regex = yaml.matches.and_then(|text| self.regex(path, &text));
        if let Some(equals) = &yaml.equals {
            let prefix = yaml.prefix.as_deref().unwrap_or_default();
            let is_found = |regex: &Regex| regex.is_match(equals);
            let meets = equals.starts_with(prefix) && regex.as_ref().is_none_or(is_found);
            self.agree(path, meets);
        }
        let mut tests = Vec::new();
        tests.extend(yaml.equals.map(Test::Equals));
        tests.extend(yaml.prefix.map(Test::Prefix));
        tests.extend(regex.map(Test::Matches));
        self.exists(path, tests.is_empty(), yaml.exists, TEXT_TESTS);
        tests.extend(yaml.exists.map(Test::Exists));
        tests
    }

    fn json(&mut self, path: &[&str], yaml: JsonYaml) -> Vec<Condition> {
        let pointer = Pointer::parse(&yaml.pointer).map_err(|reason| {
            let mark = self.mark(&[path, &["pointer"]].concat());
            let problem = Problem::new(mark, format!("`{}` is no JSON pointer", yaml.pointer));
            self.problems.push(problem.hint(reason.to_string()));
        });
        let regex = yaml.matches.and_then(|text| self.regex(path, &text));
        if let (Some(equals), Some(regex)) = (&yaml.equals, &regex) {
            let meets = equals.as_str().is_some_and(|text| regex.is_match(text));
            self.agree(path, meets);
        }
        let mut tests = Vec::new();
        tests.extend(yaml.equals.map(JsonTest::Equals));
        tests.extend(regex.map(JsonTest::Matches));
        self.exists(path, tests.is_empty(), yaml.exists, JSON_TESTS);
        tests.extend(yaml.exists.map(JsonTest::Exists));
        let Ok(pointer) = pointer else {
            return Vec::new();
        };
        let condition = |test| Condition::Json(pointer.clone(), test);
        tests.into_iter().map(condition).collect()
    }

    /// What is asked for, and does not contradict itself.
    fn exists(&mut self, path: &[&str], alone: bool, exists: Option<bool>, of: &str) {
        let named = path.last().copied().unwrap_or_default();
        let message = match (alone, exists) {
            (true, None) if self.root.at(&[path, &["matches"]].concat()).is_none() => {
                format!("`{named}` needs {of}")
            }
            (false, Some(false)) => {
                format!("`{named}` can never hold: it asks for more of what is not there")
            }
            _ => return,
        };
        self.problems.push(Problem::new(self.mark(path), message));
    }

    /// Whether what `equals` names meets the other tests beside it.
    fn agree(&mut self, path: &[&str], meets: bool) {
        if !meets {
            let named = path.last().copied().unwrap_or_default();
            let message = format!(
                "`{named}` can never hold: what `equals` says does not meet the other tests beside it"
            );
            self.problems.push(Problem::new(self.mark(path), message));
        }
    }

    fn regex(&mut self, path: &[&str], text: &str) -> Option<Regex> {
        let reason = match Regex::new(text) {
            Ok(regex) => return Some(regex),
            Err(regex::Error::CompiledTooBig(limit)) => {
                format!("it would take more than {limit} bytes")
            }
            // The last line says what is wrong; those before it show where, for a terminal.
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        };
        let mark = self.mark(&[path, &["matches"]].concat());
        let message = format!("`{text}` is no regular expression: {reason}");
        self.problems.push(Problem::new(mark, message));
        None
    }
}
