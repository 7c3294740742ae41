//! What is stored: never a position that passes an event without an end. And what a run leaves behind.

use super::{
    truth::{State, Why},
    world::World,
};
use crate::{
    event::{Position, ShardPosition},
    progress::store::Advance,
};

pub(super) const END: Position = Position::Shard(ShardPosition::End);

/// The name of a partition.
pub(super) fn partition_name(partition: usize) -> String {
    format!("p{partition}")
}

impl World {
    /// Where reading begins, by what the store holds.
    pub(super) fn resume(&mut self) {
        for (ingress, partitions) in self.read.iter_mut().enumerate() {
            for (partition, read) in partitions.iter_mut().enumerate() {
                let len = self.plan.ingresses[ingress].partitions[partition].len();
                let stored = self.stored.get(&(ingress, partition_name(partition)));
                read.from = match stored {
                    None => 0,
                    Some(Position::Count(count)) => *count as usize,
                    Some(_) => len,
                };
                read.next = read.from;
                read.ended = stored == Some(&END);
            }
        }
    }

    /// Positions are to be stored: each event that they pass must have its end.
    pub(super) fn save_begins(&mut self, advances: &[Advance]) {
        for advance in advances {
            self.may_be_stored(advance);
        }
    }

    fn may_be_stored(&mut self, advance: &Advance) {
        self.note(format_args!(
            "store: {} {} {:?}",
            advance.ingress, advance.partition, advance.position
        ));
        let place = advance
            .ingress
            .strip_prefix("sim/in")
            .and_then(|ingress| ingress.parse::<usize>().ok())
            .zip(
                advance
                    .partition
                    .strip_prefix('p')
                    .and_then(|partition| partition.parse::<usize>().ok()),
            );
        let known = place.and_then(|(ingress, partition)| {
            Some((ingress, partition, self.read.get(ingress)?.get(partition)?))
        });
        let Some((ingress, partition, read)) = known else {
            return self.fail("INVENTED", format!("progress of no partition: {advance:?}"));
        };
        let own = &self.plan.ingresses[ingress].partitions[partition];
        let (from, upto) = match &advance.position {
            Position::Count(count) => (read.from, *count as usize),
            end if *end == END && read.ended => (read.from, own.len()),
            other => {
                return self.fail(
                    "INVENTED",
                    format!("a position that was not reached: {other:?}"),
                );
            }
        };
        if upto > read.next || upto < from {
            let what = format!("progress {upto} is stored, but {} were read", read.next);
            return self.fail("LOST", what);
        }
        let passed = own.get(from..upto).unwrap_or_default().to_vec();
        for event in passed {
            for sink in 0..self.plan.sinks.len() {
                if self.plan.routed(ingress, sink) && !self.settled(sink, event) {
                    let fate = &self.sinks[sink].fates[event];
                    let what = format!(
                        "progress passes event {event}, which has no end at sink {sink}: {fate:?}"
                    );
                    return self.fail("LOST", what);
                }
            }
        }
    }

    fn settled(&self, sink: usize, event: usize) -> bool {
        let settings = &self.plan.sinks[sink].settings;
        self.sinks[sink].fates[event]
            .as_ref()
            .is_some_and(|fate| fate.is_settled(settings))
    }

    /// A sink says that all it was given has its end: so it must be, and so it must have counted.
    pub(super) fn sink_is_done(&mut self, sink: usize) {
        self.note(format_args!("sink {sink}: done"));
        let open = self.sinks[sink].arrived.clone();
        if let Some(event) = open.iter().find(|event| !self.settled(sink, **event)) {
            let fate = &self.sinks[sink].fates[*event];
            let what = format!("sink {sink} is done, but event {event} has no end: {fate:?}");
            return self.fail("LOST", what);
        }
        let truth = &self.sinks[sink];
        let (mut delivered, mut dropped, mut dead) = (0, 0, 0);
        for fate in truth.fates.iter().flatten() {
            match fate.state {
                State::Delivered => delivered += 1,
                State::Dropped | State::Open(Why::HandlerFailed | Why::ShapeFailed(_)) => {
                    dropped += 1
                }
                State::Doomed(_) | State::Open(_) => dead += 1,
            }
        }
        let expected = [truth.arrived.len() as u64, delivered, dropped, dead];
        let stats = &truth.stats;
        let counted = [
            &stats.read,
            &stats.delivered,
            &stats.dropped,
            &stats.dead_lettered,
        ]
        .map(crate::metrics::Number::get);
        let left = [&stats.buffered, &stats.in_flight, &stats.response_bytes]
            .map(crate::metrics::Number::get);
        if counted != expected {
            let what = format!(
                "sink {sink} counts read, delivered, dropped, dead-lettered {counted:?}, but it was {expected:?}"
            );
            self.fail("TWO ENDS", what);
        } else if left != [0; 3] {
            self.fail("BOUND", format!("sink {sink} is done and holds {left:?}"));
        }
    }

    /// At the end of the last incarnation, progress stands at the end of every partition.
    pub(super) fn all_is_over(&mut self) {
        for (ingress, plan) in self.plan.ingresses.clone().into_iter().enumerate() {
            // One that feeds no sink is not waited for.
            if plan.to.is_empty() {
                continue;
            }
            for (partition, events) in plan.partitions.iter().enumerate() {
                let stored = self
                    .stored
                    .get(&(ingress, partition_name(partition)))
                    .cloned();
                let whole = match &stored {
                    Some(end) if *end == END => true,
                    Some(Position::Count(count)) => {
                        *count as usize == events.len() && !plan.says_end
                    }
                    Some(_) => false,
                    None => events.is_empty() && !plan.says_end,
                };
                if !whole {
                    let what = format!(
                        "everything has ended, but progress of ingress {ingress}, partition {partition}, is {stored:?} of {}",
                        events.len()
                    );
                    self.fail("LOST", what);
                }
            }
        }
    }
}
