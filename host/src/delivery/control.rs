//! What a sink is told while it runs: to pause, to deliver what it has and take in no more, to go on.
//!
//! # Invariants
//! - When [`Control::set`] has returned, the engine acts by it: behind a pause no call begins. Between two incarnations of a
//!   sink, that is at once.
//! - The time of a pause is not held against the events that wait.
//! - One incarnation of a sink hands its end of the control to the next: what is told between the two is not lost.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// What a sink does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It takes in events and delivers them.
    #[default]
    Run,
    /// It calls neither its plugin nor its endpoint; calls in flight end. It takes in what its buffer holds.
    Pause,
    /// It delivers what it has, and takes in no more.
    Drain,
}

/// The sink has ended: nothing can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sink has ended")]
pub struct Ended;

/// Whether another incarnation of the sink goes on with what this one holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Leaving {
    #[default]
    No,
    /// It delivers what it has first.
    Drain,
    /// What is under way comes to its end first: calls, and writes of what they have ended.
    HandOver,
    /// Calls under way come to their end first; of writes it is not waited for.
    CutOff,
}

#[derive(Debug, Clone, Copy, Default)]
struct Told {
    mode: Mode,
    leaving: Leaving,
    /// The host ends: nobody will tell the sink to go on.
    stopping: bool,
    /// Grows with every change.
    number: u64,
}

/// Tells one sink what to do; clones tell the same one.
#[derive(Debug, Clone)]
pub struct Control {
    told: Arc<watch::Sender<Told>>,
    heeded: watch::Receiver<u64>,
    given_up: CancellationToken,
}

/// The end of a [`Control`] that the engine holds. By default nobody tells it anything, and it runs.
#[derive(Debug)]
pub struct Controlled {
    told: watch::Receiver<Told>,
    heeded: watch::Sender<u64>,
    /// As it was looked at last.
    now: Told,
    paused: Paused,
    given_up: CancellationToken,
}

/// How long a sink was paused in all.
#[derive(Debug, Default)]
struct Paused {
    before: Duration,
    since: Option<Instant>,
}

impl Control {
    /// A sink's control, and the end that goes into the sink.
    pub fn new() -> (Self, Controlled) {
        let (told, listener) = watch::channel(Told::default());
        let (acted, heeded) = watch::channel(0);
        let given_up = CancellationToken::new();
        let control = Self {
            told: Arc::new(told),
            heeded,
            given_up: given_up.clone(),
        };
        let controlled = Controlled {
            told: listener,
            heeded: acted,
            now: Told::default(),
            paused: Paused::default(),
            given_up,
        };
        (control, controlled)
    }

    /// What the sink is told to do.
    pub fn mode(&self) -> Mode {
        self.told.borrow().mode
    }

    /// Whether the sink has ended.
    pub fn has_ended(&self) -> bool {
        self.told.is_closed()
    }

    /// What a sink is to do that has not begun yet.
    pub fn tell(&self, mode: Mode) {
        self.told.send_modify(|told| {
            told.mode = mode;
            told.number += 1;
        });
    }

    /// Tells the sink what to do, and waits until it acts by that, or has handed over to the next incarnation, which will.
    /// Gives what it did before.
    ///
    /// # Errors
    /// When the sink has ended.
    ///
    /// # Cancel safety
    /// The sink is told all the same.
    pub async fn set(&self, mode: Mode) -> Result<Mode, Ended> {
        let (mut before, mut number) = (mode, 0);
        self.told.send_modify(|told| {
            before = std::mem::replace(&mut told.mode, mode);
            told.number += 1;
            number = told.number;
        });
        let mut heeded = self.heeded.clone();
        match heeded.wait_for(|heeded| *heeded >= number).await {
            Ok(_) => Ok(before),
            Err(_) => Err(Ended),
        }
    }

    /// Tells the sink to deliver what it has, take in no more, and hand over when it has nothing left.
    pub fn leave(&self) {
        self.tell_leaving(Leaving::Drain);
    }

    /// Tells the sink to begin no call, and to hand over what it holds when those under way have ended.
    pub fn hand_over(&self) {
        self.tell_leaving(Leaving::HandOver);
    }

    /// The same; what waits for an egress that does not take it is handed over, too.
    pub fn cut_off(&self) {
        self.tell_leaving(Leaving::CutOff);
    }

    /// The same; calls under way are given up: what became of them is not known.
    pub fn give_up(&self) {
        self.given_up.cancel();
        self.cut_off();
    }

    /// What the sink was told of leaving holds no more: its next incarnation goes on.
    pub fn stay(&self) {
        self.tell_leaving(Leaving::No);
    }

