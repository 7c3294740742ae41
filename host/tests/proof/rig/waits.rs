//! Waiting for what must come, each wait with an end.

use std::{sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Ended, Oracle, Violation};

use super::{Rig, Start};
use crate::{module::Source, world::Mood};

/// Between two looks at files or at a process, and how often is looked before a proof is stuck.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
pub(crate) const LOOKS: usize = 6_000;

impl Rig {
    /// Waits until so many faults of the operating system were met.
    pub(crate) async fn met(&self, count: i64) {
        for _ in 0..LOOKS {
            if self.faults.fired() >= count {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let what = format!("only {} faults were met", self.faults.fired());
        self.oracles[0].violated(Violation::Stuck(what));
    }

    /// The end of an incarnation that was told to stop.
    pub(crate) fn stopped_well(&mut self, child: Child) -> Ended {
        let ended = child.finish();
        self.collect();
        self.expect_code(&ended, 0);
        ended
    }

    /// Waits until every sink has sent so many more records for the first time; false where the host has ended before.
    pub(crate) async fn came(&self, count: u64, child: &mut Child) -> bool {
        self.sent_more(&self.oracles, count, child).await
    }

    /// The same, of all sinks but the first.
    pub(crate) async fn others_came(&self, count: u64, child: &mut Child) -> bool {
        self.sent_more(&self.oracles[1..], count, child).await
    }

    async fn sent_more(&self, oracles: &[Arc<Oracle>], count: u64, child: &mut Child) -> bool {
        let goals: Vec<u64> = oracles
            .iter()
            .map(|oracle| (oracle.sent_once() + count).min(self.issued))
            .collect();
        for _ in 0..LOOKS {
            if child.has_ended() {
                return false;
            }
            let mut behind = oracles.iter().zip(&goals);
            match behind.find(|(oracle, goal)| oracle.sent_once() < **goal) {
                None => return true,
                Some((oracle, _)) => oracle.changed(LOOK).await,
            }
        }
        let what = format!("not every sink has sent {count} more records");
        self.oracles[0].violated(Violation::Stuck(what));
        true
    }

    /// The endpoints are calm: one more incarnation brings everything to its end, a fresh record too.
    pub(crate) async fn bring_to_an_end(&mut self) {
        self.set(&Mood::Calm);
        self.issue(1);
        let child = self.start(&Start::default());
        self.run_out(child).await;
    }

    /// Waits until this incarnation has brought everything to its end, and has ended well.
    pub(crate) async fn run_out(&mut self, mut child: Child) {
        if self.setup.source == Source::Kinesis {
            // A stream has no end: all that is there is waited for, then the host is stopped.
            let stuck = |rig: &mut Self| {
                rig.collect();
                let behind = rig
                    .oracles
                    .iter()
                    .find(|oracle| oracle.ended() < rig.issued);
                behind.map(|oracle| (Arc::clone(oracle), oracle.ended()))
            };
            let mut looks = LOOKS;
            while let Some((behind, ended)) = stuck(self) {
                if looks == 0 || child.has_ended() {
                    let what = format!("{ended} of {} records have an end", self.issued);
                    behind.violated(Violation::Stuck(what));
                    break;
                }
                looks -= 1;
                behind.changed(LOOK).await;
            }
            child.signal(Signal::SIGTERM);
        }
        self.until_ended(&mut child).await;
        let ended = child.finish();
        self.collect();
        self.expect_code(&ended, 0);
    }

    /// Waits for the host's end, for as long as records move.
    async fn until_ended(&self, child: &mut Child) {
        let mut last = 0;
        let mut idle = 0;
        while idle < LOOKS && !child.has_ended() {
            tokio::time::sleep(LOOK).await;
            let calls = self.oracles.iter().map(|oracle| oracle.calls()).sum();
            idle = if calls == last { idle + 1 } else { 0 };
            last = calls;
        }
    }
}
