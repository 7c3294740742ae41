//! `plugin.config`, and its defaults.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `plugin.config`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// A template: the integration's key. Without one, the endpoint's `auth` sets the header `X-Routing-Key`.
    pub routing_key: Option<String>,
    /// A template that comes to `trigger`, `acknowledge` or `resolve`, or to a name in `actions`.
    pub action: String,
    /// Other names of actions.
    pub actions: BTreeMap<String, Action>,
    /// A template. A trigger without what it asks for has the record's id.
    pub dedup_key: String,
    /// A template.
    pub summary: String,
    /// A template: the affected system.
    pub source: String,
    /// A template that comes to a severity, or to a name in `severities`.
    pub severity: String,
    /// Other names of severities, in lower case.
    pub severities: BTreeMap<String, String>,
    /// A template.
    pub timestamp: String,
    /// Templates; without what they ask for, they are left out.
    pub component: Option<String>,
    pub group: Option<String>,
    pub class: Option<String>,
    pub client: Option<String>,
    pub client_url: Option<String>,
    /// JSON with templates in its strings; without it, the record.
    pub custom_details: Option<Value>,
    pub links: Option<Value>,
    pub images: Option<Value>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            routing_key: None,
            action: "trigger".to_owned(),
            actions: BTreeMap::new(),
            dedup_key: "{key}".to_owned(),
            summary: "{data}".to_owned(),
            source: "nozzle".to_owned(),
            severity: "error".to_owned(),
            severities: BTreeMap::new(),
            timestamp: "{time}".to_owned(),
            component: None,
            group: None,
            class: None,
            client: None,
            client_url: None,
            custom_details: None,
            links: None,
            images: None,
        }
    }
}

/// What an event does to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Trigger, Self::Acknowledge, Self::Resolve];

    /// As PagerDuty calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
        }
    }
}
