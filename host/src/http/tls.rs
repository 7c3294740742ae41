//! TLS: the platform's roots, and a CA file of the user's own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The CA file cannot be read, or holds no certificate.
    #[error("`ca-file` `{}` cannot be used", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in the CA file is not one that can sign.
    #[error("`ca-file` `{}` has a certificate that cannot be a root", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No root at all: nothing could be trusted.
    #[error("the platform has no root certificates, and no `ca-file` is set")]
    NoRoots,
    /// The TLS library refused the configuration.
    #[error("TLS could not be set up")]
    Config(#[source] rustls::Error),
}

/// A client configuration; the connector adds ALPN.
///
/// # Errors
/// When the CA file cannot be used, or there is no root at all.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(platform.certs);
    if let Some(path) = ca_file {
        let unusable = |source| TlsError::CaFile {
            path: path.to_owned(),
            source,
        };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(path).map_err(unusable)? {
            roots
                .add(certificate.map_err(unusable)?)
                .map_err(|source| TlsError::Root {
                    path: path.to_owned(),
                    source,
                })?;
            found = true;
        }
        if !found {
            return Err(unusable(rustls::pki_types::pem::Error::NoItemsFound));
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// For an `http` endpoint, which makes no TLS connection.
pub(super) fn no_roots() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
