//! What a user reads when a package cannot be had.

use std::fmt::Write as _;

use nozzle::{
    http::settings::NamedFile,
    oci::{Digest, settings::RegistrySettings},
    plugin::settings::{PluginSettings, PluginSource},
};
use nozzle_testkit::{
    RegistryAuth, Server,
    fault_endpoint::{FaultEndpoint, Step, Wire, WireRequest, answer, cut, ok},
    oras_push, plugin,
};
use serde_json::{Value, json};

use super::{address, component, forgetful, said, settings, stable};

const WASM: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The errors of all cases, one after another.
#[derive(Default)]
struct Said(String);

impl Said {
    async fn case(&mut self, name: &str, settings: &PluginSettings, names: &[(&str, &str)]) {
        let refused = forgetful().bytes(settings).await;
        let refused = refused.expect_err(name);
        let words = stable(&said(&refused), names);
        write!(self.0, "{name}\n{words}\n").expect("a text");
    }
}

fn reached_by(mut settings: PluginSettings, registry: RegistrySettings) -> PluginSettings {
    let PluginSource::Package(package) = &mut settings.source else {
        unreachable!("they are of a package");
    };
    package.registry = registry;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_does_not_have_or_has_of_another_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let registry = address(server.url());
    let push = |name: &str, layer: &str, config: &str| {
        let name = format!("{registry}/{name}");
        oras_push(&name, &plugin("json_batch.wasm"), (layer, config), ("", ""));
    };
    push("acme/score:1.0", WASM, CONFIG);
    push(
        "acme/image:1.0",
        WASM,
        "application/vnd.oci.image.config.v1+json",
    );
    push(
        "acme/archive:1.0",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        CONFIG,
    );
    let digest = Digest::of(b"nothing").to_string();

    let mut said = Said::default();
    for (case, name) in [
        ("no such repository", "acme/other:1.0"),
        ("no such tag", "acme/score:2.0"),
        ("no such digest", &format!("acme/score@{digest}")),
        ("a container image", "acme/image:1.0"),
        ("a layer of another type", "acme/archive:1.0"),
    ] {
        let settings = settings(&format!("oci://{registry}/{name}"));
        said.case(case, &settings, &[(registry, "REGISTRY")]).await;
    }

    insta::assert_snapshot!(said.0);
}

/// A package whose component is said to have this size.
fn manifest(size: u64) -> Value {
    let digest = Digest::of(&component()).to_string();
    json!({
        "schemaVersion": 2,
        "config": { "mediaType": CONFIG, "digest": digest, "size": 2 },
        "layers": [{ "mediaType": WASM, "digest": digest, "size": size }],
    })
}

