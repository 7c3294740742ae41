//! What an instance said before it failed: a panic's message stands on the guest's standard error, and says more than a trap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last line that one instance wrote on its standard error in the call under way.
///
/// It is the instance's own: instances and versions of a sink share a log, and may speak at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    /// A call begins: what was said before it does not explain how it ends.
    pub(super) fn call_begins(&self) {
        *self.lock() = None;
    }

    /// The instance has written a line, which is cut and escaped.
    pub(super) fn hear(&self, line: &str) {
        if line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let mut last = self.lock();
        // A Rust panic has its place on one line, which ends with a colon, and its message on the next. What was
        // joined is not joined again: a guest must not make the host hold all that it says.
        *last = Some(match last.take() {
            Some(place) if place.ends_with(':') && !place.contains(": ") => {
                format!("{place} {line}")
            }
            _ => line.to_owned(),
        });
    }

    /// What it said last, if anything.
    pub(super) fn text(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::output::{GuestLog, GuestOutput},
        *,
    };

    fn speaker(log: &Arc<GuestLog>) -> (GuestOutput, LastWords) {
        let words = LastWords::default();
        let output = GuestOutput::stderr(Arc::clone(log), words.clone());
        (output, words)
    }

    #[test]
    fn the_last_line_of_standard_error_explains_a_trap() {
        let (output, words) = speaker(&Arc::new(GuestLog::new("t/sink", 100)));

        output.push(b"thread '<unnamed>' panicked at src/lib.rs:7:5:\nno such f");
        output.push(b"ield\nnote: run with `RUST_BACKTRACE=1` environment variable\n");

        assert_eq!(
            words.text().expect("it said something"),
            "thread '<unnamed>' panicked at src/lib.rs:7:5: no such field"
        );
    }

    #[test]
    fn lines_that_end_with_a_colon_are_not_joined_without_end() {
        let (output, words) = speaker(&Arc::new(GuestLog::new("t/sink", 100)));

        output.push(&b"x:\n".repeat(1000));

        let words = words.text().expect("it said something");
        assert!(words == "x:" || words == "x: x:", "{words}");
    }

    #[test]
    fn what_one_instance_says_is_not_said_by_another_of_the_same_log() {
        let log = Arc::new(GuestLog::new("t/sink", 100));
        let ((first, of_first), (second, of_second)) = (speaker(&log), speaker(&log));

        first.push(b"panicked at src/lib.rs:7:5:\n");
        second.push(b"all is well\n");
        first.push(b"no such field\n");
        of_second.call_begins();

        let words = of_first.text();
        assert_eq!(
            words.as_deref(),
            Some("panicked at src/lib.rs:7:5: no such field")
        );
        assert_eq!(of_second.text(), None);
    }
}
