//! Components in registries: pulled, pushed and kept, by the OCI distribution protocol.
//!
//! A package is what `wkg` makes of a component: a manifest whose config has the type
//! `application/vnd.wasm.config.v0+json`, and whose only layer, of the type `application/wasm`, is the component.
//!
//! # Invariants
//! - Bytes leave this module only when they have the digest that was asked for.
//! - Credentials go to the registry, or to the token service that it names over TLS, and only when they are asked for; never
//!   to where a registry redirects.
//! - Every answer has a limit in bytes, and every wait one in time.

mod cache;
mod challenge;
mod cosign;
mod credentials;
mod digest;
mod error;
mod exchange;
mod manifest;
mod pull;
mod push;
mod reference;
pub mod settings;

pub use cache::Cache;
pub use cosign::{CosignError, CosignKey};
pub use credentials::CredentialsError;
pub use digest::Digest;
pub use error::OciError;
pub use exchange::Registry;
pub use manifest::{Component, ManifestError};
pub use pull::Resolved;
pub use push::{Package, Pushed};
pub use reference::{Reference, ReferenceError};

/// The largest component, in bytes: several times what a guest in Python or JavaScript needs.
pub const MAX_COMPONENT: usize = 256 * 1024 * 1024;
