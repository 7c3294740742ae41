//! Opens the egresses of a module, and owns the tasks that write to them.
//!
//! # Invariants
//! - What is written to has one writer: another one begins when the one before has ended.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::{
    admin::EgressView,
    config::{EgressConfig, EgressKind},
    egress::{
        self, AnyEgress, EgressHandle, WeakEgressHandle, WriteRequest, file::FileEgress,
        kinesis::KinesisEgress, stdout::StdoutEgress,
    },
    metrics::EgressStats,
};

/// Requests that may wait in front of an egress: one for each sink's results and dead letters
/// that is being written, and as many that wait.
const EGRESS_QUEUE: usize = 16;

/// How often it is looked whether a task has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What writers are found by: what is written, not who writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// An egress of the module, by its id.
    Egress(String),
    /// A file in the state directory.
    File(String),
    /// From one sink to another.
    Relay(String, String),
}

pub(super) async fn open_egress(config: &EgressConfig) -> Result<AnyEgress, StartError> {
    let id = config.id.to_string();
    let egress = match &config.kind {
        EgressKind::File(settings) => FileEgress::open(settings.clone())
            .await
            .map(AnyEgress::File),
        EgressKind::Kinesis(settings) => Box::pin(KinesisEgress::open(id.clone(), settings))
            .await
            .map(|kinesis| AnyEgress::Kinesis(Box::new(kinesis))),
        EgressKind::Stdout => Ok(AnyEgress::Stdout(StdoutEgress::default())),
    };
    egress.map_err(|source| StartError::Egress { egress: id, source })
}

/// The tasks that own the egresses.
#[derive(Debug, Default)]
pub(super) struct Writers {
    tasks: JoinSet<()>,
    known: Vec<Writer>,
    stop: CancellationToken,
}

/// One of them; it ends with its last handle, which is not here.
#[derive(Debug)]
struct Writer {
    key: Key,
    handle: WeakEgressHandle,
    task: AbortHandle,
    /// Ends it even if a write keeps failing.
    stop: CancellationToken,
    /// None for what only passes records on.
    view: Option<EgressView>,
}

/// How long it is waited for a writer of which nobody has a handle; by default not at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    pub(super) patience: Duration,
    /// Cancelled when the host waits no more.
    pub(super) is_over: CancellationToken,
}

impl Writers {
    /// Tasks that nobody looks for.
    #[cfg(test)]
    pub(super) fn of(tasks: JoinSet<()>, stop: CancellationToken) -> Self {
        Self {
            tasks,
            known: Vec::new(),
            stop,
        }
    }

