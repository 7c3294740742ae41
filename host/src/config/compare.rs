//! What another module changes of one that runs: pure.
//!
//! # Invariants
//! - What is called unchanged is equal in all that it is made of, secrets included, and so is all that it refers to.

use super::{Destination, IngressConfig, IngressKind, Module, OnUnrouted, SinkConfig};
use crate::{
    admin::settings::AdminSettings,
    ingress::settings::{FileIngressSettings, FilePath},
};

/// What cannot be changed while the host runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` cannot be changed while the host runs")]
pub struct Fixed {
    /// The key of the module file.
    pub key: String,
}

/// What becomes of each part of the module; places are those of the new module, unless they are said to be old ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The old place of each endpoint that stays as it is.
    pub endpoints: Vec<Option<usize>>,
    /// The old place of each egress that stays as it is.
    pub egresses: Vec<Option<usize>>,
    /// What becomes of each sink.
    pub sinks: Vec<SinkChange>,
    /// Old places of the sinks that there are no more.
    pub removed_sinks: Vec<usize>,
    /// What becomes of each ingress.
    pub ingresses: Vec<IngressChange>,
    /// Old places of the ingresses that there are no more.
    pub removed_ingresses: Vec<usize>,
}

/// What becomes of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkChange {
    /// There was none.
    Added,
    /// That of this old place hands over to it.
    Restarted(usize),
    /// That of this old place goes on; its plugin may be another one.
    Kept(usize),
}

/// What becomes of an ingress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngressChange {
    /// There was none.
    Added,
    /// It reads something else than that of this old place, or reads it otherwise: it is opened anew.
    Restarted(usize),
    /// That of this old place reads on, and its events go elsewhere.
    Routed(usize),
    /// That of this old place goes on.
    Kept(usize),
}

impl SinkChange {
    /// The place of the sink that it comes from.
    pub fn before(self) -> Option<usize> {
        match self {
            Self::Added => None,
            Self::Restarted(old) | Self::Kept(old) => Some(old),
        }
    }
}

impl IngressChange {
    /// The place of the ingress that it comes from.
    pub fn before(self) -> Option<usize> {
        match self {
            Self::Added => None,
            Self::Restarted(old) | Self::Routed(old) | Self::Kept(old) => Some(old),
        }
    }
}

impl Module {
    /// What it changes of `old`.
    ///
    /// # Errors
    /// What a host that runs cannot change.
    pub fn changes_from(&self, old: &Self) -> Result<Changes, Vec<Fixed>> {
        let fixed = self.fixed(old);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        let mut changes = Changes::default();
        for endpoint in &self.endpoints {
            let before = old.endpoints.iter().position(|before| {
                before.name == endpoint.name
                    && before.settings == endpoint.settings
                    && before.gate == endpoint.gate
            });
            changes.endpoints.push(before);
        }
        for egress in &self.egresses {
            let before = old
                .egresses
                .iter()
                .position(|before| before.id == egress.id && before.kind == egress.kind);
            changes.egresses.push(before);
        }
        let pair = Pair {
            new: self,
            old,
            endpoints: &changes.endpoints,
            egresses: &changes.egresses,
        };
        for sink in &self.sinks {
            let before = old.sinks.iter().position(|before| before.id == sink.id);
            changes.sinks.push(match before {
                None => SinkChange::Added,
                Some(place) if pair.same_sink(sink, &old.sinks[place]) => SinkChange::Kept(place),
                Some(place) => SinkChange::Restarted(place),
            });
        }
        for ingress in &self.ingresses {
            let mut ingresses = old.ingresses.iter();
            let before = ingresses.position(|before| before.id == ingress.id);
            changes.ingresses.push(match before {
                None => IngressChange::Added,
                Some(place) if ingress.kind != old.ingresses[place].kind => {
                    IngressChange::Restarted(place)
                }
                Some(place) if pair.same_routes(ingress, &old.ingresses[place]) => {
                    IngressChange::Kept(place)
                }
                Some(place) => IngressChange::Routed(place),
            });
        }
        let is_sink = |id| self.sinks.iter().any(|sink| sink.id == id);
        let is_ingress = |id| self.ingresses.iter().any(|ingress| ingress.id == id);
        let (sinks, ingresses) = (
            old.sinks.iter().enumerate(),
            old.ingresses.iter().enumerate(),
        );
        changes.removed_sinks = sinks
            .filter(|(_, sink)| !is_sink(sink.id.clone()))
            .map(|(place, _)| place)
            .collect();
        changes.removed_ingresses = ingresses
            .filter(|(_, ingress)| !is_ingress(ingress.id.clone()))
            .map(|(place, _)| place)
            .collect();
        Ok(changes)
    }

