//! The call whose outcome is being handled, and the answer to it.

use crate::{
    Batch, Emission, Failure, Plugin, Request, Response, Verdict,
    bindings::nozzle::plugin::{current_call, types},
};

/// From outcomes to verdicts and results.
pub trait Handle: Plugin {
    /// Says what an outcome means for the events of its call.
    fn handle(&self, call: &Call, outcome: Result<Response, Failure>) -> Handled;
}

/// The call whose outcome is being handled. Only what is read is copied from the host.
#[derive(Debug)]
pub struct Call(());

impl Call {
    #[doc(hidden)]
    pub fn current() -> Self {
        Self(())
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        current_call::attempt()
    }

    /// The request as `shape` returned it.
    pub fn request(&self) -> Request {
        current_call::get_request()
    }

    /// How many events the call delivers.
    pub fn event_count(&self) -> u32 {
        current_call::event_count()
    }

    /// One event of the call, by its place in `request.events`.
    pub fn event(&self, index: u32) -> Option<types::Event> {
        current_call::get_event(index)
    }

    /// All events of the call.
    pub fn events(&self) -> Batch {
        Batch::from(current_call::get_events())
    }
}

/// A verdict, and results for the sink's result egress.
#[derive(Debug)]
pub struct Handled {
    /// What becomes of the call's events.
    pub verdict: Verdict,
    /// Records to write.
    pub results: Vec<Emission>,
}

impl From<Verdict> for Handled {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            results: Vec::new(),
        }
    }
}

impl Handled {
    /// Adds a result.
    #[must_use]
    pub fn emit(mut self, result: Emission) -> Self {
        self.results.push(result);
        self
    }
}

impl Emission {
    /// A result without a key.
    pub fn new(data: impl Into<Vec<u8>>) -> Self {
        Self {
            key: None,
            attributes: Vec::new(),
            data: data.into(),
        }
    }

    /// With this key, or with none.
    #[must_use]
    pub fn key(mut self, key: Option<String>) -> Self {
        self.key = key;
        self
    }

    /// With a further attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_to_a_verdict() {
        let result = Emission::new("data")
            .key(Some("k".to_owned()))
            .attribute("status", "200");

        let handled = Handled::from(Verdict::Delivered).emit(result);

        assert!(matches!(handled.verdict, Verdict::Delivered));
        assert_eq!(handled.results[0].data, b"data");
        assert_eq!(
            handled.results[0].attributes,
            [("status".to_owned(), "200".to_owned())]
        );
    }
}
