//! Moves events from an ingress to its sinks.

use std::sync::Arc;

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Arrival, Incoming, Ticket},
    ingress::{Ingress, IngressError, ReadLimit},
    metrics::IngressStats,
    progress::Ledger,
};

/// What one read takes at most: it is also what stands outside a sink's buffer, once for each sink.
const READ_LIMIT: ReadLimit = ReadLimit {
    records: 500,
    bytes: 512 * 1024,
};

/// Where the events of one ingress go.
pub(super) struct Route {
    /// The ingress, by its place in the module.
    pub(super) ingress: u16,
    pub(super) ledger: Arc<Ledger>,
    /// Of an ingress that does not count what it reads itself.
    pub(super) stats: Option<Arc<IngressStats>>,
    /// Events that the smallest of its sinks' buffers holds.
    pub(super) capacity: usize,
    /// One queue for each sink that its routers name.
    pub(super) sinks: Vec<mpsc::Sender<Vec<Arrival>>>,
}

/// Reads until the source ends or `stop`. A read begins only when every sink has taken the one before.
pub(super) async fn pump(
    mut ingress: impl Ingress,
    route: Route,
    stop: CancellationToken,
) -> Result<(), IngressError> {
    let sinks = u16::try_from(route.sinks.len()).unwrap_or(u16::MAX);
    let limit = ReadLimit {
        records: READ_LIMIT.records.min(route.capacity.div_ceil(4)),
        ..READ_LIMIT
    };
    loop {
        let step = async {
            let Some(permits) = reserve(&route.sinks).await else {
                return Ok(None);
            };
            let incoming = read(&mut ingress, &route, limit).await?;
            Ok(incoming.map(|incoming| (permits, incoming)))
        };
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = step => read?,
        };
        let Some((permits, incoming)) = read else {
            return Ok(());
        };
        let positions = incoming.iter().map(|read| {
            (
                read.partition,
                read.position.clone(),
                Some(read.event.timestamp_ms),
            )
        });
        route.ledger.learn(ingress.partitions());
        let ordinals = route.ledger.begin_at(positions, sinks);
        route.ledger.begin(ingress.passed().into_iter(), 0);
        if incoming.is_empty() {
            continue;
        }
        if let Some(stats) = &route.stats {
            count(stats, &incoming);
        }
        let arrivals: Vec<Arrival> = incoming
            .into_iter()
            .zip(ordinals)
            .map(|(read, ordinal)| Arrival {
                event: Arc::new(read.event),
                ticket: Ticket {
                    ingress: route.ingress,
                    partition: read.partition,
                    ordinal,
                },
            })
            .collect();
        send(permits, arrivals);
    }
}

fn count(stats: &IngressStats, incoming: &[Incoming]) {
    let size = |Incoming { event, .. }: &Incoming| {
        event.data.len() + event.key.as_ref().map_or(0, |key| key.len())
    };
    stats.events.add(incoming.len());
    stats.bytes.add(incoming.iter().map(size).sum());
}

/// Reads from the partitions that are not held, for as long as they are not.
async fn read(
    ingress: &mut impl Ingress,
    route: &Route,
    limit: ReadLimit,
) -> Result<Option<Vec<Incoming>>, IngressError> {
    loop {
        let held = route.ledger.held(share(route.capacity, ingress.active()));
        let all =
            !held.is_empty() && !held.contains(&false) && held.len() >= ingress.partitions().len();
        let some = held.contains(&true);
        ingress.hold(&held);
        tokio::select! {
            biased;
            read = ingress.read(limit), if !all => return read,
            () = route.ledger.settling(), if some => {}
        }
    }
}

/// How many events of one partition may be unsettled, of `capacity` for all that are read: twice its even part, so that
/// an uneven stream goes on at full speed, and up to half of the partitions may be stuck without stopping the others.
fn share(capacity: usize, active: usize) -> usize {
    (2 * capacity / (active + 1)).clamp(1, capacity.max(1))
}

/// A place in every queue; none if a sink has ended.
async fn reserve(sinks: &[mpsc::Sender<Vec<Arrival>>]) -> Option<Vec<OwnedPermit<Vec<Arrival>>>> {
    let mut permits = Vec::with_capacity(sinks.len());
    for sink in sinks {
        permits.push(sink.clone().reserve_owned().await.ok()?);
    }
    Some(permits)
}

fn send(mut permits: Vec<OwnedPermit<Vec<Arrival>>>, arrivals: Vec<Arrival>) {
    let last = permits.pop();
    for permit in permits {
        permit.send(arrivals.clone());
    }
    if let Some(permit) = last {
        permit.send(arrivals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_partition_leaves_room_and_a_single_one_has_all() {
        let table = [
            (1, 10_000),
            (2, 6_666),
            (3, 5_000),
            (9, 2_000),
            (100_000, 1),
        ];
        for (active, expected) in table {
            assert_eq!(share(10_000, active), expected, "{active} partitions");
        }
        assert_eq!((share(1, 1), share(0, 0)), (1, 1));
    }
}
