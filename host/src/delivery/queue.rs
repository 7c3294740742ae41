//! The queue in front of a sink, with a place for each that leads to it.
//!
//! A place is taken before anything is read, and is free again when the sink has taken what was put there: so one that waits
//! for its source keeps nobody else from theirs, and what stands outside the sink's buffer is bounded by those that lead to it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::event::Arrival;

/// What makes places. The queue ends when it and all feeders are gone, and all that was put there is taken.
#[derive(Debug, Clone)]
pub struct Queue(mpsc::UnboundedSender<Chunk>);

/// A queue that does not live for this one's sake.
#[derive(Debug)]
pub struct WeakQueue(mpsc::WeakUnboundedSender<Chunk>);

/// One that leads to the sink: it has one place.
#[derive(Debug)]
pub struct Feeder {
    queue: mpsc::UnboundedSender<Chunk>,
    place: Arc<Semaphore>,
}

/// A feeder's place, which is its own until the sink has taken what is put there.
#[derive(Debug)]
pub struct Place {
    queue: mpsc::UnboundedSender<Chunk>,
    held: OwnedSemaphorePermit,
}

/// The sink's end.
#[derive(Debug)]
pub struct Intake(mpsc::UnboundedReceiver<Chunk>);

#[derive(Debug)]
struct Chunk {
    arrivals: Vec<Arrival>,
    /// Free when the sink takes the events, or will take no more.
    place: OwnedSemaphorePermit,
}

impl Queue {
    /// A queue, and the sink's end of it.
    #[expect(clippy::disallowed_methods, reason = "its places bound it")]
    pub fn open() -> (Self, Intake) {
        let (queue, intake) = mpsc::unbounded_channel();
        (Self(queue), Intake(intake))
    }

    /// One more that leads to the sink.
    pub fn feeder(&self) -> Feeder {
        Feeder {
            queue: self.0.clone(),
            place: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether the sink takes nothing any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The same queue, which may end meanwhile.
    pub fn downgrade(&self) -> WeakQueue {
        WeakQueue(self.0.downgrade())
    }
}

impl WeakQueue {
    /// The queue, if somebody leads to the sink still.
    pub fn upgrade(&self) -> Option<Queue> {
        self.0.upgrade().map(Queue)
    }
}

impl Feeder {
    /// Its place, when the sink has taken what was put there before; none if the sink takes nothing any more.
    pub async fn place(&self) -> Option<Place> {
        let held = Arc::clone(&self.place).acquire_owned().await.ok()?;
        let place = Place {
            queue: self.queue.clone(),
            held,
        };
        (!self.queue.is_closed()).then_some(place)
    }

    /// Ends when the sink takes nothing any more.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl Place {
    /// Puts events there. They are gone if the sink takes nothing any more: nobody has settled them.
    pub fn put(self, arrivals: Vec<Arrival>) {
        let place = self.held;
        drop(self.queue.send(Chunk { arrivals, place }));
    }
}

impl Intake {
    /// What was put in next; none when nobody leads to the sink any more.
    pub async fn take(&mut self) -> Option<Vec<Arrival>> {
        self.0.recv().await.map(Chunk::into_arrivals)
    }

    /// What is there now.
    pub fn take_now(&mut self) -> Option<Vec<Arrival>> {
        self.0.try_recv().ok().map(Chunk::into_arrivals)
    }
}

impl Chunk {
    fn into_arrivals(self) -> Vec<Arrival> {
        drop(self.place);
        self.arrivals
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What it comes to without waiting; none if it waits.
    async fn now<F: Future>(wait: F) -> Option<F::Output> {
        tokio::time::timeout(Duration::ZERO, wait).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_when_the_sink_has_taken_what_was_put_there() {
        let (queue, mut intake) = Queue::open();
        let feeder = queue.feeder();
        let place = feeder.place().await.expect("it is open");
        let while_held = now(feeder.place()).await;
        place.put(Vec::new());
        let while_full = now(feeder.place()).await;

        let taken = intake.take_now();

        assert!(while_held.is_none() && while_full.is_none());
        assert!(taken.is_some() && feeder.place().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_its_place_keeps_nobody_else_from_theirs_even_if_they_come_later() {
        let (queue, mut intake) = Queue::open();
        let waits = queue.feeder();
        let held = waits.place().await;
        let later = queue.feeder();

        let place = now(later.place()).await.flatten();
        place.expect("its own").put(Vec::new());

        assert!(intake.take_now().is_some() && held.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_feeder_hears_of_a_sink_that_takes_nothing_any_more() {
        let (queue, intake) = Queue::open();
        let feeder = queue.feeder();
        let place = feeder.place().await.expect("it is open");
        place.put(Vec::new());
        let mut waits = std::pin::pin!(feeder.place());
        let before = now(&mut waits).await;

        drop(intake);

        assert!(before.is_none());
        assert!(waits.await.is_none() && queue.is_closed());
        feeder.closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_leads_to_the_sink_and_all_is_taken() {
        let (queue, mut intake) = Queue::open();
        let (weak, feeder) = (queue.downgrade(), queue.feeder());
        drop(queue);
        let place = feeder.place().await.expect("it is open");
        drop(feeder);
        let held = weak.upgrade();
        place.put(Vec::new());
        drop(held);

        assert!(weak.upgrade().is_none());
        assert!(intake.take().await.is_some());
        assert!(intake.take().await.is_none());
    }
}
