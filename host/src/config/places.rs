//! Where the parts of a module stand in its file: for what is found out when they are opened.

use std::{collections::BTreeMap, fmt};

use super::Mark;

/// Marks by key. `Debug` shows none of them.
#[derive(Clone, Default)]
pub struct Places(BTreeMap<&'static str, Mark>);

/// A key's way below its part of the module.
type Way = &'static [&'static str];

impl Places {
    /// The keys of an endpoint whose place may be asked for.
    pub(super) const ENDPOINT: &'static [Way] = &[
        &[],
        &["url"],
        &["auth"],
        &["proxy"],
        &["tls"],
        &["tls", "ca-file"],
        &["tls", "cert-file"],
        &["tls", "key-file"],
        &["tls", "server-name"],
    ];
    /// Those of a sink.
    pub(super) const SINK: &'static [Way] = &[
        &[],
        &["grants"],
        &["plugin", "path"],
        &["plugin", "config"],
        &["plugin", "sha256"],
        &["plugin", "signature"],
    ];

    /// Asks for each of them.
    pub(super) fn of(ways: &[Way], mark: impl Fn(&[&str]) -> Mark) -> Self {
        let named = ways.iter();
        let named = named.map(|way| (way.last().copied().unwrap_or_default(), mark(way)));
        Self(named.collect())
    }

    /// The place of a key, or else of the part; that of the file, where no file names the part.
    pub fn get(&self, key: &str) -> Mark {
        let mark = self.0.get(key).or_else(|| self.0.get(""));
        mark.copied().unwrap_or_default()
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}
