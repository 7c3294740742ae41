//! Who asks: passwords, tokens, and where neither may go.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use nozzle::{
    auth::Secret,
    oci::settings::{Login, RegistrySettings},
    plugin::settings::{PluginSettings, PluginSource},
};
use nozzle_testkit::{
    REGISTRY_USER, RegistryAuth, Server,
    fault_endpoint::{FaultEndpoint, Wire, WireRequest, answer, ok},
    oras_push, plugin,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::json;

use super::{address, component, forgetful, nozzle, reference, said, settings, stable};

const TYPES: (&str, &str) = ("application/wasm", "application/vnd.wasm.config.v0+json");

fn login(user: &str, password: &str) -> Login {
    Login {
        user: Secret::fixed(user),
        password: Secret::fixed(password),
    }
}

fn asked_by(mut settings: PluginSettings, login: Login) -> PluginSettings {
    let PluginSource::Package(package) = &mut settings.source else {
        unreachable!("they are of a package");
    };
    package.registry.login = Some(login);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_a_password_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Password);
    let name = format!("{}/acme/score:1.0", address(server.url()));
    let digest = oras_push(&name, &plugin("json_batch.wasm"), TYPES, REGISTRY_USER);
    let pinned = settings(&format!("oci://{name}@{digest}"));

    let (user, password) = REGISTRY_USER;
    let mine = forgetful()
        .bytes(&asked_by(pinned.clone(), login(user, password)))
        .await;
    let wrong = forgetful()
        .bytes(&asked_by(pinned, login(user, "wrong-canary")))
        .await;

    assert_eq!(mine.expect("it is mine"), component());
    let wrong = said(&wrong.expect_err("another password"));
    assert!(!wrong.contains("canary"), "{wrong}");
    let names = [(address(server.url()), "REGISTRY"), (&*digest, "DIGEST")];
    insta::assert_snapshot!(stable(&wrong, &names));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_docker_has_stored_is_used_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Password);
    let registry = address(server.url());
    let name = format!("oci://{registry}/acme/score:1.0");
    let file = plugin("json_batch.wasm").display().to_string();
    let docker = folder.path().join("docker");
    std::fs::create_dir(&docker).expect("made");
    let store = |config: serde_json::Value| {
        std::fs::write(docker.join("config.json"), config.to_string()).expect("written");
    };
    let (user, password) = REGISTRY_USER;
    let pair = STANDARD.encode(format!("{user}:{password}"));

    let nobody = nozzle(folder.path(), &["plugin", "push", &file, &name]);
    store(json!({ "auths": {}, "credsStore": "desktop" }));
    let helper = nozzle(folder.path(), &["plugin", "push", &file, &name]);
    store(json!({ "auths": { registry: { "auth": pair } } }));
    let pushed = nozzle(folder.path(), &["plugin", "push", &file, &name]);
    let pulled = nozzle(folder.path(), &["plugin", "pull", &name, "-o", "p.wasm"]);
    std::fs::write(docker.join("config.json"), "canary").expect("written");
    let broken = nozzle(folder.path(), &["plugin", "pull", &name]);

    assert_eq!(
        [&pushed, &pulled].map(|ended| ended.code()),
        [0, 0],
        "{}",
        pushed.stderr
    );
    assert_eq!(
        std::fs::read(folder.path().join("p.wasm")).expect("pulled"),
        component()
    );
    let mut errors = String::new();
    for ended in [&nobody, &helper, &broken] {
        assert_eq!(ended.code(), 3, "{}", ended.stderr);
        // Other threads may still log.
        let lines = ended.stderr.lines();
        let said = lines.filter(|line| line.starts_with("error: ") || line.starts_with("  "));
        errors.extend(said.flat_map(|line| [line, "\n"]));
    }
    for ended in [&nobody, &helper, &pushed, &pulled, &broken] {
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains("canary") && !all.contains(&pair), "{all}");
    }
    let folder = folder.path().display().to_string();
    insta::assert_snapshot!(stable(&errors, &[(registry, "REGISTRY"), (&folder, "DIR")]));
}

