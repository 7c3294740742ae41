//! Who asks for a reload: a file that has changed, SIGHUP, the admin API.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
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
    pipeline::plugins::{EVERY, Stamp, Watch, stamp_of},
};

type Load = dyn Fn() -> Result<Module, Problems> + Send + Sync;

/// Where a module comes from, each time anew.
pub struct ModuleFile {
    load: Box<Load>,
    /// With what each looked like before it was read.
    files: Vec<(PathBuf, Option<Stamp>)>,
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
        let files = files.into_iter();
        Self {
            load: Box::new(load),
            files: files
                .map(|path| (path.to_owned(), stamp_of(path)))
                .collect(),
        }
    }

    /// Reads it. Blocks.
    ///
    /// # Errors
    /// Every problem of the module.
    pub fn load(&self) -> Result<Module, Problems> {
        (self.load)()
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
    let watch = |(path, read): &(PathBuf, Option<Stamp>)| (path.clone(), Watch::new(*read));
    let mut watched: Vec<_> = file.files.iter().map(watch).collect();
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            _ = look.tick() => {
                let due = watched.iter_mut().map(|(path, watch)| watch.is_due(stamp_of(path)));
                // All of them are looked at.
                due.fold(false, |any, due| any | due)
            }
            _ = hangup.recv() => {
                for (path, watch) in &mut watched {
                    watch.is_read(stamp_of(path));
                }
                true
            }
        };
        if due {
            // What came of it is in the log and in the metric; here is nobody else to tell.
            drop(reloader.ask().await);
        }
    }
}
