//! Which sinks an event goes to: pure.
//!
//! # Invariants
//! - An event goes to each sink once, however many rules name it.
//! - Its JSON is parsed once at most, and only where a rule asks for it.

mod condition;

pub use condition::{Condition, JsonTest, Pointer, PointerError, Test};

use std::cell::OnceCell;

use serde_json::Value;

use crate::event::Event;

/// The routers of one ingress.
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<Rule>,
    /// Sinks that get every event.
    always: Vec<usize>,
    sinks: usize,
}

/// One router.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The sinks, by their place in the ingress's list.
    pub to: Vec<usize>,
    /// Which events it takes; all without one.
    pub when: Option<Condition>,
}

impl Router {
    /// Routers of an ingress with so many sinks.
    pub fn new(rules: Vec<Rule>, sinks: usize) -> Self {
        let is_always = |place: usize| {
            let all = rules.iter().filter(|rule| rule.when.is_none());
            all.flat_map(|rule| &rule.to).any(|to| *to == place)
        };
        let always = (0..sinks).filter(|place| is_always(*place)).collect();
        Self {
            rules,
            always,
            sinks,
        }
    }

    /// Every event goes to each of so many sinks.
    pub fn to_all(sinks: usize) -> Self {
        let to = (0..sinks).collect();
        Self::new(vec![Rule { to, when: None }], sinks)
    }

    /// Whether every event goes to each sink, so that nothing need be asked of it.
    pub fn is_unconditional(&self) -> bool {
        self.always.len() == self.sinks
    }

    /// Whether there is a rule that takes every event.
    pub fn takes_all(&self) -> bool {
        let mut all = self.rules.iter().filter(|rule| rule.when.is_none());
        all.any(|rule| !rule.to.is_empty())
    }

    /// The sinks of an event, by their place in the ingress's list, in its order.
    pub fn route(&self, event: &Event) -> Vec<usize> {
        let looked_at = Looked {
            event,
            json: OnceCell::new(),
        };
        let mut taken = vec![false; self.sinks];
        for place in &self.always {
            taken[*place] = true;
        }
        for Rule { to, when } in &self.rules {
            if to.iter().all(|place| taken[*place]) {
                continue;
            }
            if when.as_ref().is_none_or(|when| when.holds(&looked_at)) {
                to.iter().for_each(|place| taken[*place] = true);
            }
        }
        (0..self.sinks).filter(|place| taken[*place]).collect()
    }
}

/// An event, and its data as JSON once somebody has asked for it.
struct Looked<'a> {
    event: &'a Event,
    json: OnceCell<Option<Value>>,
}

