//! How far each partition is settled: the pure tracker, and the store behind it.

pub mod embedded;
