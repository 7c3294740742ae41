//! Events that no router takes, and whose egress goes.

use std::sync::Arc;

use tracing::info;

use super::Change;
use crate::{
    config::{Destination, OnUnrouted},
    pipeline::{StartError, egresses::Key, reload::wires::stays},
};

impl Change<'_> {
    /// Those who write to an egress that goes are told so: what it does not take in time, they leave.
    pub(super) fn let_unrouted_go(&mut self) {
        let goes = |id: &str| {
            let key = Key::Egress(id.to_owned());
            !stays(&key, &self.module, &self.changes.egresses)
        };
        let writers = self.live.unrouted.drain(..);
        let (let_go, kept) = writers.partition(|writer| writer.to.as_deref().is_some_and(goes));
        (self.unrouted, self.live.unrouted) = (let_go, kept);
        for writer in &self.unrouted {
            writer.let_go.cancel();
        }
    }

    /// What they have left goes to the egress that their ingress names now, or to its file.
    pub(super) async fn pass_on_unrouted(&mut self) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        for writer in std::mem::take(&mut self.unrouted) {
            let Ok(held) = writer.rest.await else {
                continue;
            };
            let source = &writer.source;
            let mut ingresses = module.ingresses.iter();
            let config = ingresses.find(|config| config.id.to_string() == *source.id);
            let to = match config.map(|config| config.on_unrouted) {
                Some(to @ OnUnrouted::To(Destination::Egress(_))) => to,
                _ => OnUnrouted::File,
            };
            info!(ingress = %source.id, events = held.len(), "what the egress of unrouted events did not take goes elsewhere");
            self.wiring().unrouted(source, to, held).await?;
        }
        Ok(())
    }
}
