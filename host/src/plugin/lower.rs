//! Events into the contract's `batch`: one list of bytes and integers that point into it.
//!
//! The buffers are the instance's own and are used again: a call allocates nothing for an event.

use super::bindings::nozzle::plugin::types::{
    AttributeMeta, BatchParam, BatchResult, EventMeta, Span,
};
use crate::event::Event;

/// The parts of a batch.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    events: Vec<EventMeta>,
    attributes: Vec<AttributeMeta>,
}

/// Beyond this, in bytes, a buffer is not kept for the next call.
const KEEP: usize = 1024 * 1024;

impl Scratch {
    /// Lays out the events. What was in the buffers is gone.
    ///
    /// # Errors
    /// When a batch has 4 GiB or more: the contract's offsets have 32 bits.
    pub(super) fn fill<'a>(
        &mut self,
        events: impl Iterator<Item = &'a Event>,
    ) -> wasmtime::Result<()> {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP);
        self.events.clear();
        self.attributes.clear();
        for event in events {
            let first_attribute = self.attributes.len() as u32;
            let id = self.push(event.id.as_bytes());
            let key = event.key.as_ref().map(|key| self.push(key.as_bytes()));
            let data = self.push(&event.data);
            for (name, value) in &event.attributes {
                let meta = AttributeMeta {
                    name: self.push(name.as_bytes()),
                    value: self.push(value.as_bytes()),
                };
                self.attributes.push(meta);
            }
            self.events.push(EventMeta {
                timestamp_ms: event.timestamp_ms,
                id,
                key,
                data,
                first_attribute,
                attribute_count: event.attributes.len() as u32,
            });
        }
        // Offsets are cast as they are written, and hold if the end does.
        u32::try_from(self.bytes.len())
            .map(|_| ())
            .map_err(|_| wasmtime::Error::msg("the batch has 4 GiB or more"))
    }

    /// The batch as it is passed to a guest.
    pub(super) fn batch(&self) -> BatchParam<'_> {
        BatchParam {
            bytes: &self.bytes,
            events: &self.events,
            attributes: &self.attributes,
        }
    }

    /// The batch as an import returns it.
    pub(super) fn into_batch(self) -> BatchResult {
        BatchResult {
            bytes: self.bytes,
            events: self.events,
            attributes: self.attributes,
        }
    }

    fn push(&mut self, part: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(part);
        Span {
            start,
            len: part.len() as u32,
        }
    }
}
