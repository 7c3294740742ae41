//! PagerDuty Events API v2: each record triggers, acknowledges or resolves an alert.
//!
//! The rules: [the API](https://developer.pagerduty.com/docs/events-api-v2/overview/) and
//! [its description](https://github.com/PagerDuty/api-schema/blob/main/reference/events-v2/openapiv3.json), "API
//! Response Codes & Retry Logic": 202 is a delivery; 400 an event that is invalid, with the errors, and not to be sent
//! again; 429, 5xx and failures of the network are to be tried again, with a back-off.

mod errors;
mod settings;
mod severity;

use std::collections::BTreeMap;

use nozzle_plugin::{
    Batch, Call, Event, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict,
    export_sink,
};
use plugin_kit::of_a_page;
use serde_json::{Map, Value, json};
use settings::{Action, Config};
use severity::Severities;
use template_text::{Place, Template, Tree};

/// The longest summary, in characters; what is beyond is cut off.
const SUMMARY: usize = 1_024;
/// The longest `dedup_key`, in characters.
const DEDUP_KEY: usize = 255;

struct PagerDuty {
    routing_key: Option<Template>,
    action: Template,
    actions: BTreeMap<String, Action>,
    dedup_key: Template,
    summary: Template,
    source: Template,
    severity: Template,
    severities: Severities,
    timestamp: Template,
    /// Members of the payload and of the event that may be missing.
    payload_texts: Vec<(&'static str, Template)>,
    event_texts: Vec<(&'static str, Template)>,
    details: Option<Tree>,
    event_trees: Vec<(&'static str, Tree)>,
}

impl Plugin for PagerDuty {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let named = |name: &str, text: &str| {
            Template::parse(text).map_err(|error| format!("`{name}`: {error}"))
        };
        let tree = |name: &str, value: &Value| {
            Tree::parse(value).map_err(|error| format!("`{name}`: {error}"))
        };
        let texts = |all: &[(&'static str, &Option<String>)]| {
            let given = all
                .iter()
                .filter_map(|(name, text)| Some((*name, text.as_ref()?)));
            given
                .map(|(name, text)| Ok((name, named(name, text)?)))
                .collect::<Result<Vec<_>, String>>()
        };
        let mut event_trees = Vec::new();
        for (name, value) in [("links", &config.links), ("images", &config.images)] {
            if let Some(value) = value {
                event_trees.push((name, tree(name, value)?));
            }
        }
        let details = config.custom_details.as_ref();
        Ok(Self {
            routing_key: config
                .routing_key
                .map(|text| named("routing-key", &text))
                .transpose()?,
            action: named("action", &config.action)?,
            actions: config.actions,
            dedup_key: named("dedup-key", &config.dedup_key)?,
            summary: named("summary", &config.summary)?,
            source: named("source", &config.source)?,
            severity: named("severity", &config.severity)?,
            severities: Severities::new(config.severities)?,
            timestamp: named("timestamp", &config.timestamp)?,
            payload_texts: texts(&[
                ("component", &config.component),
                ("group", &config.group),
                ("class", &config.class),
            ])?,
            event_texts: texts(&[
                ("client", &config.client),
                ("client_url", &config.client_url),
            ])?,
            details: details
                .map(|value| tree("custom-details", value))
                .transpose()?,
            event_trees,
        })
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        shaped.each(batch, |event| {
            Ok(Request::post("").body(self.event(event)?.to_string()))
        });
        Ok(shaped)
    }
}

impl PagerDuty {
    fn event(&self, event: &Event<'_>) -> Result<Value, String> {
        let action = self.action(event)?;
        let mut out = Map::new();
        if let Some(template) = &self.routing_key {
            out.insert(
                "routing_key".into(),
                required(template, event, "routing key")?.into(),
            );
        }
        out.insert("event_action".into(), action.name().into());
        out.insert("dedup_key".into(), self.dedup_key(event, action)?.into());
        // The others change an alert that is there, and need no more.
        if action == Action::Trigger {
            out.insert("payload".into(), self.payload(event)?);
            insert_texts(&mut out, &self.event_texts, event)?;
            for (name, tree) in &self.event_trees {
                out.insert((*name).into(), tree.render(event)?);
            }
        }
        Ok(Value::Object(out))
    }

    fn action(&self, event: &Event<'_>) -> Result<Action, String> {
        let found = self.action.render(event, Place::Body)?;
        let known = Action::ALL
            .into_iter()
            .find(|action| action.name() == found);
        let action = self.actions.get(&found).copied().or(known);
        action.ok_or_else(|| {
            format!("the action `{found}` is none of trigger, acknowledge, resolve, and not in `actions`")
        })
    }

    fn dedup_key(&self, event: &Event<'_>, action: Action) -> Result<String, String> {
        let key = match (self.dedup_key.render_optional(event)?, action) {
            (Some(key), _) => key,
            // A record that is sent twice is one alert.
            (None, Action::Trigger) => event.id().to_owned(),
            (None, _) => return Err(format!("there is no key of what to {}", action.name())),
        };
        match key.chars().count() {
            0..=DEDUP_KEY => Ok(key),
            long => Err(format!(
                "the key has {long} characters, of {DEDUP_KEY} at most"
            )),
        }
    }

    fn payload(&self, event: &Event<'_>) -> Result<Value, String> {
        let summary = required(&self.summary, event, "summary")?;
        let mut payload = Map::from_iter([
            ("summary".to_owned(), Value::from(cut(&summary))),
            (
                "source".to_owned(),
                required(&self.source, event, "source")?.into(),
            ),
            ("severity".to_owned(), self.severity(event)?.into()),
        ]);
        if let Some(timestamp) = self.timestamp.render_optional(event)? {
            payload.insert("timestamp".to_owned(), timestamp.into());
        }
        insert_texts(&mut payload, &self.payload_texts, event)?;
        let details = match &self.details {
            Some(tree) => tree.render(event)?,
            None => details(event)?,
        };
        payload.insert("custom_details".to_owned(), details);
        Ok(Value::Object(payload))
    }

    fn severity(&self, event: &Event<'_>) -> Result<&'static str, String> {
        self.severities
            .find(&self.severity.render(event, Place::Body)?)
    }
}

fn required(template: &Template, event: &Event<'_>, what: &str) -> Result<String, String> {
    let text = template.render(event, Place::Body)?;
    match text.trim().is_empty() {
        true => Err(format!("the {what} is empty")),
        false => Ok(text),
    }
}

fn insert_texts(
    out: &mut Map<String, Value>,
    templates: &[(&str, Template)],
    event: &Event<'_>,
) -> Result<(), String> {
    for (name, template) in templates {
        if let Some(text) = template.render_optional(event)? {
            out.insert((*name).to_owned(), text.into());
        }
    }
    Ok(())
}

fn cut(summary: &str) -> String {
    summary.chars().take(SUMMARY).collect()
}

/// The record, in an object.
fn details(event: &Event<'_>) -> Result<Value, String> {
    let text = event.text()?;
    Ok(match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Value::Object(members),
        Ok(other) => json!({ "record": other }),
        Err(_) => json!({ "record": text }),
    })
}

fn judge(response: &Response) -> Verdict {
    match response.status {
        400 => Verdict::Reject(errors::reason(response)),
        _ => Verdict::ByStatus,
    }
}

impl Handle for PagerDuty {
    fn handle(&self, _: &Call, outcome: Result<Response, Failure>) -> Handled {
        match outcome {
            Ok(response) => of_a_page(&response).unwrap_or_else(|| judge(&response).into()),
            Err(_) => Verdict::ByStatus.into(),
        }
    }
}

export_sink!(PagerDuty);

#[cfg(test)]
mod tests;
