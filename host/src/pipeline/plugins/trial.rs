//! Versions that are tried beside the one that serves.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{
    SinkPlugin,
    canary::{Decision, decide},
};
use crate::{
    metrics::SwapResult,
    plugin::{
        self, Binary, Canary, Compared, Counts, Generation, LoadedPlugin, Plugin, TrialStatus,
        differences,
    },
};

/// A version that is tried.
#[derive(Debug)]
pub(super) struct Trial {
    generation: Arc<Generation<LoadedPlugin>>,
    binary: Binary,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Canary {
        canary: Canary,
        /// What the serving version had counted when the trial began.
        before: Counts,
    },
    Shadow {
        batches: u64,
        differing: u64,
        example: Option<String>,
        queue: mpsc::Sender<Compared>,
        /// Until the plugin's task takes it.
        intake: Option<mpsc::Receiver<Compared>>,
    },
}

impl Trial {
    pub(super) fn canary(
        generation: Arc<Generation<LoadedPlugin>>,
        binary: Binary,
        canary: Canary,
        before: Counts,
    ) -> Self {
        Self {
            generation,
            binary,
            kind: Kind::Canary { canary, before },
        }
    }

    pub(super) fn shadow(
        generation: Arc<Generation<LoadedPlugin>>,
        binary: Binary,
        batches: u64,
    ) -> Self {
        // One: a version that is slower than the other is given fewer batches, and holds up none.
        let (queue, intake) = mpsc::channel(1);
        Self {
            generation,
            binary,
            kind: Kind::Shadow {
                batches,
                differing: 0,
                example: None,
                queue,
                intake: Some(intake),
            },
        }
    }

    pub(super) fn status(&self) -> TrialStatus {
        let (kind, wanted, differing) = match &self.kind {
            Kind::Canary { canary, .. } => ("canary", canary.batches, None),
            Kind::Shadow {
                batches, differing, ..
            } => ("shadow", *batches, Some(*differing)),
        };
        TrialStatus {
            generation: self.generation.number,
            digest: self.binary.hex_digest(),
            kind: kind.to_owned(),
            batches: self.generation.tally.counts().batches,
            wanted,
            differing,
        }
    }
}

impl SinkPlugin {
    pub(super) fn begin_trial(&self, trial: Trial) {
        let tried = match &trial.kind {
            Kind::Canary { canary, .. } => {
                plugin::Trial::Canary(Arc::clone(&trial.generation), canary.share)
            }
            Kind::Shadow { queue, .. } => plugin::Trial::Shadow(queue.clone()),
        };
        let mut state = self.lock();
        state.verdict = None;
        state.trial = Some(trial);
        self.slot.try_out(Some(tried));
        drop(state);
        self.changed.notify_one();
    }

    /// Ends a trial without a decision; false if there is none.
    pub(super) fn end_trial(&self, why: &str) -> bool {
        self.slot.try_out(None);
        let mut state = self.lock();
        let Some(trial) = state.trial.take() else {
            return false;
        };
        state.verdict = Some(format!("generation {}: {why}", trial.generation.number));
        true
    }

    /// Whether a canary is given batches.
    pub(super) fn has_canary(&self) -> bool {
        let state = self.lock();
        let kind = state.trial.as_ref().map(|trial| &trial.kind);
        matches!(kind, Some(Kind::Canary { .. }))
    }

    /// Where the batches to compare come from, once for each trial.
    pub(super) fn take_intake(&self) -> Option<mpsc::Receiver<Compared>> {
        match &mut self.lock().trial.as_mut()?.kind {
            Kind::Shadow { intake, .. } => intake.take(),
            Kind::Canary { .. } => None,
        }
    }

    /// Decides on a canary, if there is one.
    pub(super) async fn look_at_canary(&self) {
        let (decision, generation, binary) = {
            let state = self.lock();
            let Some(Trial {
                generation,
                binary,
                kind: Kind::Canary { canary, before },
            }) = &state.trial
            else {
                return;
            };
            let serving = self.slot.main().tally.counts().since(*before);
            let decision = decide(serving, generation.tally.counts(), canary);
            (decision, Arc::clone(generation), binary.clone())
        };
        let number = generation.number;
        match decision {
            Decision::Wait => {}
            Decision::Promote => {
                // A swap that is under way decides what serves.
                let Ok(_loading) = self.loading.try_lock() else {
                    return;
                };
                // One that has ended since has ended the trial, too.
                if !self.tries(&generation) {
                    return;
                }
                match self.serve(generation, &binary, None).await {
                    Ok(()) => {
                        info!(sink = %self.sink, generation = number, "the canary has done well: it serves");
                        self.end_trial("it has done well, and serves");
                    }
                    Err(error) => {
                        warn!(sink = %self.sink, generation = number, %error, "the canary has done well, and cannot serve");
                        self.end_trial(&error.to_string());
                    }
                }
            }
            Decision::RollBack(why) => {
                self.stats.swaps.count(SwapResult::RolledBack);
                warn!(sink = %self.sink, generation = number, %why, "the canary is rolled back");
                self.end_trial(&format!("rolled back: {why}"));
            }
        }
    }

    /// Whether this version is being tried.
    fn tries(&self, generation: &Arc<Generation<LoadedPlugin>>) -> bool {
        let state = self.lock();
        let tried = state.trial.as_ref().map(|trial| &trial.generation);
        tried.is_some_and(|tried| Arc::ptr_eq(tried, generation))
    }

    /// Shapes a batch again, by the version that is compared.
    pub(super) async fn compare(&self, compared: Compared) {
        let generation = match &self.lock().trial {
            Some(Trial {
                generation,
                kind: Kind::Shadow { .. },
                ..
            }) => Arc::clone(generation),
            _ => return,
        };
        let answer = generation.plugin.shape(&compared.events).await;
        let found = match answer {
            Ok(shaped) => differences(&compared.shaped, &shaped),
            Err(error) => vec![error.to_string()],
        };
        generation.tally.count(|counts| counts.batches += 1);
        let verdict = {
            let mut state = self.lock();
            // Another trial may have begun meanwhile.
            let Some(Trial {
                kind:
                    Kind::Shadow {
                        batches,
                        differing,
                        example,
                        ..
                    },
                ..
            }) = state
                .trial
                .as_mut()
                .filter(|trial| Arc::ptr_eq(&trial.generation, &generation))
            else {
                return;
            };
            if !found.is_empty() {
                *differing += 1;
                example.get_or_insert_with(|| found.join("; "));
            }
            let shaped = generation.tally.counts().batches;
            if shaped < *batches {
                return;
            }
            let example = example.as_deref().unwrap_or("none differs");
            format!("compared over {shaped} batches: {differing} differ; first: {example}")
        };
        info!(sink = %self.sink, generation = generation.number, %verdict, "the version was compared, and does not serve");
        self.end_trial(&verdict);
    }
}
