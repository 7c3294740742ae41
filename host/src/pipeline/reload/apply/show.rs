//! What is to be seen of what runs, behind a change of it.

use std::sync::{Arc, PoisonError};

use crate::{admin::SinkView, pipeline::Running, progress::Ledger};

impl Running {
    /// Where it stopped half-way: what runs as before is still to be told that the host ends.
    pub(super) fn show_begun(&mut self) {
        let Some(live) = &self.live else { return };
        let has_gone = |sink: &SinkView| {
            let mut gone = live.leaving.iter();
            gone.any(|gone| Arc::ptr_eq(&gone.view.stats, &sink.stats))
        };
        self.sinks.retain(|sink| {
            let mut begun = live.sinks.iter();
            !has_gone(sink) && !begun.any(|begun| begun.view.id == sink.id)
        });
        let begun = live.sinks.iter().map(|sink| sink.view.clone());
        self.sinks.extend(begun);
    }

    /// What is to be seen of it now.
    pub(super) fn show(&mut self) {
        self.forget_gone(|sink| sink.task.is_finished());
        let Some(live) = &mut self.live else { return };
        live.unrouted.retain_mut(|writer| !writer.has_ended());
        self.sinks = live.sinks.iter().map(|sink| sink.view.clone()).collect();
        self.ingresses = live
            .ingresses
            .iter()
            .map(|read| read.view.clone())
            .collect();
        let is_live = |ledger: &Arc<Ledger>| {
            let mut live = live.ingresses.iter();
            live.any(|read| Arc::ptr_eq(&read.source.ledger, ledger))
        };
        // Those that are read no more, until all that they gave is settled and stored.
        self.sources
            .retain(|source| !is_live(&source.ledger) && source.ledger.unsettled() > 0);
        let now = live.ingresses.iter().map(|read| read.source.clone());
        self.sources.extend(now);
        self.writers.forget(&live.module.egresses);
        let mut stored = live.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.retain(|source| {
            let ledger = &source.ledger;
            is_live(ledger) || ledger.unsettled() > 0 || !ledger.advanced().is_empty()
        });
    }
}
