//! For the unit tests of plugins.

use nozzle_plugin::{EventVerdict, Verdict};

/// What becomes of each event of a call: `d`elivered, sent again (`r`), or rejected (`x`); nothing without a verdict.
///
/// # Panics
/// When the verdict is one for the whole call.
pub fn letters(verdict: Option<Verdict>) -> String {
    match verdict {
        None => String::new(),
        Some(Verdict::Each(each)) => each
            .iter()
            .map(|verdict| match verdict {
                EventVerdict::Delivered => 'd',
                EventVerdict::Retry => 'r',
                EventVerdict::Reject(_) => 'x',
            })
            .collect(),
        Some(other) => panic!("{other:?}"),
    }
}
