//! Delivers events to an endpoint: at least once, each with exactly one end.

pub mod settings;
