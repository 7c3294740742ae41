//! Aggregates that a producer could write.

use bytes::Bytes;
use md5::{Digest, Md5};

use super::aggregate::{UserRecord, take_apart};
use crate::fuzzing::draw::Draw;

/// What an aggregate may hold at most, in bytes: keys, and the records themselves.
const BOUND: usize = 96 * 1024 * 1024;

/// An aggregate gives what its encoder was given, anything else nothing, and neither more memory than there is.
pub(crate) fn aggregate(input: &[u8]) {
    let mut draw = Draw::new(input);
    match draw.below(4) {
        0 => drop(bounded(draw.rest())),
        1 => drop(bounded(&frame(draw.rest()))),
        2 => round_trip(&mut draw),
        _ => bomb(&mut draw),
    }
}

fn bounded(data: &[u8]) -> Option<Vec<UserRecord>> {
    let taken = take_apart(&Bytes::copy_from_slice(data));
    let taken: Option<Vec<UserRecord>> = taken.map(Iterator::collect);
    let held = taken
        .iter()
        .flatten()
        .map(|record| size_of::<UserRecord>() + record.key.len());
    assert!(held.sum::<usize>() <= BOUND);
    taken
}

/// Records of a table of keys, as the KPL writes them; with a byte changed or cut off, nothing.
fn round_trip(draw: &mut Draw<'_>) {
    let keys: Vec<String> = (0..draw.below(4))
        .map(|_| draw.text(&["", "\u{e9}", "\u{1f600}"]))
        .collect();
    let flip = draw.below(4) == 0;
    let at = usize::from(draw.byte()) << 4 | draw.below(16);
    let mut records = Vec::new();
    while !draw.is_spent() && records.len() < 50 {
        records.push((draw.below(4), draw.bytes()));
    }
    let mut body = Vec::new();
    keys.iter()
        .for_each(|key| field(&mut body, 1, key.as_bytes()));
    for (index, data) in &records {
        let mut entry = vec![0x08, *index as u8];
        field(&mut entry, 3, data);
        field(&mut body, 3, &entry);
    }
    let mut whole = frame(&body);

    if flip {
        let at = at % whole.len();
        whole[at] ^= 1 << (at % 8);
        assert_eq!(bounded(&whole), None);
        assert_eq!(bounded(&whole[..at]), None);
        return;
    }
    let expected = records.into_iter().map(|(index, data)| {
        let data = Bytes::copy_from_slice(data);
        keys.get(index).map(|key| UserRecord {
            key: key.clone(),
            data,
        })
    });
    assert_eq!(bounded(&whole), expected.collect());
}

/// Few bytes that stand for many: a long key, used by many records without data.
fn bomb(draw: &mut Draw<'_>) {
    let key = "k".repeat(1 << draw.below(19));
    let records = 1_usize << draw.below(19);
    let mut body = Vec::new();
    field(&mut body, 1, key.as_bytes());
    let entry: &[u8] = draw.pick(&[
        &b"\x1a\x02\x08\x00"[..],
        b"\x1a\x00",
        b"\x0a\x00",
        b"\x12\x00",
        b"\x1a\x02\x1a\x00",
    ]);
    body.extend(entry.repeat(records));

    // A record of Kinesis has at most 10 MiB.
    if body.len() <= 10 * 1024 * 1024 {
        bounded(&frame(&body));
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    [b"\xf3\x89\x9a\xc2", body, &Md5::digest(body)].concat()
}

/// A field of wire type 2: tag, length, bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}
