//! The task that owns an egress: it gathers what waits, writes it once, and tells everybody.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{Egress, EgressError, WriteRequest};
use crate::{causes::explain, event::Record, metrics::EgressStats};

/// Records in one write, about: what waits beyond is in the next.
const MAX_RECORDS: usize = 10_000;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Serves `queue` until every handle is gone, or `stop`. A write that fails is tried again for as long
/// as it takes: whoever waits for it holds its events, and nothing is dropped.
pub async fn run(
    id: String,
    mut egress: impl Egress,
    mut queue: mpsc::Receiver<WriteRequest>,
    stop: CancellationToken,
    stats: Arc<EgressStats>,
) {
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = queue.recv() => next,
        };
        let Some(first) = next else { return };
        let (mut records, mut waiting) = (first.records, vec![first.done]);
        while records.len() < MAX_RECORDS
            && let Ok(next) = queue.try_recv()
        {
            records.extend(next.records);
            waiting.push(next.done);
        }
        let is_written = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            is_written = write(&id, &mut egress, &records, &stats) => is_written,
        };
        if !is_written {
            return;
        }
        for done in waiting {
            // Whoever waited may be gone: the record is written all the same.
            if done.send(()).is_err() {
                continue;
            }
        }
    }
}

/// Whether they are written: only what can never be written again is given up.
async fn write(
    id: &str,
    egress: &mut impl Egress,
    records: &[Record],
    stats: &EgressStats,
) -> bool {
    let mut pause = FIRST_PAUSE;
    let mut failed = false;
    let mut started = Instant::now();
    while let Err(problem) = egress.write(records).await {
        stats.failed_writes.add(1);
        stats.failing.set(1);
        if let EgressError::NobodyReads = problem {
            error!(egress = %id, %problem, "an egress cannot be written any more");
            return false;
        }
        if !failed {
            let problem = explain(&problem);
            error!(egress = %id, problem, "an egress cannot be written; its events are held until it can");
            failed = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        started = Instant::now();
    }
    stats.write_time.record(started.elapsed());
    stats.writes.add(1);
    stats.records.add(records.len());
    stats
        .bytes
        .add(records.iter().map(|record| record.data.len()).sum());
    stats.failing.set(0);
    if failed {
        info!(egress = %id, "the egress is written again");
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::egress::EgressHandle;
    use bytes::Bytes;

    /// Fails the first `failures` writes.
    struct Failing {
        failures: usize,
        written: std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
    }

    impl Egress for Failing {
        async fn write(&mut self, records: &[Record]) -> Result<(), EgressError> {
            if self.failures > 0 {
                self.failures -= 1;
                let source = io::ErrorKind::StorageFull.into();
                return Err(EgressError::Io {
                    action: "sync",
                    path: "x".to_owned(),
                    source,
                });
            }
            let mut written = self.written.lock().expect("no panic");
            written.extend(records.iter().map(|record| record.data.to_vec()));
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_fails_is_tried_until_it_succeeds() {
        let written = std::sync::Arc::default();
        let egress = Failing {
            failures: 20,
            written: std::sync::Arc::clone(&written),
        };
        let (handle, queue) = EgressHandle::channel(4);
        let stats = Arc::new(EgressStats::default());
        let task = tokio::spawn(run(
            "t/out".to_owned(),
            egress,
            queue,
            CancellationToken::new(),
            Arc::clone(&stats),
        ));
        let started = Instant::now();

        let record = Record {
            key: None,
            attributes: Vec::new(),
            data: Bytes::from_static(b"x"),
        };
        let accepted = handle.write(vec![record]).await;

        assert_eq!(accepted, Ok(()));
        assert_eq!(*written.lock().expect("no panic"), [b"x"]);
        assert!(
            started.elapsed() > Duration::from_secs(100),
            "it must back off"
        );
        assert_eq!((stats.failed_writes.get(), stats.failing.get()), (20, 0));
        assert_eq!((stats.records.get(), stats.write_time.count()), (1, 1));
        drop(handle);
        task.await.expect("ends with its last handle");
    }
}
