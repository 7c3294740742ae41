//! How requests are authenticated: from settings, request, body and time to the headers that are added. Pure, but
//! for [`Secret::reread`].
//!
//! The transport owns the clock, the files and the network: it fetches tokens and credentials, and calls
//! [`Signer::sign`] for every attempt, over the bytes that are sent.
//!
//! # Invariants
//! - No `Debug`, `Display` or error of this module shows a secret or a signature.
//! - [`AuthSettings::headers`] names every header that a signer may add: a plugin may set none of them.

mod encode;
mod error;
mod hmac;
mod key;
pub mod oauth2;
mod secret;
pub mod settings;
mod signature;
mod signer;
pub mod sigv4;
mod webhooks;

pub use error::AuthError;
pub use secret::{Piece, Secret, one_line};
pub use settings::AuthSettings;
pub use signature::Component;
pub use signer::{Outgoing, Signer};
