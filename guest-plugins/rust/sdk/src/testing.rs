//! Batches and responses for a plugin's own tests, which run natively: `cargo test`.

use crate::{
    Batch, Response,
    bindings::nozzle::plugin::types::{self, AttributeMeta, EventMeta, Span},
};

/// One event of a test.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestEvent<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its key.
    pub key: Option<&'a str>,
    /// Its timestamp.
    pub timestamp_ms: u64,
    /// Its attributes.
    pub attributes: &'a [(&'a str, &'a str)],
    /// Its data.
    pub data: &'a [u8],
}

/// A batch of these data, with ids `0`, `1`, … and no keys.
pub fn batch<'a>(data: impl IntoIterator<Item = &'a [u8]>) -> Batch {
    let data: Vec<&[u8]> = data.into_iter().collect();
    let ids: Vec<String> = (0..data.len()).map(|index| index.to_string()).collect();
    events(ids.iter().zip(data).map(|(id, data)| TestEvent {
        id,
        data,
        ..TestEvent::default()
    }))
}

/// A batch of these events.
pub fn events<'a>(events: impl IntoIterator<Item = TestEvent<'a>>) -> Batch {
    let mut batch = types::Batch {
        bytes: Vec::new(),
        events: Vec::new(),
        attributes: Vec::new(),
    };
    for event in events {
        let meta = EventMeta {
            timestamp_ms: event.timestamp_ms,
            id: put(&mut batch.bytes, event.id.as_bytes()),
            key: event.key.map(|key| put(&mut batch.bytes, key.as_bytes())),
            data: put(&mut batch.bytes, event.data),
            first_attribute: batch.attributes.len() as u32,
            attribute_count: event.attributes.len() as u32,
        };
        batch.events.push(meta);
        for (name, value) in event.attributes {
            let attribute = AttributeMeta {
                name: put(&mut batch.bytes, name.as_bytes()),
                value: put(&mut batch.bytes, value.as_bytes()),
            };
            batch.attributes.push(attribute);
        }
    }
    Batch::from(batch)
}

/// A response with this body, and without headers.
pub fn response(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response {
        status,
        headers: Vec::new(),
        body: body.into(),
        truncated: false,
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) -> Span {
    let start = bytes.len() as u32;
    bytes.extend_from_slice(part);
    Span {
        start,
        len: part.len() as u32,
    }
}
