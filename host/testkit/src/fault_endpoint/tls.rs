//! Certificates, good and bad, and handshakes that fail.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Greeting, Wire};

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Its time is over.
    Expired,
    /// Its time is to come.
    NotYetValid,
    /// It is for another name.
    WrongHost,
    /// It signed itself.
    SelfSigned,
    /// A root that nobody knows signed it, under the name of the known one.
    UnknownCa,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A root, and what it signs.
pub(super) struct Identities {
    root: Issuer,
    alpn: &'static [&'static [u8]],
}

impl Identities {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            root: root(),
            alpn: match wire {
                Wire::Http2 => &[b"h2", b"http/1.1"],
                _ => &[b"http/1.1"],
            },
        }
    }

    pub(super) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// What a greeting does in the handshake.
    fn config(&self, greeting: &Greeting) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring offers the default versions");
        let builder = match greeting {
            Greeting::WantClientCertificate => {
                builder.with_client_cert_verifier(self.clients(provider))
            }
            _ => builder.with_no_client_auth(),
        };
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let other = root();
        let mut signer = Some(&self.root);
        if let Greeting::BadCertificate(fault) = greeting {
            match fault {
                Certificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
                Certificate::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
                Certificate::WrongHost => {
                    params.subject_alt_names = vec![rcgen::SanType::DnsName(
                        "other.example".try_into().expect("a name"),
                    )];
                }
                Certificate::SelfSigned => signer = None,
                Certificate::UnknownCa => signer = Some(&other),
            }
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match signer {
            Some(signer) => params.signed_by(&key, signer),
            None => params.self_signed(&key),
        };
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = builder
            .with_single_cert(vec![certificate], key)
            .expect("a certificate with its key");
        if !matches!(greeting, Greeting::NoAlpn) {
            config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        }
        config
    }

    fn clients(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Arc<dyn rustls::server::danger::ClientCertVerifier> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).expect("a root");
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("a root")
    }
}

fn root() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "A root for tests");
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a root")
}

/// The connection, if the handshake came to its end.
pub(super) async fn accept(
    mut tcp: TcpStream,
    identities: &Identities,
    greeting: &Greeting,
) -> Option<TlsStream<TcpStream>> {
    let answer: &[u8] = match greeting {
        Greeting::PlainText => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Greeting::StallHandshake => b"",
        // A ServerHello of 122 bytes is announced.
        Greeting::CutHandshake => b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
        Greeting::GarbageHandshake => &[0xff; 100],
        _ => {
            let acceptor = TlsAcceptor::from(Arc::new(identities.config(greeting)));
            return acceptor.accept(tcp).await.ok();
        }
    };
    let mut hello = vec![0; 16 * 1024];
    let read = tcp.read(&mut hello).await.ok()?;
    if read > 0 && !answer.is_empty() {
        tcp.write_all(answer).await.ok()?;
        tcp.shutdown().await.ok()?;
    }
    // Until the client closes.
    tokio::io::copy(&mut tcp, &mut tokio::io::sink())
        .await
        .ok()?;
    None
}
