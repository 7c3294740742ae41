//! The events of a batch, read in place.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::bindings::nozzle::plugin::types::{self, EventMeta, Span};

/// Events in the order of their ingress. An event's index is its place here.
#[derive(Debug)]
pub struct Batch(types::Batch);

impl From<types::Batch> for Batch {
    fn from(batch: types::Batch) -> Self {
        Self(batch)
    }
}

impl Batch {
    /// How many events there are: at least one.
    pub fn len(&self) -> u32 {
        self.0.events.len() as u32
    }

    /// Never true for a batch from the host.
    pub fn is_empty(&self) -> bool {
        self.0.events.is_empty()
    }

    /// The event at `index`.
    pub fn get(&self, index: u32) -> Option<Event<'_>> {
        let meta = self.0.events.get(index as usize)?;
        Some(Event {
            batch: &self.0,
            meta,
            index,
        })
    }

    /// All events.
    pub fn iter(&self) -> Events<'_> {
        Events {
            batch: self,
            next: 0,
        }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Event<'a>;
    type IntoIter = Events<'a>;

    fn into_iter(self) -> Events<'a> {
        self.iter()
    }
}

/// The events of a batch.
#[derive(Debug)]
pub struct Events<'a> {
    batch: &'a Batch,
    next: u32,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let event = self.batch.get(self.next)?;
        self.next += 1;
        Some(event)
    }
}

/// One event, borrowed from its batch: reading it copies nothing.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    batch: &'a types::Batch,
    meta: &'a EventMeta,
    index: u32,
}

impl<'a> Event<'a> {
    /// Its index in the batch.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Where the record stands in its ingress: the same on every redelivery.
    pub fn id(&self) -> &'a str {
        text(self.batch, self.meta.id)
    }

    /// The record's key, if it has one.
    pub fn key(&self) -> Option<&'a str> {
        self.meta.key.map(|span| text(self.batch, span))
    }

    /// When the record entered the ingress, in milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> u64 {
        self.meta.timestamp_ms
    }

    /// The record itself.
    pub fn data(&self) -> &'a [u8] {
        bytes(self.batch, self.meta.data)
    }

    /// The record as text.
    ///
    /// # Errors
    /// When it is no UTF-8, in words that fit a rejection.
    pub fn text(&self) -> Result<&'a str, String> {
        std::str::from_utf8(self.data()).map_err(|_| "the record is no UTF-8".to_owned())
    }

    /// The record as the text of exactly one JSON value (RFC 8259), which is checked but not built.
    ///
    /// # Errors
    /// When it is none, in words that fit a rejection.
    pub fn json(&self) -> Result<&'a str, String> {
        // UTF-8 first: a value that is skipped over is not checked for it.
        let text = std::str::from_utf8(self.data())
            .map_err(|_| "the record is no JSON, as it is no UTF-8".to_owned())?;
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| format!("the record is no JSON: {error}"))?;
        Ok(text)
    }

    /// The JSON value at a place of the record (RFC 6901), as it is written there: `1.10`, or an integer of more than 64 bits. None
    /// where the record has nothing, or is no JSON.
    pub fn json_at(&self, pointer: &str) -> Option<&'a str> {
        let mut value: &RawValue = serde_json::from_slice(self.data()).ok()?;
        let tokens = pointer.split('/').skip(1);
        for token in tokens {
            let token = token.replace("~1", "/").replace("~0", "~");
            let text = value.get();
            value = if text.starts_with('{') {
                let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                members.remove(&token)?
            } else {
                let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                *elements.get(token.parse::<usize>().ok()?)?
            };
        }
        Some(value.get())
    }

    /// Names and values that the ingress has added.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let batch = self.batch;
        let first = self.meta.first_attribute as usize;
        let attributes = batch
            .attributes
            .iter()
            .skip(first)
            .take(self.meta.attribute_count as usize);
        attributes.map(move |attribute| (text(batch, attribute.name), text(batch, attribute.value)))
    }

    /// The value of one attribute.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

fn bytes(batch: &types::Batch, span: Span) -> &[u8] {
    let start = span.start as usize;
    let end = start.saturating_add(span.len as usize);
    batch.bytes.get(start..end).unwrap_or_default()
}

fn text(batch: &types::Batch, span: Span) -> &str {
    // The host promises UTF-8; checking is cheap, and wrong text would be worse.
    std::str::from_utf8(bytes(batch, span)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bindings::nozzle::plugin::types::AttributeMeta, testing};

    #[test]
    fn events_are_read_in_place() {
        let span = |start, len| Span { start, len };
        let meta = |id, key, data, first_attribute, attribute_count| EventMeta {
            timestamp_ms: 7,
            id,
            key,
            data,
            first_attribute,
            attribute_count,
        };
        let batch = Batch(types::Batch {
            bytes: b"id1keyonenamevalueid2two".to_vec(),
            events: vec![
                meta(span(0, 3), Some(span(3, 3)), span(6, 3), 0, 1),
                meta(span(18, 3), None, span(21, 3), 1, 0),
            ],
            attributes: vec![AttributeMeta {
                name: span(9, 4),
                value: span(13, 5),
            }],
        });

        let read: Vec<_> = batch
            .iter()
            .map(|event| (event.index(), event.id(), event.key(), event.data()))
            .collect();

        assert_eq!(
            read,
            [
                (0, "id1", Some("key"), &b"one"[..]),
                (1, "id2", None, &b"two"[..])
            ]
        );
        assert_eq!(
            batch.get(0).and_then(|event| event.attribute("name")),
            Some("value")
        );
        assert_eq!(
            batch.get(1).map(|event| event.attributes().count()),
            Some(0)
        );
        assert!(batch.get(2).is_none());
    }

    #[test]
    fn a_span_that_leaves_the_batch_is_empty() {
        let far = Span {
            start: u32::MAX,
            len: u32::MAX,
        };
        let batch = types::Batch {
            bytes: vec![1, 2, 3],
            events: Vec::new(),
            attributes: Vec::new(),
        };

        assert_eq!(bytes(&batch, far), b"");
    }

    #[test]
    fn json_is_one_value_in_utf_8() {
        let good: [&[u8]; 6] = [b"{}", b" [1, 2]\r\n", b"\"x\"", b"0", b"null", b"1e999"];
        let bad: [&[u8]; 8] = [
            b"",
            b"{",
            b"{} {}",
            b"1,2",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"{\"a\":\"\xc3(\"}",
            b"{'a':1}",
        ];

        let batch = testing::batch(good.iter().chain(&bad).copied());
        let found: Vec<bool> = batch.iter().map(|event| event.json().is_ok()).collect();

        assert_eq!(found, [vec![true; 6], vec![false; 8]].concat());
    }
}
