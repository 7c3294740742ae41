//! Where a request may go, which addresses may be dialled for it, and which headers it may carry: pure.
//!
//! # Invariants
//! - A target that resolves has the base's scheme, host and port, whatever a plugin writes.
//! - A header that passes cannot change the framing of the message or end its line.

pub(crate) mod addresses;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod headers;
mod hosts;
mod target;

pub use addresses::{AddressKind, AddressRules, Allowed, RefusedAddress};
pub use headers::{HeaderError, HeaderRules, is_framing};
pub use hosts::HostPattern;
pub use target::{BaseUrl, TargetError};
