//! KPL aggregation: many user records in one Kinesis record (awslabs/kinesis-aggregation, "KPL Aggregated Record
//! Format").

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST: usize = 16;
/// User records of one aggregate, at most. The KPL writes a mebibyte at most, and 7 bytes or more for each.
const MAX_RECORDS: usize = 1 << 18;
/// Bytes of their keys, at most: a key that stands once in the table is held by each of its records.
const MAX_KEYS: usize = 64 * 1024 * 1024;

/// A record that the producer put into an aggregated one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserRecord {
    pub(super) key: String,
    pub(super) data: Bytes,
}

/// The protobuf message between magic and digest.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
}

/// What is left of an aggregated record, in order.
#[derive(Debug)]
pub(super) struct UserRecords {
    keys: Vec<String>,
    entries: std::vec::IntoIter<Entry>,
}

impl Iterator for UserRecords {
    type Item = UserRecord;

    fn next(&mut self) -> Option<UserRecord> {
        let entry = self.entries.next()?;
        Some(UserRecord {
            key: key_of(&entry, &self.keys)?.clone(),
            data: entry.data,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for UserRecords {}

fn key_of<'a>(entry: &Entry, keys: &'a [String]) -> Option<&'a String> {
    keys.get(usize::try_from(entry.partition_key_index).ok()?)
}

/// The user records of an aggregated record. None for a record that is not whole: no magic, a digest that
/// does not fit, no such message, a key that is not in the table; it is then a record like any other, as in the KCL.
/// So is one that would take far more memory than it has bytes, which no producer writes but to do harm.
///
/// The KCL drops an aggregate with a user record whose hash key is outside the shard; here it is delivered: a
/// duplicate is no loss.
pub(super) fn take_apart(data: &Bytes) -> Option<UserRecords> {
    let body_len = data.len().checked_sub(MAGIC.len() + DIGEST)?;
    if !data.starts_with(&MAGIC) {
        return None;
    }
    let body = data.slice(MAGIC.len()..MAGIC.len() + body_len);
    let digest = data.get(MAGIC.len() + body_len..)?;
    if Md5::digest(&body).as_slice() != digest {
        return None;
    }
    if !is_bounded(&body) {
        return None;
    }
    let AggregatedRecord {
        partition_key_table: keys,
        records,
        ..
    } = AggregatedRecord::decode(body).ok()?;
    let mut held = 0;
    for entry in &records {
        held += key_of(entry, &keys)?.len();
    }
    let fits = records.len() <= MAX_RECORDS && held <= MAX_KEYS;
    fits.then(|| UserRecords {
        keys,
        entries: records.into_iter(),
    })
}

/// Whether the message has no more fields than a record and a key for each that there may be: decoded, an empty one
/// is many times as large.
fn is_bounded(mut body: &[u8]) -> bool {
    for _ in 0..2 * MAX_RECORDS {
        if body.is_empty() {
            return true;
        }
        let skipped = decode_key(&mut body)
            .and_then(|(tag, wire)| skip_field(wire, tag, &mut body, DecodeContext::default()));
        if skipped.is_err() {
            return false;
        }
    }
    body.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn aggregate(records: &[(&str, &[u8])]) -> Vec<u8> {
        let entries = records.iter().enumerate().map(|(index, (_, data))| Entry {
            partition_key_index: index as u64,
            explicit_hash_key_index: None,
            data: Bytes::copy_from_slice(data),
        });
        wrap(&AggregatedRecord {
            partition_key_table: records.iter().map(|(key, _)| (*key).to_owned()).collect(),
            explicit_hash_key_table: Vec::new(),
            records: entries.collect(),
        })
    }

    fn wrap(message: &AggregatedRecord) -> Vec<u8> {
        let body = message.encode_to_vec();
        [&MAGIC[..], &body, &Md5::digest(&body)].concat()
    }

    #[test]
    fn a_whole_aggregate_is_taken_apart_in_order() {
        let data = aggregate(&[("a", b"one"), ("b", b""), ("a", b"\xff\x00")]);

        let records: Vec<UserRecord> = take_apart(&data.into()).expect("whole").collect();

        let seen: Vec<(&str, &[u8])> = records
            .iter()
            .map(|record| (&*record.key, &*record.data))
            .collect();
        assert_eq!(seen, [("a", &b"one"[..]), ("b", b""), ("a", b"\xff\x00")]);
        let empty = take_apart(&wrap(&AggregatedRecord::default()).into());
        assert_eq!(empty.expect("whole").len(), 0);
    }

    #[test]
    fn what_another_producer_wrote_is_understood() {
        // Python's aws-kinesis-agg 1.2.3: two records under one key, the second with tags left out.
        let bytes =
            b"\xf3\x89\x9a\xc2\x0a\x01k\x1a\x07\x08\x00\x1a\x03one\x1a\x07\x08\x00\x1a\x03two";
        let digest = Md5::digest(&bytes[4..]);

        let records = take_apart(&[&bytes[..], &digest].concat().into()).expect("whole");

        let data: Vec<Bytes> = records.map(|record| record.data).collect();
        assert_eq!(data, ["one", "two"]);
    }

    #[test]
    fn a_record_that_is_not_whole_stays_as_it_is() {
        let whole = aggregate(&[("a", b"one")]);
        let unknown_key = wrap(&AggregatedRecord {
            partition_key_table: Vec::new(),
            explicit_hash_key_table: Vec::new(),
            records: vec![Entry {
                partition_key_index: 7,
                explicit_hash_key_index: None,
                data: Bytes::new(),
            }],
        });
        let no_message = [&MAGIC[..], b"\xff\xff", &Md5::digest(b"\xff\xff")].concat();
        let mut flipped = whole.clone();
        flipped[6] ^= 1;
        let table: [&[u8]; 7] = [
            b"",
            b"{\"plain\":1}",
            &MAGIC,
            &whole[..whole.len() - 1],
            &flipped,
            &unknown_key,
            &no_message,
        ];
        for data in table {
            let taken = take_apart(&Bytes::copy_from_slice(data));
            assert!(taken.is_none(), "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let framed = [&MAGIC[..], &body, &Md5::digest(&body)].concat();
            drop(take_apart(&framed.into()));
            drop(take_apart(&body.into()));
        }
    }
}
