//! Signals, and what they ask for.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What the host has been asked to do.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Stop the intake and finish what is there: the first SIGINT or SIGTERM.
    pub drain: CancellationToken,
    /// Stop at once: the second one.
    pub now: CancellationToken,
}

impl Shutdown {
    /// Listens for SIGINT and SIGTERM until the returned task is aborted.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen(&self) -> io::Result<JoinHandle<()>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Plugins are read again at SIGHUP once they are loaded; before, it must not end the process.
        let hangup = signal(SignalKind::hangup())?;
        let shutdown = self.clone();
        Ok(tokio::spawn(async move {
            let _hangup = hangup;
            for token in [&shutdown.drain, &shutdown.now] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                token.cancel();
            }
        }))
    }
}
