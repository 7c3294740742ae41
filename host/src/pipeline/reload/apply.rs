//! The change itself: stop, hand over, begin.
//!
//! [`Running::apply`] takes one step after the other, in the order of `docs/reloading.md`; each stands in the file of what it
//! deals with. What runs is taken out of [`Live`] first, and put back part by part: what goes on, and what has begun.

mod egresses;
mod ingresses;
mod removed;
mod show;
mod sinks;
mod unrouted;

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{
    ingresses::Stopped,
    sinks::{Retired, queues},
};
use super::{Hurry, prepare::Prepared, wires::stays};
use crate::{
    admin::Reloaded,
    config::{Changes, Module},
    delivery::{Intake, Queue},
    egress::EgressHandle,
    fail_point::FailPoint,
    pipeline::{
        IngressTasks, Running, SinkTasks, StartError,
        egresses::{Waits, Writers},
        live::{Live, LiveIngress, LiveSink, LiveUnrouted},
        wiring::Wiring,
    },
};

/// How long an egress that goes may take to write what it was given.
const EGRESS_PATIENCE: Duration = Duration::from_secs(5);

impl Running {
    /// Makes of what runs what was prepared; `hurry` if the host is to stop meanwhile.
    ///
    /// # Errors
    /// A part that could be opened a moment ago and cannot any more: what runs is incomplete then, and is to be stopped.
    ///
    /// # Cancel safety
    /// What runs is incomplete then. Nothing is lost: what is unsettled comes again from stored progress.
    pub(super) async fn apply(
        &mut self,
        prepared: Prepared,
        hurry: &Hurry,
    ) -> Result<Reloaded, StartError> {
        let changed = self.change(prepared, hurry).await;
        match changed {
            Ok(_) => self.show(),
            Err(_) => self.show_begun(),
        }
        while self.plugin_tasks.try_join_next().is_some() {}
        changed
    }

    async fn change(&mut self, prepared: Prepared, hurry: &Hurry) -> Result<Reloaded, StartError> {
        let Prepared {
            module,
            changes,
            plugins,
            endpoints,
            egresses,
            reloaded,
        } = prepared;
        let Some(mut change) = Change::begin(self, module, changes, hurry) else {
            return Ok(Reloaded::default());
        };
        change.keep_egresses().await?;
        change.stop_ingresses().await;
        FailPoint::ReloadStopped.pass();
        change.retire_sinks().await;
        FailPoint::ReloadRetired.pass();
        change.close_egresses().await;
        change.write_off_removed_sinks().await?;
        change.open_egresses(egresses).await?;
        change.pass_on_unrouted().await?;
        change.use_endpoints(endpoints);
        change.begin_sinks(plugins).await?;
        FailPoint::ReloadBegun.pass();
        change.route_ingresses().await?;
        change.open_ingresses().await?;
        change.end();
        Ok(reloaded)
    }
}

/// A change that is under way. Its tasks are the host's: dropped half-way, it leaves what runs incomplete, and loses nothing.
struct Change<'a> {
    live: &'a mut Live,
    writers: &'a mut Writers,
    waits: Waits,
    sink_tasks: &'a mut SinkTasks,
    leaving_tasks: &'a mut SinkTasks,
    ingress_tasks: &'a mut IngressTasks,
    plugin_tasks: &'a mut JoinSet<io::Result<()>>,
    intake: &'a CancellationToken,
    failed: &'a CancellationToken,
    grace: Duration,
    hurry: &'a Hurry,
    old: Arc<Module>,
    module: Arc<Module>,
    changes: Changes,

    // What ran, by the places of the old module, until it goes on, is followed by another one, or is gone.
    sinks: Vec<Option<LiveSink>>,
    retired: HashMap<usize, Retired>,
    read: Vec<Option<LiveIngress>>,
    stopped: HashMap<usize, Stopped>,
    /// Those whose egress goes.
    unrouted: Vec<LiveUnrouted>,

    // What is to run, by the places of the new one.
    queues: Vec<Queue>,
    /// The other end of the queues that are new.
    intakes: Vec<Option<Intake>>,
    /// Egresses that stay.
    kept: Vec<Option<EgressHandle>>,
    /// All of them, once they are open.
    egresses: Vec<EgressHandle>,
    ingresses: Vec<Option<LiveIngress>>,

    /// What is written on to stays open although nobody writes for a moment.
    _held: Vec<EgressHandle>,
}

impl<'a> Change<'a> {
    /// Takes stock: each sink of `module` has a queue, so that those that go on do not end when their ingresses stop. None
    /// where there is nothing that could be changed.
    fn begin(
        running: &'a mut Running,
        module: Arc<Module>,
        changes: Changes,
        hurry: &'a Hurry,
    ) -> Option<Self> {
        let Running {
            live: Some(live),
            grace,
            writers,
            sink_tasks,
            leaving_tasks,
            ingress_tasks,
            plugin_tasks,
            intake,
            failed,
            ..
        } = running
        else {
            return None;
        };
        let sinks: Vec<Option<LiveSink>> = live.sinks.drain(..).map(Some).collect();
        let (queues, intakes) = queues(&module, &changes, &sinks);
        Some(Self {
            old: Arc::clone(&live.module),
            retired: HashMap::new(),
            read: live.ingresses.drain(..).map(Some).collect(),
            stopped: HashMap::new(),
            unrouted: Vec::new(),
            kept: Vec::new(),
            egresses: Vec::new(),
            ingresses: Vec::new(),
            _held: writers.hold(|key| stays(key, &module, &changes.egresses)),
            live,
            writers,
            waits: Waits {
                patience: EGRESS_PATIENCE.min(*grace),
                is_over: hurry.is_over.clone(),
            },
            sink_tasks,
            leaving_tasks,
            ingress_tasks,
            plugin_tasks,
            intake,
            failed,
            grace: *grace,
            hurry,
            module,
            changes,
            sinks,
            queues,
            intakes,
        })
    }

    /// What sinks and ingresses are wired with, as far as it is there by now.
    fn wiring(&mut self) -> Wiring<'_> {
        Wiring {
            module: &self.module,
            state_dir: &self.live.state_dir,
            tracer: &self.live.tracer,
            sources: &self.live.sources,
            endpoints: &self.live.endpoints,
            egresses: &self.egresses,
            queues: &self.queues,
            secrets: &self.live.secrets,
            writers: self.writers,
            waits: &self.waits,
            sink_tasks: self.sink_tasks,
            ingress_tasks: self.ingress_tasks,
            unrouted: &mut self.live.unrouted,
            intake: self.intake,
            failed: self.failed,
        }
    }

    /// What runs is what the new module says.
    fn end(self) {
        self.live.ingresses = self.ingresses.into_iter().flatten().collect();
        self.live.module = self.module;
    }
}
