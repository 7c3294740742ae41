//! Sinks that there are no more.

use std::{sync::Arc, time::Duration};

use super::{Change, sinks::Retired};
use crate::{
    delivery::{Rest, SinkEnd, Sources},
    egress::EgressHandle,
    pipeline::{
        StartError,
        live::{LeavingSink, LiveSink},
        reload::{
            Hurry,
            retire::{Leaves, retire, write_off},
            wires::{keeps_egresses, letters_kept},
        },
        wiring::told,
    },
};

impl Change<'_> {
    /// What a sink that was removed cannot deliver is in its dead letters, at the latest when the host ends. Nothing that
    /// could fail for another part's sake was tried before: the next start knows nothing of such a sink.
    pub(super) async fn write_off_removed_sinks(&mut self) -> Result<(), StartError> {
        let old = Arc::clone(&self.old);
        for place in self.changes.removed_sinks.clone() {
            let config = &old.sinks[place];
            let kept = letters_kept(config, &self.changes.egresses);
            let kept = kept.and_then(|place| self.kept[place].clone());
            let letters = self.wiring().letters().of_removed(config, kept).await?;
            let (sink, left) = match (self.sinks[place].take(), self.retired.remove(&place)) {
                (Some(sink), _) => (sink, None),
                (None, Some(Retired { sink, rest })) => (sink, Some(rest)),
                (None, None) => continue,
            };
            debug_assert_eq!(
                left.is_none(),
                keeps_egresses(config, &self.changes.egresses)
            );
            self.let_leave(sink, left, letters);
        }
        Ok(())
    }

    fn let_leave(&mut self, sink: LiveSink, left: Option<Option<Rest>>, letters: EgressHandle) {
        let view = sink.view.clone();
        let (sources, hurry) = (self.live.sources.clone(), self.hurry.clone());
        let leaving = leave(sink, left, sources, letters, self.grace, hurry);
        let (id, failed) = (Arc::clone(&view.id), self.failed.clone());
        let leaving = async move { (id, told(failed, leaving).await) };
        let task = self.leaving_tasks.spawn(leaving);
        self.live.leaving.push(LeavingSink { view, task });
    }
}

/// Lets a sink that there is no more deliver what it has, unless it has done so and `left` something; what it cannot deliver
/// is written to `letters`.
async fn leave(
    sink: LiveSink,
    left: Option<Option<Rest>>,
    sources: Sources,
    letters: EgressHandle,
    grace: Duration,
    hurry: Hurry,
) -> SinkEnd {
    let LiveSink {
        attends,
        view,
        rest,
        queue: _,
        plugin: _,
    } = sink;
    attends.abort();
    let left = match left {
        Some(left) => left,
        None => retire(view.clone(), rest, Leaves::ForGood, grace, hurry).await,
    };
    match left {
        Some(rest) => write_off(view, rest, sources, letters).await,
        None => SinkEnd::Done,
    }
}
