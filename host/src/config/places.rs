//! Where the parts of an endpoint stand in the module file: for what is found out when they are opened.

use std::{collections::BTreeMap, fmt};

use super::Mark;

/// Marks by key. `Debug` shows none of them.
#[derive(Clone, Default)]
pub struct Places(BTreeMap<&'static str, Mark>);

impl Places {
    /// The keys whose place may be asked for, each by its way below the endpoint.
    pub(super) const KEYS: [&'static [&'static str]; 9] = [
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

    /// Asks for each of them.
    pub(super) fn of(mark: impl Fn(&[&str]) -> Mark) -> Self {
        let named = Self::KEYS.map(|way| (way.last().copied().unwrap_or_default(), mark(way)));
        Self(named.into())
    }

    /// The place of a key, or else of the endpoint; that of the file, where no file names the endpoint.
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
