//! An error and what lies under it, in words.

use std::{error::Error, iter};

/// What lies under an error, from the outside in.
pub(crate) fn causes<'a>(error: &'a dyn Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

/// The error and its causes in one line. Where a cause says what the one above it says, once.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut said = vec![error.to_string()];
    for cause in causes(error) {
        let text = cause.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Layer {
        words: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn an_error_is_explained_from_the_outside_in_and_without_echo() {
        let error = ["no such host", "no such host", "cannot connect"]
            .into_iter()
            .fold(None, |source, words| {
                Some(Box::new(Layer { words, source }))
            });
        let error = error.expect("layers");

        assert_eq!(explain(&*error), "cannot connect: no such host");
        assert_eq!(causes(&*error).count(), 2);
    }
}
