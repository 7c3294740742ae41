//! Hands the dead letters of one sink to another, as events, and waits until that one has settled them.
//!
//! # Invariants
//! - A letter counts as written when the other sink has settled its event, not before.
//! - Sinks that hand letters to each other form no circle (`config` sees to that): the last of a chain waits for
//!   nobody, so that all of them come to an end.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    dead_letter::Letter,
    delivery::Feeder,
    egress::WriteRequest,
    event::{Arrival, Position, Record, Ticket},
    progress::Ledger,
};

/// Events and bytes in one hand-over, as an ingress reads them: it is what stands outside the other sink's buffer.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 512 * 1024;

/// Letters that are with the other sink at a time, about: what waits beyond comes next.
const MAX_LETTERS: usize = 10_000;

/// The way from one sink to another.
#[derive(Debug)]
pub(super) struct Relay {
    /// Its place among the sources of the other sink.
    pub(super) source: u16,
    /// What of it the other sink has settled.
    pub(super) ledger: Arc<Ledger>,
    /// The other sink's queue.
    pub(super) to: Feeder,
}

/// The other sink has halted: what it has not settled comes again from stored progress.
struct Halted;

/// Serves `queue` until every handle is gone, or the other sink has halted: then whoever waits hears of it.
pub(super) async fn run(relay: Relay, mut queue: mpsc::Receiver<WriteRequest>) {
    let mut handed = 0;
    while let Some(first) = queue.recv().await {
        let (mut records, mut waiting) = (first.records, vec![first.done]);
        while records.len() < MAX_LETTERS
            && let Ok(next) = queue.try_recv()
        {
            records.extend(next.records);
            waiting.push(next.done);
        }
        let delivered = async {
            relay.hand_over(records, &mut handed).await?;
            relay.settled().await
        };
        if delivered.await.is_err() {
            return;
        }
        for done in waiting {
            // Whoever waited may be gone: the letter is settled all the same.
            if done.send(()).is_err() {
                continue;
            }
        }
    }
}

impl Relay {
    async fn hand_over(&self, records: Vec<Record>, handed: &mut u64) -> Result<(), Halted> {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            // The other sink's buffer is full: this one waits, and holds its events.
            let place = self.to.place().await.ok_or(Halted)?;
            let (mut arrivals, mut bytes) = (Vec::new(), 0);
            while arrivals.len() < CHUNK
                && bytes < CHUNK_BYTES
                && let Some(record) = records.next()
            {
                bytes += record.data.len();
                arrivals.push(self.arrival(&record, handed));
            }
            place.put(arrivals);
        }
        Ok(())
    }

    fn arrival(&self, record: &Record, handed: &mut u64) -> Arrival {
        let letter = Letter::parse(&record.data).expect("sinks write dead letters of this schema");
        *handed += 1;
        let position = std::iter::once((0, Position::Count(*handed)));
        let ordinal = self.ledger.begin(position, 1).first().copied();
        Arrival {
            event: Arc::new(letter.into_event()),
            ticket: Ticket {
                ingress: self.source,
                partition: 0,
                ordinal: ordinal.unwrap_or_default(),
            },
        }
    }

    async fn settled(&self) -> Result<(), Halted> {
        while self.ledger.held(1).contains(&true) {
            tokio::select! {
                biased;
                () = self.ledger.settling() => {}
                // It ends in order only when this queue does.
                () = self.to.closed() => return Err(Halted),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;

    use super::*;
    use crate::{
        dead_letter::{CauseKind, DeadLetter},
        delivery::{Intake, Queue},
        egress::{EgressClosed, EgressHandle},
        event::Event,
    };

    fn letter(number: usize) -> Record {
        let event = Event {
            id: format!("t/in/a:{number}").into(),
            key: Some("k".into()),
            timestamp_ms: 7,
            attributes: vec![("nozzle.cause".into(), "of-a-sink-before".into())],
            data: Bytes::from_static(b"\xff"),
        };
        DeadLetter {
            event: &event,
            ingress: "t/in",
            sink: Some("t/first"),
            endpoint: Some("eu"),
            cause: CauseKind::Status,
            message: "it said 400",
            given_up: SystemTime::UNIX_EPOCH,
            attempts: 2,
            first_attempt: None,
            last_attempt: None,
            last_response: None,
        }
        .to_record()
    }

    type Parts = (
        EgressHandle,
        Intake,
        Arc<Ledger>,
        tokio::task::JoinHandle<()>,
    );

    fn relay() -> Parts {
        let (to, intake) = Queue::open();
        let (handle, queue) = EgressHandle::channel(4);
        let ledger = Arc::new(Ledger::default());
        let relay = Relay {
            source: 3,
            ledger: Arc::clone(&ledger),
            to: to.feeder(),
        };
        (handle, intake, ledger, tokio::spawn(run(relay, queue)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_letter_is_written_when_the_other_sink_has_settled_its_event() {
        let (handle, mut intake, ledger, task) = relay();
        let letters = (0..CHUNK + 1).map(letter).collect();
        let mut write = tokio::spawn(async move { handle.write(letters).await });

        let chunk = intake.take().await.expect("a chunk");
        let rest = intake.take().await.expect("the rest");
        let mut tickets: Vec<Ticket> = chunk
            .iter()
            .chain(&rest)
            .map(|arrival| arrival.ticket)
            .collect();
        let last = tickets.pop().expect("they are many");
        ledger.settle(tickets.into_iter());
        let early = tokio::time::timeout(Duration::from_secs(3600), &mut write).await;
        ledger.settle(std::iter::once(last));

        assert!(early.is_err(), "one is not settled");
        assert_eq!(write.await.expect("no panic"), Ok(()));
        assert_eq!((chunk.len(), rest.len(), last.ingress), (CHUNK, 1, 3));
        task.await.expect("it ends with its last handle");
        let event = &chunk[0].event;
        assert_eq!(
            (&*event.id, event.key.as_deref(), event.timestamp_ms),
            ("t/in/a:0", Some("k"), 7)
        );
        assert_eq!(event.data, Bytes::from_static(b"\xff"));
        let attributes: Vec<String> = event
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            attributes,
            [
                "nozzle.sink=t/first",
                "nozzle.endpoint=eu",
                "nozzle.cause=status",
                "nozzle.message=it said 400",
                "nozzle.attempts=2"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_other_sink_halts_nothing_is_taken_for_written() {
        let (handle, mut intake, _ledger, _task) = relay();
        let write = tokio::spawn(async move { handle.write(vec![letter(1)]).await });

        let taken = intake.take().await;
        drop(intake);

        assert_eq!(taken.map(|chunk| chunk.len()), Some(1));
        assert_eq!(write.await.expect("no panic"), Err(EgressClosed));
    }
}
