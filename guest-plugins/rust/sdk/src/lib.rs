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
mod shaped;

pub use batch::{Batch, Event, Events};
pub use call::{Call, Handle, Handled};
#[doc(hidden)]
pub use wit_bindgen;

pub use bindings::nozzle::plugin::types::{
    Body, Emission, EventVerdict, Failure, Method, Rejection, Request, Response, Shaped, Verdict,
};

use serde::{Deserialize, de::DeserializeOwned};

#[allow(missing_docs, clippy::unwrap_used)]
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
    let config = if config == "null" { "{}" } else { config };
    P::new(serde_json::from_str(config).map_err(|error| error.to_string())?)
}

/// A line in the host's log, under the sink's id.
pub fn log(level: Level, message: &str) {
    bindings::nozzle::plugin::host::log(level, message, &[]);
}

pub use bindings::nozzle::plugin::host::Level;

/// Adds to the counter `nozzle_plugin_<name>_total`.
pub fn count(name: &str, by: u64) {
    bindings::nozzle::plugin::host::count(name, by);
}