    /// Writes to what `open` opens when the writer before has ended, if there was one.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) async fn open(
        &mut self,
        key: Key,
        id: String,
        waits: &Waits,
        open: impl Future<Output = Result<AnyEgress, StartError>>,
    ) -> Result<EgressHandle, StartError> {
        self.ended(&key, waits).await;
        let egress = open.await?;
        Ok(self.spawn(key, id, egress))
    }

    /// Writes to an egress that is called `id` in logs and metrics, and that nobody else writes to.
    pub(super) fn spawn(&mut self, key: Key, id: String, egress: AnyEgress) -> EgressHandle {
        let (handle, queue) = EgressHandle::channel(EGRESS_QUEUE);
        let handle = handle.limited(egress.max_record());
        // The numbers of the writer before go on.
        let known = self.known.iter().find(|known| known.key == key);
        let before = known.and_then(|known| known.view.as_ref());
        let stats: Arc<EgressStats> =
            before.map_or_else(Arc::default, |view| Arc::clone(&view.stats));
        stats.failing.set(0);
        let view = EgressView {
            id: id.as_str().into(),
            stats: Arc::clone(&stats),
        };
        let stop = self.stop.child_token();
        let task = egress::task::run(id, egress, queue, stop.clone(), stats);
        self.known(key, &handle, Some(view), stop, task);
        handle
    }

    /// Lets a task pass on what is written.
    pub(super) fn relay<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        key: Key,
        task: impl FnOnce(tokio::sync::mpsc::Receiver<WriteRequest>) -> F,
    ) -> EgressHandle {
        let (handle, queue) = EgressHandle::channel(EGRESS_QUEUE);
        let stop = self.stop.child_token();
        self.known(key, &handle, None, stop, task(queue));
        handle
    }

    fn known(
        &mut self,
        key: Key,
        handle: &EgressHandle,
        view: Option<EgressView>,
        stop: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        // Those that have ended would be kept until the host ends: each reload may end some.
        while self.tasks.try_join_next().is_some() {}
        let writer = Writer {
            handle: handle.downgrade(),
            task: self.tasks.spawn(task),
            stop,
            view,
            key,
        };
        match self.known.iter_mut().find(|known| known.key == writer.key) {
            Some(known) => *known = writer,
            None => self.known.push(writer),
        }
    }

    /// A handle of what is written to already. None does not say that its writer has ended: it may be writing its last.
    pub(super) fn find(&self, key: &Key) -> Option<EgressHandle> {
        let known = self.known.iter().find(|known| known.key == *key)?;
        known.handle.upgrade()
    }

    /// A handle of each that is written to, for as long as they are to be kept.
    pub(super) fn hold(&self, keep: impl Fn(&Key) -> bool) -> Vec<EgressHandle> {
        let known = self.known.iter().filter(|known| keep(&known.key));
        known.filter_map(|known| known.handle.upgrade()).collect()
    }

    /// Waits until a task has ended of which nobody has a handle, so that what it writes to can be opened again. One that
    /// cannot write is ended when it was waited for long enough: whoever waits for it holds what it has not written.
    pub(super) async fn ended(&self, key: &Key, waits: &Waits) {
        let Some(known) = self.known.iter().find(|known| known.key == *key) else {
            return;
        };
        let until = Instant::now() + waits.patience;
        while !known.task.is_finished() {
            if Instant::now() >= until || waits.is_over.is_cancelled() {
                known.stop.cancel();
            }
            sleep(LOOK).await;
        }
    }

    /// Forgets those that have ended, but for egresses of the module, whose numbers are still shown.
    pub(super) fn forget(&mut self, module: &[EgressConfig]) {
        self.known.retain(|known| {
            let is_named = |egress: &EgressConfig| match &known.key {
                Key::Egress(id) => egress.id.to_string() == *id,
                Key::File(_) | Key::Relay(..) => false,
            };
            !known.task.is_finished() || module.iter().any(is_named)
        });
    }

    /// Those of the module, in its order, then the others.
    pub(super) fn views(&self, module: &[EgressConfig]) -> Vec<EgressView> {
        let of_module = |key: &Key| match key {
            Key::Egress(id) => module
                .iter()
                .position(|egress| egress.id.to_string() == *id),
            _ => None,
        };
        let mut views: Vec<_> = self
            .known
            .iter()
            .filter_map(|known| Some((of_module(&known.key), &known.task, known.view.clone()?)))
            .filter(|(place, task, _)| place.is_some() || !task.is_finished())
            .map(|(place, _, view)| (place.unwrap_or(usize::MAX), view))
            .collect();
        views.sort_by_key(|(place, _)| *place);
        views.into_iter().map(|(_, view)| view).collect()
    }

    /// The last handles are gone: what was handed over is written, and the tasks end, within `patience`.
    pub(super) async fn finish(&mut self, patience: Duration) {
        let written = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, written).await.is_err() {
            self.stop.cancel();
            self.tasks.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::{
        config::{Id, Mark},
        delivery::Sources,
        event::Record,
        pipeline::letters::Letters,
    };

    fn waits(seconds: u64) -> Waits {
        Waits {
            patience: Duration::from_secs(seconds),
            is_over: CancellationToken::new(),
        }
    }

    fn stdout(id: &str) -> EgressConfig {
        EgressConfig {
            id: Id::parse(id).expect("an id"),
            kind: EgressKind::Stdout,
            place: Mark::default(),
        }
    }

    fn record() -> Record {
        Record {
            key: None,
            attributes: Vec::new(),
            data: Bytes::from_static(b"{}"),
        }
    }

    async fn letters(writers: &mut Writers, folder: &Path) -> EgressHandle {
        let mut letters = Letters {
            state_dir: folder,
            egresses: &[],
            writers,
            sources: &Sources::default(),
            waits: &waits(5),
        };
        let file = letters.file("t/a", "letters.ndjson").await;
        file.expect("it can be opened")
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_has_no_second_writer_while_the_first_one_hangs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("letters.ndjson");
        // It can be opened, and takes nothing.
        std::os::unix::fs::symlink("/dev/full", &path).expect("linked");
        let mut writers = Writers::default();
        let handle = letters(&mut writers, folder.path()).await;
        let write = async move { handle.write(vec![record()]).await };
        let cut_off = tokio::time::timeout(Duration::from_secs(60), write).await;
        let hangs = writers.known[0].task.clone();
        let hung = !hangs.is_finished();

        let again = letters(&mut writers, folder.path()).await;

        assert!(cut_off.is_err() && hung, "it cannot be written");
        assert!(hangs.is_finished(), "two write to one file");
        assert!(writers.known.len() == 1 && !writers.known[0].task.is_finished());
        drop(again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_writes_its_last_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("letters.ndjson");
        let mut writers = Writers::default();
        let handle = letters(&mut writers, folder.path()).await;
        let mut write = Box::pin(handle.write(vec![record()]));
        // Whoever wrote waits no more, and the record is in the queue.
        std::future::poll_fn(|context| {
            let polled = write.as_mut().poll(context);
            assert!(polled.is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        drop(write);
        drop(handle);

        let again = letters(&mut writers, folder.path()).await;
        let written = again.write(vec![record()]).await;

        assert_eq!(written, Ok(()));
        let lines = std::fs::read_to_string(path).expect("there");
        assert_eq!(lines, "{}\n{}\n");
        let counted = writers
            .views(&[])
            .pop()
            .map(|view| view.stats.records.get());
        assert_eq!(counted, Some(2), "the numbers of the writer before go on");
    }

    #[tokio::test]
    async fn writers_that_have_ended_are_forgotten_but_for_those_that_the_module_names() {
        let mut writers = Writers::default();
        let spawn = |writers: &mut Writers, key: Key| {
            writers.spawn(
                key,
                "t/out".to_owned(),
                AnyEgress::Stdout(StdoutEgress::default()),
            )
        };
        let key = |id: &str| Key::Egress(id.to_owned());
        for number in 0..100 {
            drop(spawn(&mut writers, key(&format!("t/gone{number}"))));
            writers
                .ended(&key(&format!("t/gone{number}")), &waits(0))
                .await;
        }
        drop(spawn(&mut writers, key("t/named")));
        writers.ended(&key("t/named"), &waits(0)).await;
        let _used = spawn(&mut writers, Key::File("used".to_owned()));

        writers.forget(&[stdout("t/named")]);

        let known: Vec<&Key> = writers.known.iter().map(|known| &known.key).collect();
        assert_eq!(known, [&key("t/named"), &Key::File("used".to_owned())]);
    }
}
