//! What a plugin may ask of the host: `host` and `current-call`.

use wasmtime::{Error, Result};

use super::{
    CurrentCall, Method as PlainMethod, ShapedBody,
    bindings::nozzle::plugin::{
        current_call,
        host::{self, Level},
        types::{self, BatchResult, Body, Event, Joined, Method, Request},
    },
    instance::State,
    lower::Scratch,
};

/// Characters of a counter's name that are shown.
const MAX_SHOWN: usize = 100;

impl types::Host for State {}

impl host::Host for State {
    fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.log.log(level, &message, &fields);
        Ok(())
    }

    fn count(&mut self, name: String, by: u64) -> Result<()> {
        if !self.log.count(&name, by) {
            let name: String = name.chars().take(MAX_SHOWN).collect();
            let message = format!(
                "the counter `{name}` is ignored: at most 64 names of a to z, 0 to 9 and _"
            );
            self.log.log(Level::Warn, &message, &[]);
        }
        Ok(())
    }
}

impl State {
    fn current(&self) -> Result<&CurrentCall> {
        self.call
            .as_ref()
            .ok_or_else(|| Error::msg("`current-call` was used outside `handle`"))
    }
}

impl current_call::Host for State {
    fn attempt(&mut self) -> Result<u32> {
        Ok(self.current()?.attempt)
    }

    fn get_request(&mut self) -> Result<Request> {
        let request = &self.current()?.request;
        Ok(Request {
            method: method(request.method),
            endpoint: request.endpoint.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: match &request.body {
                ShapedBody::Empty => Body::Empty,
                ShapedBody::Bytes(bytes) => Body::Bytes(bytes.to_vec()),
                ShapedBody::Joined {
                    prefix,
                    separator,
                    suffix,
                } => Body::Joined(Joined {
                    prefix: prefix.to_vec(),
                    separator: separator.to_vec(),
                    suffix: suffix.to_vec(),
                }),
            },
            events: request.events.clone(),
        })
    }

    fn event_count(&mut self) -> Result<u32> {
        Ok(self.current()?.events.len() as u32)
    }

    fn get_event(&mut self, index: u32) -> Result<Option<Event>> {
        let plain = |event: &crate::event::Event| Event {
            id: event.id.to_string(),
            key: event.key.as_deref().map(str::to_owned),
            timestamp_ms: event.timestamp_ms,
            attributes: event
                .attributes
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            data: event.data.to_vec(),
        };
        Ok(self
            .current()?
            .events
            .get(index as usize)
            .map(|event| plain(event)))
    }

    fn get_events(&mut self) -> Result<BatchResult> {
        let mut scratch = Scratch::default();
        scratch.fill(self.current()?.events.iter().map(|event| &**event))?;
        Ok(scratch.into_batch())
    }
}

fn method(method: PlainMethod) -> Method {
    match method {
        PlainMethod::Get => Method::Get,
        PlainMethod::Head => Method::Head,
        PlainMethod::Post => Method::Post,
        PlainMethod::Put => Method::Put,
        PlainMethod::Patch => Method::Patch,
        PlainMethod::Delete => Method::Delete,
    }
}
