//! The scripted ingress: partitions that come into sight, pauses, failures, and an end.

use std::{io, time::Duration};

use super::{
    progress_truth::{END, partition_name},
    world::{Shared, World},
};
use crate::{
    event::{Incoming, Position},
    ingress::{Ingress, IngressError, ReadLimit},
};

/// One ingress of the world.
#[derive(Debug)]
pub(super) struct Source {
    world: Shared,
    ingress: usize,
    /// The partitions that are known by now.
    names: Vec<String>,
    held: Vec<bool>,
    passed: Vec<(u32, Position)>,
}

impl Source {
    pub(super) fn new(world: Shared, ingress: usize) -> Self {
        Self {
            world,
            ingress,
            names: vec![partition_name(0)],
            held: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn is_held(&self, partition: usize) -> bool {
        self.held.get(partition).copied().unwrap_or(false)
    }

    /// Takes what a read gives; none where there is nothing to take for now.
    fn take(&mut self, limit: ReadLimit) -> Option<Taken> {
        let shared = self.world.clone();
        let world = &mut *shared.lock();
        if world.fault(4) {
            world.note(format_args!("ingress {}: fails", self.ingress));
            world.seen.count("source: failure");
            return Some(Taken::Failure);
        }
        let all = world.plan.ingresses[self.ingress].partitions.len();
        while self.names.len() < all && (self.is_read(world) || world.rng.u8(0..4) == 0) {
            self.names.push(partition_name(self.names.len()));
        }
        let records = self.records(world, limit);
        if !records.is_empty() || !self.passed.is_empty() {
            return Some(Taken::Records(records));
        }
        (self.names.len() == all && self.is_read(world)).then_some(Taken::End)
    }

    /// Whether every partition that is known was read to its end.
    fn is_read(&self, world: &World) -> bool {
        let plan = &world.plan.ingresses[self.ingress];
        (0..self.names.len()).all(|partition| {
            let read = &world.read[self.ingress][partition];
            read.next == plan.partitions[partition].len() && (read.ended || !plan.says_end)
        })
    }

    fn records(&mut self, world: &mut World, limit: ReadLimit) -> Vec<Incoming> {
        let plan = world.plan.ingresses[self.ingress].clone();
        let most = world.rng.usize(1..=limit.records.max(1));
        let (mut taken, mut bytes) = (Vec::new(), 0);
        loop {
            let open: Vec<usize> = (0..self.names.len())
                .filter(|partition| {
                    let read = &world.read[self.ingress][*partition];
                    !self.is_held(*partition) && read.next < plan.partitions[*partition].len()
                })
                .collect();
            if open.is_empty() || taken.len() >= most || bytes >= limit.bytes {
                break;
            }
            let partition = open[world.rng.usize(0..open.len())];
            let read = &mut world.read[self.ingress][partition];
            let number = plan.partitions[partition][read.next];
            read.next += 1;
            let position = Position::Count(read.next as u64);
            let event = world.plan.issued[number].event.clone();
            bytes += event.data.len();
            taken.push((number, partition, position, event));
        }
        for (partition, own) in plan.partitions.iter().enumerate().take(self.names.len()) {
            let read = &mut world.read[self.ingress][partition];
            if plan.says_end && read.next == own.len() && !read.ended && !self.is_held(partition) {
                read.ended = true;
                self.passed.push((partition as u32, END));
            }
        }
        arrive(world, &plan.to, &taken);
        let incoming = |(_, partition, position, event)| Incoming {
            event,
            partition: partition as u32,
            position,
        };
        taken.into_iter().map(incoming).collect()
    }
}

/// What is read is on its way to its sinks: this is the order of their arrival.
fn arrive(
    world: &mut World,
    to: &[usize],
    taken: &[(usize, usize, Position, crate::event::Event)],
) {
    if taken.is_empty() {
        return;
    }
    let numbers: Vec<usize> = taken.iter().map(|(number, ..)| *number).collect();
    world.note(format_args!("read {numbers:?}, to sinks {to:?}"));
    let memory = taken.iter().map(|(.., event)| event.memory()).sum();
    for &sink in to {
        for &number in &numbers {
            world.sinks[sink].arrive(number);
        }
        let outside = world.plan.feeders(sink) + 1;
        let chunks = &mut world.sinks[sink].chunks;
        chunks.push_front((numbers.len(), memory));
        chunks.truncate(outside);
        world.hold_against_bounds(sink);
    }
}

enum Taken {
    Records(Vec<Incoming>),
    End,
    Failure,
}

impl Ingress for Source {
    fn partitions(&self) -> &[String] {
        &self.names
    }

    async fn read(&mut self, limit: ReadLimit) -> Result<Option<Vec<Incoming>>, IngressError> {
        let pause = {
            let mut world = self.world.lock();
            let pace = world.plan.ingresses[self.ingress].pace;
            if world.fault(30) {
                world.seen.count("source: long pause");
                Duration::from_millis(world.rng.u64(0..20_000))
            } else {
                Duration::from_millis(world.rng.u64(0..=pace))
            }
        };
        tokio::time::sleep(pause).await;
        match self.take(limit) {
            Some(Taken::Records(records)) => Ok(Some(records)),
            Some(Taken::End) => Ok(None),
            Some(Taken::Failure) => {
                self.world.lock().source_failed = true;
                Err(IngressError::Read {
                    path: "planned".to_owned(),
                    source: io::ErrorKind::Other.into(),
                })
            }
            // What is not held has been read: only a settled event can bring more.
            None => std::future::pending().await,
        }
    }

    fn active(&self) -> usize {
        let world = self.world.lock();
        let plan = &world.plan.ingresses[self.ingress];
        (0..self.names.len())
            .filter(|partition| {
                world.read[self.ingress][*partition].next < plan.partitions[*partition].len()
            })
            .count()
    }

    fn hold(&mut self, held: &[bool]) {
        if held.contains(&true) {
            self.world.lock().seen.count("source: held");
        }
        self.held = held.to_vec();
    }

    fn passed(&mut self) -> Vec<(u32, Position)> {
        std::mem::take(&mut self.passed)
    }
}
