//! What is heard while a reload is applied: a stop, a task that fails, progress that another host has taken over.

use std::pin::{Pin, pin};

use tokio::{task::JoinError, time::sleep};
use tracing::info;

use super::{Hurry, WRITES, prepare::Prepared};
use crate::{
    admin::Reloaded,
    pipeline::{Progress, Running, StartError},
    progress::store::StoreError,
};

/// How the change of what runs came to its end.
#[derive(Debug)]
pub(in crate::pipeline) enum Applied {
    /// By itself.
    Done(Result<Reloaded, StartError>),
    /// Nobody stores progress any more: it was broken off.
    TakenOver(Result<Result<(), StoreError>, JoinError>),
    /// The host waits no more: it was broken off.
    TooLate,
}

impl Running {
    /// Makes of what runs what was prepared, and hears meanwhile what the host must hear. `patience` is not to be waited for
    /// again if the host [waits no more](Hurry::is_over) then.
    pub(in crate::pipeline) async fn apply_heeding(
        &mut self,
        prepared: Prepared,
        progress: &mut Progress,
        mut patience: Pin<&mut impl Future<Output = ()>>,
        hurry: &Hurry,
    ) -> Applied {
        let (intake, failed) = (self.intake.clone(), self.failed.clone());
        let mut applying = pin!(self.apply(prepared, hurry));
        let mut too_late = pin!(async {
            hurry.is_over.cancelled().await;
            sleep(WRITES).await;
        });
        loop {
            tokio::select! {
                biased;
                joined = &mut *progress => return Applied::TakenOver(joined),
                applied = &mut applying => return Applied::Done(applied),
                // The loop hears why when this is done.
                () = failed.cancelled(), if !hurry.stops.is_cancelled() => hurry.stops.cancel(),
                () = hurry.stops.cancelled(), if !intake.is_cancelled() => {
                    info!("stopping: the reload that is under way comes to its end first");
                    intake.cancel();
                }
                () = patience.as_mut(), if !hurry.is_over.is_cancelled() => hurry.is_over.cancel(),
                () = &mut too_late => return Applied::TooLate,
            }
        }
    }
}
