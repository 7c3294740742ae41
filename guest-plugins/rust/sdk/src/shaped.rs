//! Building answers to `shape`.

use crate::{
    Batch, Body, Event, Method, Rejection, Request, Shaped, bindings::nozzle::plugin::types::Joined,
};

impl Shaped {
    /// An answer without anything in it yet.
    pub fn new() -> Self {
        Self {
            headers: Vec::new(),
            requests: Vec::new(),
            drop: Vec::new(),
            reject: Vec::new(),
        }
    }

    /// An answer of one request.
    pub fn one(request: Request) -> Self {
        Self {
            requests: vec![request],
            ..Self::new()
        }
    }

    /// A header for every request of this answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Filters an event out: it is done without a call, and counted.
    pub fn drop_event(&mut self, index: u32) {
        self.drop.push(index);
    }

    /// Dead-letters an event with a reason.
    pub fn reject_event(&mut self, index: u32, reason: impl Into<String>) {
        self.reject.push(Rejection {
            event: index,
            reason: reason.into(),
        });
    }

    /// A request for each event, which delivers that one alone. An event whose request is an error is dead-lettered with it.
    pub fn each<'a>(
        &mut self,
        batch: &'a Batch,
        mut request: impl FnMut(&Event<'a>) -> Result<Request, String>,
    ) {
        self.requests.reserve(batch.len() as usize);
        for event in batch {
            match request(&event) {
                Ok(request) => self.requests.push(request.events([event.index()])),
                Err(reason) => self.reject_event(event.index(), reason),
            }
        }
    }

    /// The indices of the events that `take` has taken, for a request that delivers them together. An event for which it
    /// gives an error is dead-lettered with it.
    #[must_use = "an event without a request is a contract violation"]
    pub fn gather<'a>(
        &mut self,
        batch: &'a Batch,
        mut take: impl FnMut(&Event<'a>) -> Result<(), String>,
    ) -> Vec<u32> {
        let mut events = Vec::with_capacity(batch.len() as usize);
        for event in batch {
            match take(&event) {
                Ok(()) => events.push(event.index()),
                Err(reason) => self.reject_event(event.index(), reason),
            }
        }
        events
    }
}

impl Default for Shaped {
    fn default() -> Self {
        Self::new()
    }
}

impl Request {
    /// A request without a body. `target` is resolved against the endpoint's URL: "items" stands below its
    /// path, "/items" replaces it, "" is the URL itself.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            endpoint: None,
            target: target.into(),
            headers: Vec::new(),
            body: Body::Empty,
            events: Vec::new(),
        }
    }

    /// A POST.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new(Method::Post, target)
    }

    /// A PUT.
    pub fn put(target: impl Into<String>) -> Self {
        Self::new(Method::Put, target)
    }

    /// Sends it to the endpoint that the sink grants under this name, in place of the sink's default one. A name
    /// that is not granted is a contract violation.
    #[must_use]
    pub fn endpoint(mut self, name: impl Into<String>) -> Self {
        self.endpoint = Some(name.into());
        self
    }

    /// A header of this request alone.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// These bytes as body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// The data of the request's events as body, joined by the host: the data need not be copied by the plugin.
    #[must_use]
    pub fn joined(mut self, prefix: &str, separator: &str, suffix: &str) -> Self {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let joined = Joined {
            prefix: bytes(prefix),
            separator: bytes(separator),
            suffix: bytes(suffix),
        };
        self.body = Body::Joined(joined);
        self
    }

    /// The batch indices that this request delivers.
    #[must_use]
    pub fn events(mut self, indices: impl IntoIterator<Item = u32>) -> Self {
        self.events = indices.into_iter().collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_each_event_in_one_place() {
        let mut shaped = Shaped::one(
            Request::put("items")
                .endpoint("eu")
                .header("x-a", "1")
                .joined("[", ",", "]")
                .events([0, 2]),
        )
        .header("x-b", "2");
        shaped.drop_event(1);
        shaped.reject_event(3, "no");

        let request = &shaped.requests[0];
        assert_eq!(
            (request.method, request.target.as_str()),
            (Method::Put, "items")
        );
        assert_eq!(request.endpoint.as_deref(), Some("eu"));
        assert_eq!(request.events, [0, 2]);
        assert!(matches!(&request.body, Body::Joined(joined) if joined.separator == b","));
        assert_eq!(shaped.headers, [("x-b".to_owned(), "2".to_owned())]);
        assert_eq!(shaped.drop, [1]);
        assert_eq!(
            (shaped.reject[0].event, shaped.reject[0].reason.as_str()),
            (3, "no")
        );
    }
}
