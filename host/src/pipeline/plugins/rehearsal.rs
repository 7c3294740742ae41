//! What a new version makes of the last batch that came, before it is given another.

use std::sync::Arc;

use super::{Setup, SinkPlugin};
use crate::{
    delivery::rehearse,
    event::Event,
    plugin::{LoadedPlugin, Shaped, SwapError, differences},
};

impl SinkPlugin {
    /// Lets both versions shape the last batch; the old one may fail on it, too. Neither writes to the sink's store. `setup` is the new
    /// one's.
    pub(super) async fn rehearse(
        &self,
        old: &LoadedPlugin,
        new: &LoadedPlugin,
        setup: &Setup,
    ) -> Result<(Option<usize>, Vec<String>), SwapError> {
        let Some(events) = self.slot.last_batch() else {
            return Ok((None, Vec::new()));
        };
        let new = rehearse(new, &setup.endpoints, setup.order, &events).await;
        let before = self.setup();
        let old = rehearse(&old.rehearsal(), &before.endpoints, before.order, &events).await;
        let differences = match (old, new) {
            (Ok(old), Ok(new)) if rejects_all(&new, &events) && !rejects_all(&old, &events) => {
                let reason = new.reject.first().map(|(_, reason)| reason);
                return Err(SwapError::Rehearsal {
                    sink: Arc::clone(&self.sink),
                    events: events.len(),
                    reason: format!("it rejects all of them: {}", reason.map_or("", |it| it)),
                });
            }
            (Ok(old), Ok(new)) => differences(&old, &new),
            (Ok(_), Err(reason)) => {
                return Err(SwapError::Rehearsal {
                    sink: Arc::clone(&self.sink),
                    events: events.len(),
                    reason,
                });
            }
            (Err(reason), Ok(_)) => vec![format!("the version before fails on it: {reason}")],
            (Err(_), Err(reason)) => vec![format!("both versions fail on it: {reason}")],
        };
        Ok((Some(events.len()), differences))
    }
}

fn rejects_all(shaped: &Shaped, events: &[Arc<Event>]) -> bool {
    shaped.reject.len() == events.len()
}
