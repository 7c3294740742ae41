//! The module file that is read again: what those are told who ask for it.

use std::{fmt::Debug, pin::Pin};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reads the module again, and changes what runs.
pub trait Reloads: Debug + Send + Sync {
    /// Does it, and waits until it is done.
    ///
    /// # Errors
    /// Why nothing, or not all, was changed.
    ///
    /// # Cancel safety
    /// It is done all the same.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, NotReloaded>> + Send + '_>>;
}

/// What a reload has changed: ids, in the order of the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Reloaded {
    /// Whether anything was changed.
    pub changed: bool,
    /// What became of sinks.
    pub sinks: ReloadedSinks,
    /// What became of ingresses.
    pub ingresses: ReloadedIngresses,
}

/// What became of sinks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReloadedSinks {
    /// They are new.
    pub added: Vec<String>,
    /// They were started anew, with what they held.
    pub restarted: Vec<String>,
    /// They went on, with another plugin or another configuration of it.
    pub swapped: Vec<String>,
    /// They are gone.
    pub removed: Vec<String>,
}

/// What became of ingresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReloadedIngresses {
    /// They are new.
    pub added: Vec<String>,
    /// They were opened anew, behind what is settled.
    pub restarted: Vec<String>,
    /// They read on, and their events go elsewhere.
    pub routed: Vec<String>,
    /// They are gone.
    pub removed: Vec<String>,
}

impl Reloaded {
    /// What was changed, in a line.
    pub fn words(&self) -> String {
        let (sinks, ingresses) = (&self.sinks, &self.ingresses);
        let parts = [
            ("sinks added", &sinks.added),
            ("sinks started anew", &sinks.restarted),
            ("plugins replaced", &sinks.swapped),
            ("sinks removed", &sinks.removed),
            ("ingresses added", &ingresses.added),
            ("ingresses opened anew", &ingresses.restarted),
            ("ingresses routed anew", &ingresses.routed),
            ("ingresses removed", &ingresses.removed),
        ];
        let said = parts.into_iter().filter(|(_, ids)| !ids.is_empty());
        let said: Vec<String> = said
            .map(|(what, ids)| format!("{what}: {}", ids.join(", ")))
            .collect();
        match (said.is_empty(), self.changed) {
            (false, _) => said.join("; "),
            (true, true) => "nothing that runs".to_owned(),
            (true, false) => "nothing".to_owned(),
        }
    }
}

/// Why a module was not reloaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotReloaded {
    /// What kind of reason it is.
    pub kind: NotReloadedKind,
    /// In words.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReloadedKind {
    /// The module is refused: nothing was changed.
    Refused,
    /// The host is about to end.
    Ending,
    /// It failed on the way, and the host ends.
    Failed,
}
