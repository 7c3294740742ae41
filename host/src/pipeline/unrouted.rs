//! Writes the events that no router takes to an egress, each as a dead letter.

use std::time::SystemTime;

use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

use super::reload::WRITES;
use crate::{
    dead_letter::{CauseKind, DeadLetter},
    delivery::{Intake, SinkEnd, Source},
    egress::{EgressClosed, EgressHandle},
    event::{Arrival, Event, Record},
};

/// Writes what comes of one ingress; an event is settled when its letter is durable.
pub(super) struct Writer {
    pub(super) ingress: Source,
    pub(super) egress: EgressHandle,
    pub(super) intake: Intake,
    /// Cancelled when the egress goes, by somebody who sees to what it has not taken.
    pub(super) let_go: CancellationToken,
}

impl Writer {
    /// Writes what is `held`, and what comes until its queue is closed. If its egress goes, what that has not taken is in `leave`.
    pub(super) async fn run(
        mut self,
        held: Vec<Arrival>,
        leave: oneshot::Sender<Vec<Arrival>>,
    ) -> SinkEnd {
        let mut arrivals = held;
        loop {
            let written = tokio::select! {
                biased;
                written = self.write(&arrivals) => written,
                () = self.is_let_go() => Err(EgressClosed),
            };
            if let Err(closed) = written {
                if !self.let_go.is_cancelled() {
                    return SinkEnd::Halted(format!(
                        "events without a router cannot be written: {closed}"
                    ));
                }
                while let Some(more) = self.intake.take().await {
                    arrivals.extend(more);
                }
                // Nobody to take it: the host ends, and they are unsettled.
                drop(leave.send(arrivals));
                return SinkEnd::Done;
            }
            match self.intake.take().await {
                Some(more) => arrivals = more,
                None => return SinkEnd::Done,
            }
        }
    }

    /// Its egress goes, and has had the time for a write.
    async fn is_let_go(&self) {
        self.let_go.cancelled().await;
        sleep(WRITES).await;
    }

    async fn write(&self, arrivals: &[Arrival]) -> Result<(), EgressClosed> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let letters = arrivals
            .iter()
            .map(|arrival| letter(&self.ingress, &arrival.event));
        self.egress.write(letters.collect()).await?;
        let tickets = arrivals.iter().map(|arrival| arrival.ticket);
        self.ingress.ledger.settle(tickets);
        Ok(())
    }
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
