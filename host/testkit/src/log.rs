//! What a test reads of the log.

use tracing::{
    Dispatch, Subscriber,
    dispatcher::{DefaultGuard, set_default},
    subscriber::NoSubscriber,
};

/// While it lives, this thread logs to what [`log_to`] was given.
#[derive(Debug)]
pub struct LogGuard {
    _ours: DefaultGuard,
    _second: Dispatch,
}

/// Lets this thread log to `subscriber`.
///
/// Where there is a single subscriber, `tracing` asks that of the thread that comes to a line first whether the line is
/// wanted. The thread of another test has none, and then the line is silent for all
/// (`tracing_core::callsite::Dispatchers::rebuilder`). So there are two of them.
pub fn log_to(subscriber: impl Subscriber + Send + Sync + 'static) -> LogGuard {
    let second = Dispatch::new(NoSubscriber::new());
    let ours = set_default(&Dispatch::new(subscriber));
    LogGuard {
        _ours: ours,
        _second: second,
    }
}
