//! The scripted plugin, endpoint, egress and store: thin ends of the world.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::world::{Shared, World};
use crate::{
    egress::{Egress, EgressError},
    event::{Event, Position, Record},
    http::{Request, Transport},
    outcome::{Failure, Outcome},
    plugin::{CurrentCall, Handled, Plugin, PluginError, Shaped},
    progress::store::{Advance, Store, StoreError},
};

/// The plugin of one sink.
pub(super) struct Guest {
    pub(super) world: Shared,
    pub(super) sink: usize,
    pub(super) handles: bool,
}

impl Plugin for Guest {
    async fn shape(&self, events: &[Arc<Event>]) -> Result<Shaped, PluginError> {
        let (numbers, takes) = self.world.lock().shape_begins(self.sink, events);
        tokio::time::sleep(takes).await;
        self.world.lock().shape_ends(self.sink, &numbers)
    }

    fn handles(&self) -> bool {
        self.handles
    }

    async fn handle(&self, call: CurrentCall, outcome: Outcome) -> Result<Handled, PluginError> {
        let (number, takes) = self.world.lock().handle_begins(self.sink, &call, &outcome);
        tokio::time::sleep(takes).await;
        match number {
            Some(number) => self.world.lock().handle_ends(number, &outcome),
            None => Err(PluginError::Trapped("of no call".to_owned())),
        }
    }
}

/// The way from one sink to one endpoint.
pub(super) struct Wire {
    pub(super) world: Shared,
    pub(super) sink: usize,
    pub(super) endpoint: usize,
}

/// An attempt under way. Dropped before its answer, it had none.
struct UnderWay {
    world: Shared,
    call: usize,
    until: Instant,
    answered: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        let in_time = Instant::now() < self.until;
        // One that is dropped within its time goes down with its engine.
        if !self.answered && !world.gone && !in_time {
            world.attempt_ends(self.call, Err(Failure::Timeout));
        }
    }
}

impl Transport for Wire {
    async fn send(&self, request: Request) -> Outcome {
        let (takes, outcome, call, until) = {
            let mut world = self.world.lock();
            let call = world.attempt_begins(self.sink, self.endpoint, &request);
            let (takes, outcome) = world.answer_of(self.sink, self.endpoint);
            let limit = world.plan.sinks[self.sink].settings.timeout.attempt;
            (takes, outcome, call, Instant::now() + limit)
        };
        let Some(call) = call else {
            return Err(Failure::Connect("of no call".to_owned()));
        };
        let mut under_way = UnderWay {
            world: self.world.clone(),
            call,
            until,
            answered: false,
        };
        tokio::time::sleep(takes).await;
        under_way.answered = true;
        self.world.lock().attempt_ends(call, outcome.clone());
        outcome
    }
}

/// An egress of the world.
pub(super) struct Drain {
    pub(super) world: Shared,
    pub(super) egress: usize,
}

impl Egress for Drain {
    async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
        let (takes, returns, taken, fails) = {
            let mut world = self.world.lock();
            world.write_begins(self.egress, records);
            world.write_plan(self.egress, records.len())
        };
        tokio::time::sleep(takes).await;
        if let Some(durable) = records.get(..taken) {
            self.world.lock().durable(durable);
        }
        tokio::time::sleep(returns).await;
        let mut world = self.world.lock();
        if fails {
            world.note(format_args!("egress {}: fails", self.egress));
            world.seen.count("egress: failure");
            world.egresses[self.egress].again = Some(records.to_vec());
            return Err(EgressError::Io {
                action: "sync",
                path: "planned".to_owned(),
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        Ok(())
    }
}

impl World {
    /// How a write goes: the time until it is durable, the time until that is told, how many records are
    /// taken, and whether it fails.
    fn write_plan(&mut self, egress: usize, records: usize) -> (Duration, Duration, usize, bool) {
        let slow = if self.fault(200) { 3_000 } else { 5 };
        let takes = Duration::from_millis(self.rng.u64(0..=slow));
        let returns = Duration::from_millis(self.rng.u64(0..=slow));
        if self.egresses[egress].failures == 0 && self.fault(150) {
            self.egresses[egress].failures = self.rng.u32(1..5);
        }
        let fails = self.egresses[egress].failures > 0 && !self.calm();
        self.egresses[egress].failures = self.egresses[egress].failures.saturating_sub(1);
        let taken = if fails {
            self.rng.usize(0..=records)
        } else {
            records
        };
        (takes, returns, taken, fails)
    }
}

/// The progress store of the world.
pub(super) struct Memory {
    pub(super) world: Shared,
}

impl Store for Memory {
    async fn load(&self, _ingress: &str) -> Result<Vec<(String, Position)>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&mut self, advances: Vec<Advance>) -> Result<(), StoreError> {
        let (takes, returns, durable, fault) = {
            let mut world = self.world.lock();
            world.save_begins(&advances);
            world.kept = false;
            let slow = if world.fault(100) { 4_000 } else { 3 };
            let takes = Duration::from_millis(world.rng.u64(0..=slow));
            let returns = Duration::from_millis(world.rng.u64(0..=slow));
            let fault = world.fault(150).then(|| world.rng.u8(0..40));
            (takes, returns, fault.is_none() || world.rng.bool(), fault)
        };
        tokio::time::sleep(takes).await;
        if durable {
            let mut world = self.world.lock();
            let keyed = advances.iter().map(|advance| {
                let ingress = advance.ingress.strip_prefix("sim/in");
                let ingress = ingress.and_then(|ingress| ingress.parse().ok());
                let key = (ingress.unwrap_or(usize::MAX), advance.partition.clone());
                (key, advance.position.clone())
            });
            let keyed: BTreeMap<_, _> = keyed.collect();
            world.stored.extend(keyed);
            world.seen.count("store: saved");
        }
        tokio::time::sleep(returns).await;
        let mut world = self.world.lock();
        world.kept = fault.is_none();
        let Some(fault) = fault else { return Ok(()) };
        world.note(format_args!("store: fails (durable: {durable})"));
        if fault == 0 {
            world.taken_over = true;
            world.seen.count("store: taken over");
            return Err(StoreError::TakenOver {
                table: "planned".to_owned(),
                ingress: "sim/in0".to_owned(),
            });
        }
        world.seen.count("store: failure");
        Err(StoreError::Io {
            path: "planned".into(),
            source: io::ErrorKind::StorageFull.into(),
        })
    }

    async fn forget(&mut self, _: &str, _: Vec<String>) -> Result<(), StoreError> {
        Ok(())
    }
}
