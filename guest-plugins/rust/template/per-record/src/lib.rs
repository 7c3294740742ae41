//! A plugin to start from: each record goes to a URL of its own, `items/KEY` below the endpoint's URL.

use nozzle_plugin::{Batch, Plugin, Request, Shaped, export_shaper};
use serde::Deserialize;

/// `plugin.config`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// Where the records are put, below the endpoint's URL.
    folder: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: "items".to_owned(),
        }
    }
}

struct Items(Config);

impl Plugin for Items {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let mut shaped = Shaped::new().header("content-type", "application/json");
        shaped.each(batch, |event| {
            event.json()?;
            let key = event.key().filter(|key| is_segment(key));
            let key = key.ok_or("the key is no segment of a path")?;
            // The host takes the body from the record: it is not copied here.
            Ok(Request::put(format!("{}/{key}", self.0.folder)).joined("", "", ""))
        });
        Ok(shaped)
    }
}

/// Whether a key can stand in a path as it is: a record with the key `..` must not become another resource.
fn is_segment(key: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    !matches!(key, "" | "." | "..") && key.chars().all(is_plain)
}

export_shaper!(Items);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_a_path_only_if_it_changes_nothing_there() {
        assert!(is_segment("order-7.b"));
        for key in ["", ".", "..", "a/b", "a?b", "a b", "é"] {
            assert!(!is_segment(key), "{key}");
        }
    }
}