impl Looked<'_> {
    fn json(&self) -> Option<&Value> {
        let parse = || serde_json::from_slice(&self.event.data).ok();
        self.json.get_or_init(parse).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use regex::Regex;
    use serde_json::json;

    use super::*;

    fn event(key: Option<&str>, attributes: &[(&str, &str)], data: &str) -> Event {
        let attribute = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        Event {
            id: "t/in/a:1".into(),
            key: key.map(Into::into),
            timestamp_ms: 0,
            attributes: attributes.iter().map(attribute).collect(),
            data: Bytes::copy_from_slice(data.as_bytes()),
        }
    }

    fn json(pointer: &str, test: JsonTest) -> Condition {
        Condition::Json(Pointer::parse(pointer).expect(pointer), test)
    }

    fn holds(condition: Condition, event: &Event) -> bool {
        let rule = Rule {
            to: vec![0],
            when: Some(condition),
        };
        Router::new(vec![rule], 1).route(event) == [0]
    }

    #[test]
    fn conditions_look_at_attributes_the_key_and_the_data() {
        let event = event(
            Some("eu-7"),
            &[("region", "eu"), ("empty", "")],
            r#"{"a":{"b/c":[1,2.0,"xyz",null]},"~":true}"#,
        );
        let matches = |pattern: &str| Test::Matches(Regex::new(pattern).expect(pattern));
        let equals = |text: &str| Test::Equals(text.to_owned());
        let prefix = |text: &str| Test::Prefix(text.to_owned());
        let attribute = |name: &str, test| Condition::Attribute(name.to_owned(), test);
        let any_of = |all| JsonTest::Matches(Regex::new(all).expect(all));
        #[rustfmt::skip]
        let table = [
            (attribute("region", equals("eu")), true),
            (attribute("region", equals("e")), false),
            (attribute("region", matches("^e")), true),
            (attribute("region", Test::Exists(true)), true),
            (attribute("empty", Test::Exists(true)), true),
            (attribute("zone", Test::Exists(true)), false),
            (attribute("zone", Test::Exists(false)), true),
            (attribute("zone", equals("")), false),
            (Condition::Key(equals("eu-7")), true),
            (Condition::Key(prefix("eu-")), true),
            (Condition::Key(prefix("us-")), false),
            (Condition::Key(matches("[0-9]$")), true),
            (Condition::Key(Test::Exists(false)), false),
            (json("/a/b~1c/0", JsonTest::Equals(json!(1))), true),
            (json("/a/b~1c/0", JsonTest::Equals(json!(1.0))), true),
            (json("/a/b~1c/1", JsonTest::Equals(json!(2))), true),
            (json("/a/b~1c/0", JsonTest::Equals(json!("1"))), false),
            (json("/a/b~1c/2", any_of("y")), true),
            (json("/a/b~1c/0", any_of("1")), false),
            (json("/a/b~1c/3", JsonTest::Equals(json!(null))), true),
            (json("/a/b~1c/3", JsonTest::Exists(true)), true),
            (json("/a/b~1c/4", JsonTest::Exists(true)), false),
            (json("/a/b~1c/4", JsonTest::Exists(false)), true),
            (json("/~0", JsonTest::Equals(json!(true))), true),
            (json("", JsonTest::Exists(true)), true),
            (Condition::Not(Box::new(Condition::Key(equals("x")))), true),
            (Condition::All(vec![Condition::Key(equals("eu-7")), attribute("zone", equals("a"))]), false),
            (Condition::Any(vec![Condition::Key(equals("eu-7")), attribute("zone", equals("a"))]), true),
        ];
        for (condition, expected) in table {
            let shown = format!("{condition:?}");
            assert_eq!(holds(condition, &event), expected, "{shown}");
        }
    }

    #[test]
    fn data_that_is_no_json_has_no_values() {
        for data in ["", "x", "{\"a\":1", "{\"a\":1}}"] {
            let event = event(None, &[], data);

            assert!(!holds(json("", JsonTest::Exists(true)), &event), "{data}");
            assert!(
                !holds(json("/a", JsonTest::Exists(false)), &event),
                "{data}"
            );
            assert!(
                !holds(json("/a", JsonTest::Equals(json!(1))), &event),
                "{data}"
            );
            assert!(!holds(Condition::Key(Test::Prefix(String::new())), &event));
        }
    }

    #[test]
    fn an_event_goes_to_each_sink_once_and_to_those_alone_that_a_rule_names() {
        let key = |key: &str| Some(Condition::Key(Test::Equals(key.to_owned())));
        let rule = |to: &[usize], when| Rule {
            to: to.to_vec(),
            when,
        };
        let router = Router::new(
            vec![
                rule(&[2, 0], key("a")),
                rule(&[0], key("b")),
                rule(&[0, 1], key("a")),
            ],
            3,
        );
        let with_all = Router::new(vec![rule(&[1], key("a")), rule(&[0], None)], 2);

        let route = |router: &Router, key| router.route(&event(key, &[], ""));

        assert_eq!(route(&router, Some("a")), [0, 1, 2]);
        assert_eq!(route(&router, Some("b")), [0]);
        assert!(route(&router, None).is_empty());
        assert_eq!(route(&with_all, Some("a")), [0, 1]);
        assert_eq!(route(&with_all, None), [0]);
        assert_eq!((router.takes_all(), with_all.takes_all()), (false, true));
        assert!(Router::to_all(2).is_unconditional() && !with_all.is_unconditional());
    }
}
