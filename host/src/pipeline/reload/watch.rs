//! Who asks for a reload: a file that has changed, SIGHUP, the admin API.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};

use super::{Request, ending};
use crate::{
    admin::{NotReloaded, Reloaded, Reloads},
    config::{Module, Problems},
    pipeline::plugins::{EVERY, Watch, stamp_of},
};

type Load = dyn Fn() -> Result<Module, Problems> + Send + Sync;

/// Where a module comes from, each time anew.
pub struct ModuleFile {
    load: Box<Load>,
    /// With what each looked like before it was read last, whoever asked for that.
    files: Mutex<Vec<(PathBuf, Watch)>>,
}

impl std::fmt::Debug for ModuleFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ModuleFile").field(&self.files).finish()
    }
}

impl ModuleFile {
    /// A module that `load` makes of these files, which are watched. Made before they are read for the first time.
    pub fn new<'a>(
        files: impl IntoIterator<Item = &'a Path>,
        load: impl Fn() -> Result<Module, Problems> + Send + Sync + 'static,
    ) -> Self {
        let watched = |path: &Path| (path.to_owned(), Watch::new(stamp_of(path)));
        Self {
            load: Box::new(load),
            files: Mutex::new(files.into_iter().map(watched).collect()),
        }
    }

    /// Reads it. Blocks.
    ///
    /// # Errors
    /// Every problem of the module.
    pub fn load(&self) -> Result<Module, Problems> {
        for (path, watch) in &mut *self.files() {
            watch.is_read(stamp_of(path));
        }
        (self.load)()
    }

    /// Whether one of the files is another one than was read last, and has come to rest.
    fn is_due(&self) -> bool {
        let mut files = self.files();
        let due = files
            .iter_mut()
            .map(|(path, watch)| watch.is_due(stamp_of(path)));
        // All of them are looked at.
        due.fold(false, |any, due| any | due)
    }

    fn files(&self) -> MutexGuard<'_, Vec<(PathBuf, Watch)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the running module to reload itself.
#[derive(Debug)]
pub(super) struct Reloader {
    requests: mpsc::Sender<Request>,
}

impl Reloader {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        // One at a time; others wait for their turn.
        let (requests, asked) = mpsc::channel(1);
        (Self { requests }, asked)
    }

    async fn ask(&self) -> Result<Reloaded, NotReloaded> {
        let (request, answer) = oneshot::channel();
        let sent = self.requests.send(request).await;
        sent.map_err(|_| ending())?;
        answer.await.unwrap_or_else(|_| Err(ending()))
    }
}

impl Reloads for Reloader {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, NotReloaded>> + Send + '_>> {
        Box::pin(self.ask())
    }
}

/// Asks for a reload when a file of the module has changed, and at SIGHUP.
///
/// # Errors
/// When no handler for SIGHUP can be installed.
pub(super) async fn watch(file: Arc<ModuleFile>, reloader: Arc<Reloader>) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            _ = look.tick() => file.is_due(),
            _ = hangup.recv() => true,
        };
        if due {
            // What came of it is in the log and in the metric; here is nobody else to tell.
            drop(reloader.ask().await);
        }
    }
}
