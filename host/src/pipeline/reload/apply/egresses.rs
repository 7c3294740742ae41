//! Egresses that stay, that go, and that are opened.

use std::{collections::HashMap, sync::Arc};

use super::Change;
use crate::{
    config::EgressConfig,
    egress::{AnyEgress, EgressHandle},
    pipeline::{
        StartError,
        egresses::{Key, open_egress},
        endpoints::{Opened, fit_endpoints},
    },
};

impl Change<'_> {
    /// There is a handle of each egress that stays. One that nobody wrote to any more is opened again: if that fails,
    /// nothing was taken apart.
    pub(super) async fn keep_egresses(&mut self) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        for (place, config) in module.egresses.iter().enumerate() {
            if self.changes.egresses[place].is_none() {
                self.kept.push(None);
                continue;
            }
            let written = self.writers.find(&Key::Egress(config.id.to_string()));
            let kept = match written {
                Some(handle) => handle,
                None => self.open_egress(config).await?,
            };
            self.kept.push(Some(kept));
        }
        Ok(())
    }

    /// Nobody writes any more to the egresses that go, and their writers have ended.
    pub(super) async fn close_egresses(&mut self) {
        self.let_unrouted_go();
        for (place, config) in self.old.egresses.iter().enumerate() {
            if !self.changes.egresses.contains(&Some(place)) {
                let key = Key::Egress(config.id.to_string());
                self.writers.ended(&key, &self.waits).await;
            }
        }
    }

    /// All egresses of the module are open: those that could be opened beside the old ones, and now the others, where the
    /// old module was writing.
    pub(super) async fn open_egresses(
        &mut self,
        mut opened: HashMap<usize, AnyEgress>,
    ) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        for (place, config) in module.egresses.iter().enumerate() {
            let handle = match (self.kept[place].take(), opened.remove(&place)) {
                (Some(handle), _) => handle,
                (None, Some(egress)) => {
                    let id = config.id.to_string();
                    self.writers.spawn(Key::Egress(id.clone()), id, egress)
                }
                (None, None) => self.open_egress(config).await?,
            };
            self.egresses.push(handle);
        }
        Ok(())
    }

    async fn open_egress(&mut self, config: &EgressConfig) -> Result<EgressHandle, StartError> {
        let id = config.id.to_string();
        let (key, open) = (Key::Egress(id.clone()), open_egress(config));
        self.writers.open(key, id, &self.waits, open).await
    }

    /// Sinks that begin call these; the limits of those that stay follow the sinks of the new module.
    pub(super) fn use_endpoints(&mut self, endpoints: Vec<Opened>) {
        self.live.endpoints = endpoints;
        fit_endpoints(&self.module, &self.live.endpoints);
    }
}
