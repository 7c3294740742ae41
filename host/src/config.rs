//! The module file.
