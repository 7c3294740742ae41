//! Positions as text, and stores that were damaged.

use std::sync::LazyLock;

use tokio::runtime::Runtime;

use super::{
    embedded::EmbeddedStore,
    store::{Advance, Store, StoreError},
};
use crate::{
    event::{Position, ShardPosition},
    fuzzing::{draw::Draw, folder},
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().expect("a runtime")
});
const INGRESS: &str = "t/in";
const PAGE: usize = 4096;

/// A store after several runs, and the places of its bytes that are not zero.
static WHOLE: LazyLock<(Vec<u8>, Vec<usize>)> = LazyLock::new(|| {
    let folder = folder();
    for count in 1..=3 {
        let mut store = EmbeddedStore::open(folder.path()).expect("opens");
        let advance = |partition: &str| Advance {
            ingress: INGRESS.to_owned(),
            partition: partition.to_owned(),
            position: Position::Count(count),
        };
        let saved = RUNTIME.block_on(store.save(vec![advance("a"), advance("b")]));
        saved.expect("saved");
    }
    let whole = std::fs::read(folder.path().join("progress.redb")).expect("readable");
    let used = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    (whole, used)
});

const WORDS: [&str; 16] = [
    "{\"count\":",
    "{\"line\":{\"offset\":1,\"line\":2}}",
    "{\"shard\":",
    "\"beginning\"",
    "\"end\"",
    "{\"time\":",
    "{\"record\":{\"sequence\":\"49\",\"arrived-ms\":5",
    ",\"sub\":",
    "}",
    "18446744073709551615",
    "-1",
    "null",
    "1e3",
    "\u{e9}",
    ",\"count\":2",
    "\"",
];

/// A position is the same after it was written down, and a store that was damaged is refused, and left as it is, or
/// says what was stored.
pub(crate) fn store(input: &[u8]) {
    let mut draw = Draw::new(input);
    match draw.below(4) {
        0 => text(&draw.text(&WORDS)),
        1 => position(&mut draw),
        2 => opens_or_not(draw.rest(), false),
        _ => damaged(&mut draw),
    }
}

/// Whatever is understood is understood in the same way when it is written again.
fn text(text: &str) {
    if let Ok(position) = serde_json::from_str::<Position>(text) {
        same(&position);
    }
}

fn position(draw: &mut Draw<'_>) {
    let position = match draw.below(6) {
        0 => Position::Count(draw.number()),
        1 => Position::Line {
            offset: draw.number(),
            line: draw.number(),
            crc: (draw.below(2) == 0).then(|| draw.number() as u32),
        },
        2 => Position::Shard(ShardPosition::Beginning),
        3 => Position::Shard(ShardPosition::Time(draw.number())),
        4 => Position::Shard(ShardPosition::End),
        _ => Position::Shard(ShardPosition::Record {
            sub: (draw.below(2) == 0).then(|| draw.number()),
            arrived_ms: draw.number(),
            sequence: draw.text(&WORDS).into(),
        }),
    };
    same(&position);
}

fn same(position: &Position) {
    let text = serde_json::to_string(position).expect("a position is always JSON");
    let again: Position = serde_json::from_str(&text).expect("it was written so");
    assert_eq!(again, *position, "{text}");
}

/// A few bytes and pages of a store are changed.
fn damaged(draw: &mut Draw<'_>) {
    let (whole, used) = &*WHOLE;
    let mut file = whole.clone();
    while !draw.is_spent() {
        let place = usize::from(draw.byte()) << 16
            | usize::from(draw.byte()) << 8
            | usize::from(draw.byte());
        let at = if place % 4 == 0 {
            place % whole.len()
        } else {
            used[place % used.len()]
        };
        let page = at / PAGE * PAGE;
        let value = draw.byte();
        match draw.below(5) {
            0 | 1 if at < file.len() => file[at] ^= value,
            2 => file.truncate(at),
            3 => file
                .iter_mut()
                .skip(page)
                .take(PAGE)
                .for_each(|byte| *byte = 0),
            4 => {
                let from = usize::from(value) * PAGE % file.len().max(1);
                let end = (from + PAGE).min(file.len());
                if page + PAGE <= file.len() {
                    file.copy_within(from..end, page);
                }
            }
            _ => {}
        }
        if file.is_empty() {
            // What a crash leaves of a store that was never written: a new one.
            return;
        }
    }
    opens_or_not(&file, true);
}

fn opens_or_not(file: &[u8], was_whole: bool) {
    let folder = folder();
    let path = folder.path().join("progress.redb");
    std::fs::write(&path, file).expect("written");

    let store = match EmbeddedStore::open(folder.path()) {
        Ok(store) => store,
        Err(error) => {
            assert!(!matches!(error, StoreError::Io { .. }), "{error:?}");
            assert!(error.hint().is_some());
            assert!(
                std::fs::read(&path).expect("readable") == file,
                "it must be left as it is"
            );
            return;
        }
    };

    assert!(
        was_whole || file.is_empty(),
        "no bytes make a store by chance"
    );
    let positions = RUNTIME
        .block_on(store.load(INGRESS))
        .expect("verified before");
    let expected = match was_whole {
        true => vec![
            ("a".to_owned(), Position::Count(3)),
            ("b".to_owned(), Position::Count(3)),
        ],
        false => Vec::new(),
    };
    assert_eq!(positions, expected);
}