/// A token for these actions that the registry takes: signed with a key of whose certificate it has the PEM.
fn token(key: &rcgen::KeyPair, certificate: &rcgen::Certificate, actions: &[&str]) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head =
        part(json!({ "alg": "ES256", "typ": "JWT", "x5c": [STANDARD.encode(certificate.der())] }));
    let access = [json!({ "type": "repository", "name": "acme/score", "actions": actions })];
    let claims = part(json!({
        "iss": "test-issuer", "sub": "tester", "aud": "test-registry", "jti": "1",
        "nbf": 0, "iat": 0, "exp": 4_000_000_000_u64, "access": access,
    }));
    let signed = format!("{head}.{claims}");
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        key.serialized_der(),
        &random,
    );
    let signature = pair
        .expect("a key of P-256")
        .sign(&random, signed.as_bytes());
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(signature.expect("signed"))
    )
}

fn header<'a>(request: &'a WireRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| &**value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_for_a_token_gets_one_of_its_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["token.test".to_owned()]);
    let certificate = certificate
        .expect("a name")
        .self_signed(&key)
        .expect("signed");
    let pem = folder.path().join("token.pem");
    std::fs::write(&pem, certificate.pem()).expect("written");
    // A right to push is only for those who ask for it.
    let tokens = [&["pull"][..], &["pull", "push"]]
        .map(|actions| json!({ "token": token(&key, &certificate, actions) }).to_string());
    let service = FaultEndpoint::start(Wire::Http, move |request: &WireRequest| {
        let pushes = request.target.contains("push");
        ok(tokens[usize::from(pushes)].as_bytes())
    })
    .await;
    let realm = format!("{}token", service.url());
    let server = Server::registry(folder.path(), RegistryAuth::Token(&realm, &pem));
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));

    let mine = RegistrySettings {
        login: Some(login("tester", "pw")),
        ..RegistrySettings::default()
    };
    let registry = nozzle::oci::Registry::open(&reference(&tag), &mine)
        .await
        .expect("a registry");
    let pushed = registry
        .push(&super::package(&component()))
        .await
        .expect("pushed");
    let pinned = settings(&format!("{tag}@{}", pushed.manifest));
    let anonymous = forgetful().bytes(&pinned).await.expect("pulled");

    assert_eq!(anonymous, component());
    let asked = service.requests();
    let scopes = |scope: &str| asked.iter().filter(|it| it.target.contains(scope)).count();
    assert!(asked.iter().all(|it| {
        it.target
            .starts_with("/token?service=test-registry&scope=repository%3Aacme%2Fscore%3A")
    }));
    assert!(
        scopes("push") >= 1 && scopes("push") < asked.len(),
        "asked for what is needed: {asked:?}"
    );
    let basic = format!("Basic {}", STANDARD.encode("tester:pw"));
    assert_eq!(header(&asked[0], "authorization"), Some(&*basic));
    let last = asked.last().expect("the anonymous one");
    assert_eq!(header(last, "authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_go_where_a_registry_redirects() {
    let bytes = component();
    let (digest, size) = (nozzle::oci::Digest::of(&bytes).to_string(), bytes.len());
    let storage = FaultEndpoint::start(Wire::Http, move |_: &WireRequest| ok(&bytes)).await;
    let elsewhere = format!("{}signed?secret=canary", storage.url());
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": TYPES.1, "digest": digest, "size": 2 },
        "layers": [{ "mediaType": TYPES.0, "digest": digest, "size": size }],
    });
    let manifest = manifest.to_string();
    let pin = nozzle::oci::Digest::of(manifest.as_bytes());
    let registry = FaultEndpoint::start(Wire::Http, move |request: &WireRequest| {
        match (
            header(request, "authorization"),
            request.target.contains("/blobs/"),
        ) {
            (None, _) => answer(401, &[("www-authenticate", "Basic realm=\"test\"")]),
            (Some(_), true) => answer(307, &[("location", &elsewhere)]),
            (Some(_), false) => ok(manifest.as_bytes()),
        }
    })
    .await;
    let name = registry.url().replace("http://", "oci://");
    let pinned = settings(&format!("{name}acme/score@{pin}"));

    let pulled = forgetful()
        .bytes(&asked_by(pinned, login("tester", "pw")))
        .await;

    assert_eq!(pulled.expect("it follows"), component());
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(header(&requests[0], "authorization"), None);
    let asked: Vec<bool> = registry
        .requests()
        .iter()
        .map(|request| header(request, "authorization").is_some())
        .collect();
    assert_eq!(
        asked,
        [false, true, true],
        "not before it is asked, and once"
    );
}