/// Answers as they are given to manifests and to blobs.
async fn scripted(manifest: Vec<Step>, blob: Vec<Step>) -> FaultEndpoint {
    FaultEndpoint::start(Wire::Http, move |request: &WireRequest| {
        let is_blob = request.target.contains("/blobs/");
        if is_blob {
            blob.clone()
        } else {
            manifest.clone()
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_answers_and_must_not() {
    let whole = manifest(component().len() as u64).to_string();
    let pin = Digest::of(&component());
    let fine = || ok(whole.as_bytes());
    let none = || answer(404, &[]);
    let list = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": pin.to_string(), "size": 1,
          "platform": { "architecture": "amd64", "os": "linux" } },
    ] });
    let denied = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow \u001b[31mdown"}]}"#;
    let refused = vec![Step::Answer {
        status: 429,
        headers: Vec::new(),
        body: denied.to_vec().into(),
    }];
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n\0asm";
    let far = |to: &str| answer(302, &[("location", to)]);
    let table = [
        ("no registry", ok(b"<html>"), none()),
        ("an error of its own", answer(500, &[]), none()),
        ("an error in its words", refused, none()),
        (
            "a list without webassembly",
            ok(list.to_string().as_bytes()),
            none(),
        ),
        (
            "a component of a terabyte",
            ok(manifest(1 << 40).to_string().as_bytes()),
            none(),
        ),
        (
            "a manifest of five megabytes",
            ok(&vec![b' '; 5 << 20]),
            none(),
        ),
        ("a blob that is not there", fine(), none()),
        ("a blob that breaks off", fine(), cut(broken)),
        ("a blob of other bytes", fine(), ok(b"\0asm")),
        ("a redirect to itself", fine(), far("?again")),
        ("a redirect to nowhere", fine(), answer(307, &[])),
        ("a redirect to a file", fine(), far("file:///etc/passwd")),
        (
            "a redirect to another protocol",
            fine(),
            far("ftp://localhost/blob"),
        ),
        (
            "a redirect into the client's network",
            fine(),
            far("http://10.0.0.1/blob"),
        ),
        (
            "a redirect to the client",
            fine(),
            far("http://localhost:9464/status"),
        ),
        (
            "a redirect with a password",
            fine(),
            far("http://user:pw@localhost/"),
        ),
        (
            "a token of no service",
            answer(401, &[("www-authenticate", "Bearer realm=\"nowhere\"")]),
            none(),
        ),
        (
            "another way to ask",
            answer(401, &[("www-authenticate", "Negotiate")]),
            none(),
        ),
        ("forbidden", answer(403, &[]), none()),
    ];

    let mut said = Said::default();
    for (case, manifest, blob) in table {
        let registry = scripted(manifest, blob).await;
        let name = registry.url();
        let name = address(&name).trim_end_matches('/');
        let mut settings = settings(&format!("oci://{name}/acme/score:1.0"));
        settings.sha256 = Some(*pin.bytes());
        said.case(
            case,
            &settings,
            &[(name, "REGISTRY"), (&pin.hex(), "COMPONENT")],
        )
        .await;
    }

    insta::assert_snapshot!(said.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_be_reached() {
    let tls = FaultEndpoint::start(Wire::Https, |_: &WireRequest| answer(404, &[])).await;
    let folder = tempfile::tempdir().expect("a folder");
    let plain = Server::registry(folder.path(), RegistryAuth::Open);
    let gone = FaultEndpoint::start(Wire::Http, |_: &WireRequest| answer(404, &[])).await;
    let name = |server: &FaultEndpoint| {
        let url = server.url();
        url.split("//")
            .last()
            .expect("an address")
            .trim_end_matches('/')
            .to_owned()
    };
    let (secure, open, closed) = (name(&tls), address(plain.url()).to_owned(), name(&gone));
    drop(gone);
    let with_tls = RegistrySettings {
        plain_http: Some(false),
        ..RegistrySettings::default()
    };
    let ca_file = NamedFile::new(tls.ca_file().expect("a root").to_owned());
    let with_root = RegistrySettings {
        ca_file: Some(ca_file),
        ..RegistrySettings::default()
    };
    let no_root = RegistrySettings {
        ca_file: Some(NamedFile::new("missing.pem".into())),
        ..RegistrySettings::default()
    };

    let mut said = Said::default();
    for (case, name, registry) in [
        ("nobody listens", &closed, RegistrySettings::default()),
        ("tls where none is spoken", &open, with_tls.clone()),
        (
            "no tls where it is spoken",
            &secure,
            RegistrySettings::default(),
        ),
        ("a root that is not known", &secure, with_tls),
        ("a root that is not there", &secure, no_root),
        (
            "a root that is known: it is reached, and has nothing",
            &secure,
            with_root,
        ),
    ] {
        let settings = settings(&format!("oci://{name}/acme/score:1.0"));
        said.case(case, &reached_by(settings, registry), &[(name, "REGISTRY")])
            .await;
    }

    insta::assert_snapshot!(said.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_tls_does_not_redirect_to_a_connection_without_it() {
    let digest = Digest::of(&component());
    let whole = manifest(component().len() as u64).to_string();
    let elsewhere = FaultEndpoint::start(Wire::Http, |_: &WireRequest| ok(&component())).await;
    let to = elsewhere.url();
    let registry = FaultEndpoint::start(Wire::Https, move |request: &WireRequest| {
        if request.target.contains("/blobs/") {
            answer(302, &[("location", &to)])
        } else {
            ok(whole.as_bytes())
        }
    })
    .await;
    let name = registry.url().replace("https://", "oci://");
    let mut settings = settings(&format!("{name}acme/score:1.0"));
    settings.sha256 = Some(*digest.bytes());
    let ca_file = NamedFile::new(registry.ca_file().expect("a root").to_owned());
    let with_root = RegistrySettings {
        ca_file: Some(ca_file),
        ..RegistrySettings::default()
    };

    let refused = forgetful().bytes(&reached_by(settings, with_root)).await;

    let words = said(&refused.expect_err("it must not follow"));
    assert!(
        words.contains("from TLS to a connection without it"),
        "{words}"
    );
    assert_eq!(elsewhere.connections(), 0);
}
