//! Lines in the host's log, under the sink's id, and counters. A message is best a constant, with what varies in fields.

use std::fmt::Display;

use crate::bindings::nozzle::plugin::host;

/// How much a line matters.
pub use host::Level;

/// Writes a line; values in `fields` are written as they display.
pub fn write(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect();
    host::log(level, message, &fields);
}

/// A line for those who look for a fault in the plugin.
pub fn debug(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Debug, message, fields);
}

/// A line on what goes as it should.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Info, message, fields);
}

/// A line on what went wrong and was set right.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Warn, message, fields);
}

/// A line that someone must act on.
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    write(Level::Error, message, fields);
}

/// Adds to the counter `nozzle_plugin_<name>_total`: `name` is of lower-case letters, digits and `_`, at most 64 of them.
pub fn count(name: &str, by: u64) {
    host::count(name, by);
}