    fn tell_leaving(&self, leaving: Leaving) {
        self.told.send_modify(|told| {
            told.leaving = leaving;
            told.number += 1;
        });
    }

    /// Says that the host ends: a sink that is paused ends with what it holds unsettled, one that drains takes in the rest.
    pub fn stop(&self) {
        self.told.send_modify(|told| {
            told.stopping = true;
            told.number += 1;
        });
    }
}

impl Controlled {
    /// Takes in what the sink is told; gives what it does now, if that is something else than before.
    pub(super) fn look(&mut self, now: Instant) -> Option<Mode> {
        // An error: whoever could tell it something is gone, and what was said last holds.
        if !self.told.has_changed().unwrap_or(false) {
            return None;
        }
        let before = std::mem::replace(&mut self.now, *self.told.borrow_and_update());
        self.paused.set(self.is_paused(), now);
        Some(self.now.mode).filter(|mode| *mode != before.mode)
    }

    /// The engine acts by what it was told.
    pub(super) fn heed(&self) {
        if *self.heeded.borrow() != self.now.number {
            self.heeded.send_replace(self.now.number);
        }
    }

    /// Ends when there is something to look at; never, if nobody is left to tell it something.
    ///
    /// # Cancel safety
    /// What was told is not forgotten.
    pub(super) async fn changed(&mut self) {
        if self.told.changed().await.is_err() {
            std::future::pending().await
        }
        // It is still to be looked at.
        self.told.mark_changed();
    }

    /// Whether no call begins.
    pub(super) fn is_paused(&self) -> bool {
        self.now.mode == Mode::Pause || self.hands_over()
    }

    /// Whether it ends when nothing is left.
    pub(super) fn leaves(&self) -> bool {
        self.now.leaving != Leaving::No
    }

    /// Whether it ends when nothing is under way.
    pub(super) fn hands_over(&self) -> bool {
        matches!(self.now.leaving, Leaving::HandOver | Leaving::CutOff)
    }

    /// Whether writes are not waited for.
    pub(super) fn is_cut_off(&self) -> bool {
        self.now.leaving == Leaving::CutOff
    }

    /// Cancelled when calls under way are not waited for.
    pub(super) fn given_up(&self) -> CancellationToken {
        self.given_up.clone()
    }

    /// For the next incarnation, which looks at all that was told as if it were new. Until it does, nobody is there who could
    /// begin a call: who tells the sink something need not wait.
    pub(super) fn hand_over(mut self) -> Self {
        self.now = Told::default();
        self.paused = Paused::default();
        self.told.mark_changed();
        self.heeded.send_replace(u64::MAX);
        self
    }

    /// An engine is there from now on, and looks at all that was told before it begins a call.
    pub(super) fn begin(self) -> Self {
        self.heeded.send_replace(0);
        self
    }

    /// Whether nothing more is taken in, though there may be more.
    pub(super) fn is_draining(&self) -> bool {
        (self.now.mode == Mode::Drain || self.leaves()) && !self.now.stopping
    }

    /// Whether it is paused, and nobody will tell it to go on.
    pub(super) fn is_over(&self) -> bool {
        self.is_paused() && self.now.stopping
    }

    /// Time in which the sink was paused, up to `now`.
    pub(super) fn paused(&self, now: Instant) -> Duration {
        let current = self.paused.since.map(|since| now - since);
        self.paused.before + current.unwrap_or_default()
    }
}

impl Default for Controlled {
    fn default() -> Self {
        Control::new().1
    }
}

impl Paused {
    fn set(&mut self, paused: bool, now: Instant) {
        match (self.since, paused) {
            (None, true) => self.since = Some(now),
            (Some(since), false) => {
                self.before += now - since;
                self.since = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn between_two_incarnations_nobody_waits_and_the_next_one_acts_by_what_was_told() {
        let (control, controlled) = Control::new();
        let set = async |mode| tokio::time::timeout(HOUR, control.set(mode)).await.ok();
        let with_the_first = set(Mode::Drain).await;
        let handed_over = controlled.begin().hand_over();

        let between = set(Mode::Pause).await;
        let mut next = handed_over.begin();
        let told = next.look(Instant::now());
        let may_call = !next.is_paused();
        let unheeded = set(Mode::Run).await;
        let heeds = async {
            next.look(Instant::now());
            next.heed();
        };
        let (heeded, ()) = tokio::join!(set(Mode::Drain), heeds);

        assert_eq!(with_the_first, None, "it has not looked");
        assert_eq!(between, Some(Ok(Mode::Drain)));
        assert_eq!((told, may_call), (Some(Mode::Pause), false));
        assert_eq!((unheeded, heeded), (None, Some(Ok(Mode::Run))));
    }
}
