//! TLS of the admin address: its certificate, and what those who ask trust.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::warn;

use super::settings::ServerTls;
use crate::causes::explain;

/// Between two looks at the files: a certificate that was renewed is shown without a restart.
const PERIOD: Duration = Duration::from_secs(10);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("`{file}` cannot be used")]
    File {
        /// As it was written.
        file: String,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key do not go together, or are of an unknown kind.
    #[error("the certificate cannot be used")]
    Certificate(#[source] rustls::Error),
    /// A certificate cannot be a root.
    #[error("`{file}` has a certificate that cannot be a root")]
    Root {
        /// As it was written.
        file: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The certificate of the address, which is read again when it is old.
pub(super) struct Identity {
    files: ServerTls,
    current: Mutex<(Instant, Arc<ServerConfig>)>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the files. Blocks.
    pub(super) fn read(files: &ServerTls) -> Result<Self, TlsError> {
        let config = server_config(files)?;
        Ok(Self {
            files: files.clone(),
            current: Mutex::new((Instant::now(), config)),
        })
    }

    /// What shakes hands with the next one.
    pub(super) async fn acceptor(&self) -> TlsAcceptor {
        let (read, config) = self.lock().clone();
        if read.elapsed() < PERIOD {
            return config.into();
        }
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || server_config(&files)).await;
        let mut current = self.lock();
        current.0 = Instant::now();
        match read {
            Ok(Ok(config)) => current.1 = config,
            Ok(Err(error)) => {
                let error = explain(&error);
                warn!(
                    error,
                    "the certificate of the admin address is not renewed: the one before is shown"
                );
            }
            Err(error) => warn!(%error, "the certificate of the admin address is not renewed"),
        }
        Arc::clone(&current.1).into()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Instant, Arc<ServerConfig>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(path: &Path, label: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |source| TlsError::File {
        file: label.to_owned(),
        source,
    };
    let chain =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain.map_err(unusable)? {
        chain if chain.is_empty() => Err(unusable(rustls::pki_types::pem::Error::NoItemsFound)),
        chain => Ok(chain),
    }
}

fn server_config(files: &ServerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let (cert, key) = (&files.cert_file, &files.key_file);
    let chain = chain(&cert.path, &cert.label)?;
    let private = PrivateKeyDer::from_pem_file(&key.path).map_err(|source| TlsError::File {
        file: key.label.clone(),
        source,
    })?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(TlsError::Certificate)?;
    Ok(Arc::new(config))
}

/// What asks an address with TLS: it trusts the platform's roots, and those of a file. Blocks.
///
/// # Errors
/// When the file cannot be used.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let label = path.display().to_string();
        for certificate in chain(path, &label)? {
            roots.add(certificate).map_err(|source| TlsError::Root {
                file: label.clone(),
                source,
            })?;
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificate)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::settings::PemFile;

    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_renewed_when_its_files_are_and_not_by_broken_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| PemFile {
            path: folder.path().join(name),
            label: name.to_owned(),
        };
        let files = ServerTls {
            cert_file: file("cert"),
            key_file: file("key"),
        };
        let renew = || {
            let names = ["localhost".to_owned()];
            let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
            std::fs::write(&files.cert_file.path, own.cert.pem()).expect("written");
            std::fs::write(&files.key_file.path, own.signing_key.serialize_pem()).expect("written");
        };
        renew();
        let identity = Identity::read(&files).expect("a pair");
        let first = Arc::clone(identity.acceptor().await.config());

        renew();
        let soon = Arc::clone(identity.acceptor().await.config());
        tokio::time::advance(PERIOD).await;
        let later = Arc::clone(identity.acceptor().await.config());
        std::fs::write(&files.key_file.path, "none").expect("written");
        tokio::time::advance(PERIOD).await;
        let broken = Arc::clone(identity.acceptor().await.config());

        assert!(
            Arc::ptr_eq(&first, &soon),
            "the files are not read for each connection"
        );
        assert!(!Arc::ptr_eq(&soon, &later));
        assert!(Arc::ptr_eq(&later, &broken), "what was good goes on");
    }
}
