//! Writes the events that no router takes to an egress, each as a dead letter.

use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::{
    dead_letter::{CauseKind, DeadLetter},
    delivery::{SinkEnd, Source},
    egress::EgressHandle,
    event::{Arrival, Event, Record},
};

/// Serves `intake` until it is closed; an event is settled when its letter is durable.
pub(super) async fn run(
    ingress: Source,
    egress: EgressHandle,
    mut intake: mpsc::Receiver<Vec<Arrival>>,
) -> SinkEnd {
    while let Some(arrivals) = intake.recv().await {
        let letters = arrivals
            .iter()
            .map(|arrival| letter(&ingress, &arrival.event));
        if let Err(closed) = egress.write(letters.collect()).await {
            return SinkEnd::Halted(format!(
                "events without a router cannot be written: {closed}"
            ));
        }
        let tickets = arrivals.iter().map(|arrival| arrival.ticket);
        ingress.ledger.settle(tickets);
    }
    SinkEnd::Done
}

fn letter(ingress: &Source, event: &Event) -> Record {
    DeadLetter {
        event,
        ingress: &ingress.id,
        sink: None,
        endpoint: None,
        cause: CauseKind::Unrouted,
        message: "no router takes it",
        given_up: SystemTime::now(),
        attempts: 0,
        first_attempt: None,
        last_attempt: None,
        last_response: None,
    }
    .to_record()
}
