//! Records as requests within the service's limits.

use std::borrow::Cow;

use md5::{Digest, Md5};

use crate::event::Record;

/// Characters in a partition key (Kinesis API: `PutRecordsRequestEntry`).
const MAX_KEY: usize = 256;

/// The record's key; a hash of the data where there is none, or one that the service does not take: the same data
/// goes to the same shard each time.
pub(super) fn partition_key(record: &Record) -> Cow<'_, str> {
    let valid = |key: &&str| !key.is_empty() && key.chars().count() <= MAX_KEY;
    match record.key.as_deref().filter(valid) {
        Some(key) => Cow::Borrowed(key),
        None => {
            let of = match &record.key {
                Some(key) if !key.is_empty() => key.as_bytes(),
                _ => &record.data,
            };
            let digest = Md5::digest(of);
            Cow::Owned(digest.iter().map(|byte| format!("{byte:02x}")).collect())
        }
    }
}

/// Data and key: what the service's limits are about.
pub fn entry_size(record: &Record) -> usize {
    record.data.len() + partition_key(record).len()
}

/// Cuts `records` into requests, in order; a record that is too large for any has one of its own.
pub(super) fn pack(records: &[Record], max_records: usize, max_bytes: usize) -> Vec<&[Record]> {
    let mut requests = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        let size = entry_size(record);
        if index > from && (index - from >= max_records || bytes + size > max_bytes) {
            requests.extend(records.get(from..index));
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    requests.extend(records.get(from..).filter(|rest| !rest.is_empty()));
    requests
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn record(key: Option<&str>, len: usize) -> Record {
        Record {
            key: key.map(Into::into),
            attributes: Vec::new(),
            data: Bytes::from(vec![b'x'; len]),
        }
    }

    #[test]
    fn a_record_without_a_key_that_the_service_takes_has_a_hash() {
        let long = "k".repeat(257);
        let keys: Vec<String> = [Some("user-1"), Some(&*long), Some(""), None]
            .map(|key| partition_key(&record(key, 1)).into_owned())
            .to_vec();

        let of_data = "9dd4e461268c8034f5c8564e155c67a6";
        assert_eq!(
            keys,
            [
                "user-1",
                "da1a1fa6b104c4871eef9b2a6715a145",
                of_data,
                of_data
            ]
        );
    }

    proptest! {
        #[test]
        fn requests_hold_all_records_in_order_within_the_limits(sizes in proptest::collection::vec(0_usize..50, 0..60)) {
            let records: Vec<Record> = sizes.iter().map(|len| record(Some("k"), *len)).collect();

            let requests = pack(&records, 7, 100);

            prop_assert_eq!(&requests.concat(), &records);
            for request in &requests {
                let bytes: usize = request.iter().map(entry_size).sum();
                prop_assert!(!request.is_empty() && request.len() <= 7);
                prop_assert!(bytes <= 100);
            }
            let full = |pair: &[&[Record]]| {
                let bytes: usize = pair[0].iter().chain(pair[1].first()).map(entry_size).sum();
                pair[0].len() == 7 || bytes > 100
            };
            prop_assert!(requests.windows(2).all(full), "no request is closed early");
        }
    }
}
