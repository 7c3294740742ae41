//! The embedded progress store, in the state directory.
