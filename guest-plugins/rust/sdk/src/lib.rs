//! Write a Nozzle plugin in a dozen lines of Rust.
//!
//! ```
//! use nozzle_plugin::{Batch, Plugin, Request, Shaped};
//!
//! /// Sends every batch as lines to `/ingest`.
//! struct Lines;
//!
//! impl Plugin for Lines {
//!     type Config = nozzle_plugin::NoConfig;
//!
//!     fn new(_: Self::Config) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
//!         Ok(Shaped::one(Request::post("ingest").joined("", "\n", "\n").events(0..batch.len())))
//!     }
//! }
//!
//! // In a plugin's crate: nozzle_plugin::export_shaper!(Lines);
//! ```
//!
//! Build it with `crate-type = ["cdylib"]` and `cargo build --release --target wasm32-wasip2`.

#![warn(missing_docs)]

mod batch;
mod call;
mod header;
pub mod log;
mod response;
mod shaped;
pub mod testing;

pub use batch::{Batch, Event, Events};
pub use call::{Call, Handle, Handled};
pub use header::{check_header, is_header_value};
pub use log::count;
#[doc(hidden)]
pub use wit_bindgen;

pub use bindings::nozzle::plugin::types::{
    Body, Emission, EventVerdict, Failure, Method, Rejection, Request, Response, Shaped, Verdict,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

#[allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "generated from wit/, where the words are"
)]
mod export {
    include!(concat!(env!("OUT_DIR"), "/export.rs"));
}
#[doc(hidden)]
pub use export::bindings;

/// From batches to requests. One value lives in each instance of the component; the host keeps several.
pub trait Plugin: Sized + 'static {
    /// `plugin.config` of the sink. Use `#[serde(deny_unknown_fields)]`, so that a slip of the pen is an error.
    type Config: DeserializeOwned;

    /// Makes the plugin. An error refuses it, with its message.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    fn new(config: Self::Config) -> Result<Self, String>;

    /// From a batch to requests: every index of the batch stands in exactly one place.
    ///
    /// # Errors
    /// When the batch as a whole cannot be shaped: the host halves it until the record at fault stands alone.
    fn shape(&self, batch: &Batch) -> Result<Shaped, String>;
}

/// For a plugin without settings.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads the configuration and makes the plugin; `null` is an empty configuration.
#[doc(hidden)]
pub fn configure<P: Plugin>(config: &str) -> Result<P, String> {
    let fields = match serde_json::from_str(config) {
        Ok(Value::Object(fields)) => fields,
        Ok(Value::Null) => Map::new(),
        // What serde derives would take a list for the values of the fields.
        Ok(_) => return Err("the configuration is no mapping of keys to values".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    P::new(
        read(&fields)
            .map_err(|why| named(&why, &fields, |fields| read::<P::Config>(fields).err()))?,
    )
}

fn read<T: DeserializeOwned>(fields: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(fields.clone())).map_err(|error| error.to_string())
}

/// Says which key is refused, where serde does not: the one without which `refused` says something else.
fn named(
    why: &str,
    fields: &Map<String, Value>,
    refused: impl Fn(&Map<String, Value>) -> Option<String>,
) -> String {
    let is_at_fault = |key: &&String| {
        let mut others = fields.clone();
        others.remove(*key);
        refused(&others).as_deref() != Some(why)
    };
    match fields.keys().find(is_at_fault) {
        Some(key) if !why.contains(&format!("`{key}`")) => format!("`{key}`: {why}"),
        _ => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
    struct Config {
        target_path: String,
        size: u32,
    }

    impl Default for Config {
        fn default() -> Self {
            Self {
                target_path: "items".to_owned(),
                size: 7,
            }
        }
    }

    #[derive(Debug)]
    struct Probe(Config);

    impl Plugin for Probe {
        type Config = Config;

        fn new(config: Config) -> Result<Self, String> {
            match config.size {
                0 => Err("`size` is 0".to_owned()),
                _ => Ok(Self(config)),
            }
        }

        fn shape(&self, _: &Batch) -> Result<Shaped, String> {
            Ok(Shaped::new())
        }
    }

    #[test]
    fn no_configuration_means_the_defaults() {
        for config in ["null", "{}"] {
            let Probe(config) = configure(config).expect("defaults");

            assert_eq!((config.target_path.as_str(), config.size), ("items", 7));
        }
    }

    #[test]
    fn a_configuration_that_makes_no_sense_is_refused_in_the_users_words() {
        let table = [
            (
                r#"{"targetpath":"x"}"#,
                "unknown field `targetpath`, expected `target-path` or `size`",
            ),
            (
                r#"{"size":"x"}"#,
                r#"`size`: invalid type: string "x", expected u32"#,
            ),
            (
                r#"{"target-path":"x","size":-1}"#,
                "`size`: invalid value: integer `-1`, expected u32",
            ),
            (
                r#"["x",7]"#,
                "the configuration is no mapping of keys to values",
            ),
            (r#"{"size":0}"#, "`size` is 0"),
        ];

        for (config, expected) in table {
            let refused = configure::<Probe>(config).expect_err(config);

            assert_eq!(refused, expected);
        }
    }
}