    fn fixed(&self, old: &Self) -> Vec<Fixed> {
        let same = [
            ("network", self.network == old.network),
            ("progress", self.progress == old.progress),
            ("admin", same_admin(self.admin.as_ref(), old.admin.as_ref())),
            ("telemetry", self.telemetry == old.telemetry),
        ];
        let changed = same.into_iter().filter(|(_, same)| !same);
        let mut fixed: Vec<_> = changed
            .map(|(key, _)| Fixed {
                key: key.to_owned(),
            })
            .collect();
        // What was read ahead of standard input would be gone, and cannot be read again.
        for ingress in &old.ingresses {
            let mut now = self.ingresses.iter();
            let now = now.find(|now| now.id == ingress.id);
            if reads_stdin(ingress) && now.is_some_and(|now| now.kind != ingress.kind) {
                fixed.push(Fixed {
                    key: format!("{}: file.path", ingress.id),
                });
            }
        }
        fixed
    }

    /// Events that the smallest buffer holds of the sinks that an ingress names, if it names any.
    pub fn capacity(&self, ingress: &IngressConfig) -> Option<usize> {
        let unrouted = match ingress.on_unrouted {
            OnUnrouted::To(Destination::Sink(sink)) if !ingress.router.takes_all() => Some(sink),
            _ => None,
        };
        let sinks = ingress.to.iter().copied().chain(unrouted);
        let buffers = sinks.filter_map(|sink| self.sinks.get(sink));
        buffers.map(|sink| sink.delivery.buffer.max_records).min()
    }
}

/// A token that was replaced in its file is in force already.
fn same_admin(new: Option<&AdminSettings>, old: Option<&AdminSettings>) -> bool {
    let (Some(new), Some(old)) = (new, old) else {
        return new == old;
    };
    let mut new = new.clone();
    if let (Some(now), Some(before)) = (&new.token, &old.token)
        && now.is_made_as(before)
    {
        new.token = Some(before.clone());
    }
    new == *old
}

fn reads_stdin(ingress: &IngressConfig) -> bool {
    let stdin = FileIngressSettings {
        path: FilePath::Stdin,
    };
    ingress.kind == IngressKind::File(stdin)
}

/// Two modules, and what is known already to be the same in both.
struct Pair<'a> {
    new: &'a Module,
    old: &'a Module,
    endpoints: &'a [Option<usize>],
    egresses: &'a [Option<usize>],
}

impl Pair<'_> {
    /// Whether a sink can go on as it is; its plugin is replaced without it.
    fn same_sink(&self, new: &SinkConfig, old: &SinkConfig) -> bool {
        let (limits, before) = (&new.plugin.limits, &old.plugin.limits);
        let endpoints = new.endpoints.len() == old.endpoints.len()
            && new.endpoints.iter().zip(&old.endpoints).all(|(new, old)| {
                new.0 == old.0 && self.endpoints.get(new.1) == Some(&Some(old.1))
            });
        new.delivery == old.delivery
            && endpoints
            && limits.instances == before.instances
            && limits.log_lines == before.log_lines
            && self.same_egress(new.results, old.results)
            && self.same_destination(new.dead_letters, old.dead_letters)
    }

    fn same_egress(&self, new: Option<usize>, old: Option<usize>) -> bool {
        match new {
            None => old.is_none(),
            Some(new) => old.is_some() && self.egresses.get(new) == Some(&old),
        }
    }

    fn same_destination(&self, new: Option<Destination>, old: Option<Destination>) -> bool {
        match (new, old) {
            (None, None) => true,
            (Some(Destination::Egress(new)), Some(Destination::Egress(old))) => {
                self.same_egress(Some(new), Some(old))
            }
            (Some(Destination::Sink(new)), Some(Destination::Sink(old))) => {
                self.new.sinks[new].id == self.old.sinks[old].id
            }
            _ => false,
        }
    }

    fn same_routes(&self, new: &IngressConfig, old: &IngressConfig) -> bool {
        let ids = |module: &Module, ingress: &IngressConfig| {
            let sinks = ingress.to.iter().map(|sink| module.sinks[*sink].id.clone());
            sinks.collect::<Vec<_>>()
        };
        let unrouted = match (new.on_unrouted, old.on_unrouted) {
            (OnUnrouted::To(new), OnUnrouted::To(old)) => {
                self.same_destination(Some(new), Some(old))
            }
            (new, old) => new == old,
        };
        // A regular expression is what it is written as.
        ids(self.new, new) == ids(self.old, old)
            && format!("{:?}", new.router) == format!("{:?}", old.router)
            && unrouted
            && self.new.capacity(new) == self.old.capacity(old)
    }
}

#[cfg(test)]
mod tests;
