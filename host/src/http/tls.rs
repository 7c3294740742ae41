//! TLS: the platform's roots and a CA file of the user's own, and a client's certificate.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    settings::{ClientCertificate, TlsSettings},
    watch::Watched,
};

/// Why TLS cannot be set up. Files are named as the module file writes them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("`{key}` `{label}` cannot be used")]
    File {
        /// Its key in the module file.
        key: &'static str,
        /// The file.
        label: String,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in the CA file is not one that can sign.
    #[error("`ca-file` `{label}` has a certificate that cannot be a root")]
    Root {
        /// The file.
        label: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The client's key is of an unknown kind.
    #[error("`key-file` `{label}` has a key that cannot be used")]
    Key {
        /// The file.
        label: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The client's key and its certificate are not of a pair.
    #[error("`key-file` `{label}` is not the key of the certificate in `cert-file`")]
    Pair {
        /// The file of the key.
        label: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No root at all: nothing could be trusted.
    #[error("the platform has no root certificates, and no `ca-file` is set")]
    NoRoots,
    /// `server-name` is none.
    #[error("`server-name` is neither a DNS name nor an IP address")]
    ServerName,
    /// The TLS library refused the configuration.
    #[error("TLS could not be set up")]
    Config(#[source] rustls::Error),
}

impl TlsError {
    /// The key of the endpoint's settings that is at fault.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::File { key, .. } => key,
            Self::Root { .. } => "ca-file",
            Self::Key { .. } | Self::Pair { .. } => "key-file",
            Self::ServerName => "server-name",
            Self::NoRoots | Self::Config(_) => "tls",
        }
    }
}

/// A client's certificate: each new connection shows what the files hold.
pub(super) type Identity = Arc<Watched<CertifiedKey>>;

/// A client configuration, and the certificate in it; the connector adds ALPN.
///
/// # Errors
/// When a file cannot be used, or there is no root at all.
pub(super) fn client_config(
    settings: &TlsSettings,
) -> Result<(ClientConfig, Option<Identity>), TlsError> {
    let versions: &[_] = match settings.only_1_3 {
        true => &[&TLS13],
        false => &[&TLS13, &TLS12],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(TlsError::Config)?
        .with_root_certificates(roots(settings)?);
    let Some(client) = &settings.client else {
        return Ok((builder.with_no_client_auth(), None));
    };
    let files = [&client.cert_file, &client.key_file];
    let files = files.map(Clone::clone).to_vec();
    let client = client.clone();
    let identity = Arc::new(Watched::new(files, move || read(&client))?);
    let resolver = Arc::new(Resolver(Arc::clone(&identity)));
    let mut config = builder.with_client_cert_resolver(resolver);
    // A session that is resumed shows the certificate that it began with.
    config.resumption = Resumption::disabled();
    Ok((config, Some(identity)))
}

/// The name that the endpoint's certificate must be for, where it is not the URL's host.
///
/// # Errors
/// When it is none.
pub(super) fn server_name(settings: &TlsSettings) -> Result<Option<ServerName<'static>>, TlsError> {
    let name = settings.server_name.clone().map(ServerName::try_from);
    name.transpose().map_err(|_| TlsError::ServerName)
}

fn roots(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(platform.certs);
    if let Some(file) = &settings.ca_file {
        let label = || file.label.clone();
        let unusable = |source| TlsError::File {
            key: "ca-file",
            label: label(),
            source,
        };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(&file.path).map_err(unusable)? {
            roots
                .add(certificate.map_err(unusable)?)
                .map_err(|source| TlsError::Root {
                    label: label(),
                    source,
                })?;
            found = true;
        }
        if !found {
            return Err(unusable(rustls::pki_types::pem::Error::NoItemsFound));
        }
    }
    match roots.is_empty() {
        true => Err(TlsError::NoRoots),
        false => Ok(roots),
    }
}

fn read(client: &ClientCertificate) -> Result<CertifiedKey, TlsError> {
    let unusable = |key, label: &str, source| TlsError::File {
        key,
        label: label.to_owned(),
        source,
    };
    let (cert, key) = (&client.cert_file, &client.key_file);
    let chain = CertificateDer::pem_file_iter(&cert.path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| match chain.is_empty() {
            true => Err(rustls::pki_types::pem::Error::NoItemsFound),
            false => Ok(chain),
        })
        .map_err(|source| unusable("cert-file", &cert.label, source))?;
    let private = PrivateKeyDer::from_pem_file(&key.path)
        .map_err(|source| unusable("key-file", &key.label, source))?;
    let private = rustls::crypto::ring::sign::any_supported_type(&private).map_err(|source| {
        TlsError::Key {
            label: key.label.clone(),
            source,
        }
    })?;
    let certified = CertifiedKey::new(chain, private);
    certified.keys_match().map_err(|source| TlsError::Pair {
        label: key.label.clone(),
        source,
    })?;
    Ok(certified)
}

/// Shows the certificate as it is at the time of the handshake.
#[derive(Debug)]
struct Resolver(Identity);

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
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
