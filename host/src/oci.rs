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
mod token;
mod wire;

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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
    use proptest::prelude::*;

    use super::{CosignKey, Digest, Reference, challenge, manifest};

    proptest! {
        #[test]
        fn a_reference_that_is_read_is_shown_and_read_again(text in "oci://[a-z0-9.:\\[\\]]{1,9}(/[a-z0-9._-]{1,4}){1,3}(:[a-zA-Z0-9._-]{1,4})?(@sha256:[0-9a-f]{64})?") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(reference.to_string(), text);
            }
        }

        #[test]
        fn no_text_of_others_makes_a_reader_panic(text in "\\PC*", json in "[\\[\\]{}\",:a-zA-Z0-9]*", challenge in "[ -~]*") {
            for text in [&text, &json, &challenge] {
                drop(Reference::parse(&format!("oci://{text}")));
                let digest = text.parse::<Digest>();
                prop_assert!(digest.is_err() || text.starts_with("sha256:"));
                drop(CosignKey::parse(text));
                drop(manifest::read(text.as_bytes(), Some(text)));
                if let Ok(value) = HeaderValue::from_str(text) {
                    challenge::read(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]));
                }
            }
        }
    }
}
