//! Client certificates, against nginx.

use std::path::Path;

use http::Method;
use nozzle::{
    http::{
        HttpClient, Transport,
        settings::{ClientCertificate, EndpointSettings, HttpVersion, NamedFile},
    },
    outcome::{Failure, Response},
};
use nozzle_testkit::Server;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::request;

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes `NAME.pem` and `NAME.key`, for a DNS name that is the common name too.
    fn sign(&self, folder: &Path, file: &str, name: &str) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        write(folder, &format!("{file}.pem"), &certificate.pem());
        write(folder, &format!("{file}.key"), &key.serialize_pem());
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn named(folder: &Path, name: &str) -> NamedFile {
    NamedFile {
        path: folder.join(name),
        label: format!("${{env:DIR}}/{name}"),
    }
}

fn certificate(folder: &Path, file: &str) -> ClientCertificate {
    ClientCertificate {
        cert_file: named(folder, &format!("{file}.pem")),
        key_file: named(folder, &format!("{file}.key")),
    }
}

/// An nginx for `api.internal` that takes clients of one authority, and the settings of a client that it takes.
fn nginx(folder: &Path, versions: &str) -> (Server, EndpointSettings, Authority) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    servers.sign(folder, "server", "api.internal");
    clients.sign(folder, "client", "first");
    write(folder, "servers.pem", &servers.pem);
    write(folder, "clients.pem", &clients.pem);
    let (nginx, port) = Server::nginx(folder, versions);
    let url = format!("https://127.0.0.1:{port}/");
    let mut settings = EndpointSettings::new(url.parse().expect("a URL"), url.clone());
    settings.tls.ca_file = Some(named(folder, "servers.pem"));
    settings.tls.server_name = Some("api.internal".to_owned());
    settings.tls.client = Some(certificate(folder, "client"));
    (nginx, settings, clients)
}

async fn send(client: &HttpClient, settings: &EndpointSettings) -> Result<Response, Failure> {
    let mut request = request(settings.url.as_str());
    request.method = Method::GET;
    request.body = None;
    let sent = tokio::time::timeout(nozzle_testkit::DEADLINE, client.send(request));
    sent.await.expect("it must not hang")
}

async fn once(settings: &EndpointSettings) -> Result<Response, Failure> {
    let client = HttpClient::new(settings, 1).expect("a client");
    send(&client, settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_takes_the_certificates_of_its_authority_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (_nginx, settings, _) = nginx(folder, "TLSv1.2 TLSv1.3");
    let mut without = settings.clone();
    without.tls.client = None;
    Authority::new("others").sign(folder, "other", "first");
    let mut of_another = settings.clone();
    of_another.tls.client = Some(certificate(folder, "other"));
    let mut without_name = settings.clone();
    without_name.tls.server_name = None;

    let good = once(&settings).await.expect("a response");
    let none = once(&without).await.expect("a response");
    let other = once(&of_another).await.expect("a response");
    let misnamed = once(&without_name).await;

    assert_eq!(
        (good.status, &*good.body),
        (200, &b"CN=first TLSv1.3 1"[..])
    );
    assert_eq!((none.status, other.status), (400, 400));
    assert!(
        matches!(&misnamed, Err(Failure::Tls(text)) if text.contains("another name")),
        "{misnamed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_version_is_the_users_choice() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_nginx, settings, _) = nginx(folder.path(), "TLSv1.2");
    let mut newer = settings.clone();
    newer.tls.only_1_3 = true;

    let old = once(&settings).await.expect("a response");
    let refused = once(&newer).await;

    assert_eq!(&*old.body, b"CN=first TLSv1.2 1");
    assert!(matches!(refused, Err(Failure::Tls(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_replaced_is_shown_though_connections_are_kept() {
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let folder = tempfile::tempdir().expect("a folder");
        let (_nginx, mut settings, clients) = nginx(folder.path(), "TLSv1.3");
        settings.http = http;
        let client = HttpClient::new(&settings, 1).expect("a client");
        let mut forbidden = settings.clone();
        forbidden.url = settings.url.join("forbidden").expect("a URL");
        let first = send(&client, &settings).await.expect("a response");
        let again = send(&client, &settings).await.expect("a response");

        clients.sign(folder.path(), "client", "second");
        let refused = send(&client, &forbidden).await.expect("a response");
        let second = send(&client, &settings).await.expect("a response");

        // nginx counts the requests of a connection.
        assert_eq!(&*first.body, b"CN=first TLSv1.3 1");
        assert_eq!(&*again.body, b"CN=first TLSv1.3 2");
        assert_eq!(refused.status, 403, "a refusal makes a look at the files");
        assert_eq!(&*second.body, b"CN=second TLSv1.3 1");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("clients");
    authority.sign(folder, "client", "first");
    authority.sign(folder, "other", "first");
    write(folder, "empty.pem", "");
    let table = [
        (
            "none.pem",
            "client.key",
            "`cert-file` `${env:DIR}/none.pem` cannot be used",
        ),
        (
            "empty.pem",
            "client.key",
            "`cert-file` `${env:DIR}/empty.pem` cannot be used",
        ),
        (
            "client.pem",
            "client.pem",
            "`key-file` `${env:DIR}/client.pem` cannot be used",
        ),
        (
            "client.pem",
            "other.key",
            "`key-file` `${env:DIR}/other.key` is not the key of the certificate in `cert-file`",
        ),
    ];
    for (cert, key, expected) in table {
        let url = "https://t.test/";
        let mut settings = EndpointSettings::new(url.parse().expect("a URL"), url.to_owned());
        settings.tls.client = Some(ClientCertificate {
            cert_file: named(folder, cert),
            key_file: named(folder, key),
        });

        let error = HttpClient::new(&settings, 1).expect_err("unusable");

        assert_eq!(error.to_string(), expected);
        let path = folder.display().to_string();
        assert!(!format!("{error:?}").contains(&path), "{error:?}");
    }
}
