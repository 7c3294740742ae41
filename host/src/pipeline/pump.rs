//! Moves events from an ingress to its sinks.

use std::sync::Arc;

use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Arrival, Ticket},
    ingress::{Ingress, IngressError, ReadLimit},
    progress::Ledger,
};

/// What one read takes: it is also what stands outside a sink's buffer, once for each sink.
pub(super) const READ_LIMIT: ReadLimit = ReadLimit {
    records: 500,
    bytes: 512 * 1024,
};

/// Where the events of one ingress go.
pub(super) struct Route {
    /// The ingress, by its place in the module.
    pub(super) ingress: u16,
    pub(super) ledger: Arc<Ledger>,
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
    loop {
        let step = async {
            let Some(permits) = reserve(&route.sinks).await else {
                return Ok(None);
            };
            Ok(ingress
                .read(READ_LIMIT)
                .await?
                .map(|incoming| (permits, incoming)))
        };
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = step => read?,
        };
        let Some((permits, incoming)) = read else {
            return Ok(());
        };
        let positions = incoming
            .iter()
            .map(|read| (read.partition, read.position.clone()));
        route.ledger.learn(ingress.partitions());
        let ordinals = route.ledger.begin(positions, sinks);
        route.ledger.begin(ingress.passed().into_iter(), 0);
        if incoming.is_empty() {
            continue;
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
