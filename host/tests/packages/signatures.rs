//! Whose plugins are let in: minisign and cosign's key form.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::signal::Signal;
use nozzle::{
    oci::{CosignKey, Digest},
    plugin::{
        MINISIGN_ANNOTATION, MinisignKey,
        settings::{PluginSettings, PluginSource, SignatureKey},
    },
};
use nozzle_testkit::{
    Child, RegistryAuth, Server, minisign_key, minisign_sign, oras_push_signature, plugin,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use serde_json::json;

use super::{address, component, forgetful, host, nozzle, package, push, said, signed, stable};

fn of_file(path: &Path, key: SignatureKey) -> PluginSettings {
    PluginSettings {
        source: PluginSource::File(path.to_owned()),
        ..signed("oci://localhost/x:1", key)
    }
}

fn minisign(text: &str) -> SignatureKey {
    SignatureKey::Minisign(MinisignKey::parse(text).expect("a key"))
}

/// A plugin in `folder`, signed, and the key.
fn signed_file(folder: &Path) -> (PathBuf, SignatureKey) {
    let key = minisign_key(folder);
    let file = folder.join("score.wasm");
    std::fs::copy(plugin("json_batch.wasm"), &file).expect("copied");
    minisign_sign(folder, &file);
    (file, minisign(&key))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_must_have_the_signature_of_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, key) = signed_file(folder.path());
    let other = tempfile::tempdir().expect("a folder");
    let (_, other_key) = signed_file(other.path());
    let beside = folder.path().join("score.wasm.minisig");
    let signature = std::fs::read_to_string(&beside).expect("signed");
    let mine = of_file(&file, key);

    let fine = forgetful().bytes(&mine).await.expect("it is signed");
    let mut errors = String::new();
    let mut refused = async |settings: &PluginSettings| {
        let refused = forgetful()
            .bytes(settings)
            .await
            .expect_err("it must not load");
        errors.push_str(&said(&refused));
    };
    refused(&of_file(&file, other_key)).await;
    let comment = signature.replace("trusted comment: ", "trusted comment: changed ");
    std::fs::write(&beside, comment).expect("written");
    refused(&mine).await;
    std::fs::write(&beside, "no signature").expect("written");
    refused(&mine).await;
    std::fs::write(&beside, &signature).expect("written");
    std::fs::write(&file, [&component()[..], b"\0"].concat()).expect("written");
    refused(&mine).await;
    std::fs::remove_file(&beside).expect("it is there");
    refused(&mine).await;

    assert_eq!(fine, component());
    let folder = folder.path().display().to_string();
    insta::assert_snapshot!(stable(&errors, &[(&folder, "DIR")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_carries_the_signature_of_its_component() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, key) = signed_file(folder.path());
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let [file, minisig] =
        [file.clone(), file.with_extension("wasm.minisig")].map(|path| path.display().to_string());
    let pushed = nozzle(
        folder.path(),
        &["plugin", "push", &file, &tag, "--minisig", &minisig],
    );
    let pulled = nozzle(
        folder.path(),
        &["plugin", "pull", &tag, "-o", "pulled.wasm"],
    );
    assert_eq!(
        [pushed.code(), pulled.code()],
        [0, 0],
        "{}{}",
        pushed.stderr,
        pulled.stderr
    );
    let pinned = pushed
        .stdout
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1));
    let pinned = signed(pinned.expect("it says so"), key.clone());
    let mut by_component = signed(&tag, key.clone());
    by_component.sha256 = Some(*Digest::of(&component()).bytes());
    let bare = push(&tag.replace("1.0", "bare"), &package(&component())).await;
    let unsigned = signed(&format!("{tag}@{}", bare.manifest), key.clone());

    let fine = host(folder.path())
        .bytes(&pinned)
        .await
        .expect("it is signed");
    // What is kept for another plugin is not signed for this one.
    let not_signed = host(folder.path()).bytes(&unsigned).await;
    let from_file = forgetful()
        .bytes(&of_file(&folder.path().join("pulled.wasm"), key))
        .await;
    drop(server);
    for kept in [&pinned, &by_component] {
        let kept = host(folder.path())
            .bytes(kept)
            .await
            .expect("the signature is kept too");
        assert_eq!(kept, component());
    }

    assert_eq!(fine, component());
    assert_eq!(from_file.expect("it came with its signature"), component());
    let words = not_signed
        .err()
        .map(|error| said(&error))
        .unwrap_or_default();
    assert!(words.contains(MINISIGN_ANNOTATION), "{words}");
}

/// A key pair of cosign, whose public half is in PEM.
fn cosign() -> (EcdsaKeyPair, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        key.serialized_der(),
        &random,
    );
    (pair.expect("a key of P-256"), key.public_key_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_must_have_the_signature_of_cosigns_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let repository = format!("{}/acme/score", address(server.url()));
    let tag = format!("oci://{repository}:1.0");
    let pushed = push(&tag, &package(&component())).await;
    let pinned = format!("{tag}@{}", pushed.manifest);
    let ((pair, key), (_, other_key)) = (cosign(), cosign());
    let [mine, theirs] = [key, other_key].map(|pem| {
        let key = CosignKey::parse(&pem).expect("a key");
        signed(&pinned, SignatureKey::Cosign(key))
    });
    // As `cosign sign --key` leaves it in a registry.
    let sign = |of: &str| {
        let image = json!({ "docker-manifest-digest": of });
        let identity = json!({ "docker-reference": repository });
        let critical = json!({ "identity": identity, "image": image, "type": "cosign container image signature" });
        let payload = json!({ "critical": critical, "optional": null }).to_string();
        let signature = pair
            .sign(&SystemRandom::new(), payload.as_bytes())
            .expect("signed");
        let file = folder.path().join("payload.json");
        std::fs::write(&file, payload).expect("written");
        let name = format!("{repository}:sha256-{}.sig", pushed.manifest.hex());
        oras_push_signature(&name, &file, &STANDARD.encode(signature));
    };

    let missing = forgetful()
        .bytes(&mine)
        .await
        .expect_err("nobody signed it");
    sign(&Digest::of(b"another").to_string());
    let another = forgetful()
        .bytes(&mine)
        .await
        .expect_err("another was signed");
    sign(&pushed.manifest.to_string());
    let fine = host(folder.path())
        .bytes(&mine)
        .await
        .expect("it is signed");
    let their = host(folder.path())
        .bytes(&theirs)
        .await
        .expect_err("they did not sign it");
    drop(server);
    let kept = host(folder.path())
        .bytes(&mine)
        .await
        .expect("the signature is kept too");

    assert_eq!([fine, kept], [component(), component()]);
    let errors: String = [&missing, &another, &their].map(said).concat();
    let names = [
        (repository.split('/').next().unwrap_or_default(), "REGISTRY"),
        (&*pushed.manifest.hex(), "MANIFEST"),
        (&*Digest::of(b"another").hex(), "ANOTHER"),
    ];
    insta::assert_snapshot!(stable(&errors, &names));
}

/// A host in `folder`, whose plugin is `score.wasm`, signed by `key` if there is one.
fn start_with(folder: &Path, key: Option<&str>) -> Child {
    let signature = key.map(|key| {
        let key = key.lines().last().expect("a key below its comment");
        format!(", signature: {{ minisign: \"{key}\" }}")
    });
    let text = format!(
        "version: \"1\"\ningresses:\n  - id: t/in\n    datagen: {{ rate: 50 }}\n    routers: [{{ to: [t/sink] }}]\nsinks:\n  - id: t/sink\n    plugin: {{ path: score.wasm{} }}\n    endpoint: {{ url: \"http://127.0.0.1:9/\" }}\n",
        signature.unwrap_or_default()
    );
    std::fs::write(folder.join("module.yaml"), text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    let command = command.current_dir(folder);
    Child::start(command.args(["run", "module.yaml", "--admin", "unix:admin.sock"]))
}

fn kill(host: Child) {
    host.signal(Signal::SIGKILL);
    host.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_a_signature_does_not_come_back_where_one_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let key = minisign_key(folder);
    std::fs::copy(plugin("json_batch.wasm"), folder.join("score.wasm")).expect("copied");
    let crashes = start_with(folder, None);
    crashes.wait_for("the endpoint is down");
    kill(crashes);

    let ended = start_with(folder, Some(&key)).finish();

    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    let expected = "`score.wasm` is not signed, and `plugin.signature` asks for it";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_signed_comes_back_by_a_rollback_and_after_a_crash() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let folder = folder.path();
    let (key, other_key) = (minisign_key(folder), minisign_key(other.path()));
    let file = folder.join("score.wasm");
    let deploy = |component: &str| {
        std::fs::copy(plugin(component), &file).expect("copied");
        minisign_sign(folder, &file);
    };
    let ask = |what: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
        let command = command.current_dir(folder).args(["plugin", what, "t/sink"]);
        Child::start(command.args(["--admin", "unix:admin.sock"])).finish()
    };
    deploy("json_batch.wasm");
    let host = start_with(folder, Some(&key));
    host.wait_for("the endpoint is down");

    deploy("per_record.wasm");
    let swapped = ask("swap");
    let back = ask("rollback");
    kill(host);
    std::fs::remove_file(folder.join("score.wasm.minisig")).expect("it was signed");
    let again = start_with(folder, Some(&key));
    again.wait_for("the version that served before the crash comes back");
    again.wait_for("the endpoint is down");
    kill(again);
    let refused = start_with(folder, Some(&other_key)).finish();

    assert_eq!(swapped.code(), 0, "{}", swapped.stderr);
    assert_eq!(back.code(), 0, "{}", back.stderr);
    assert_eq!(refused.code(), 3, "{}", refused.stderr);
}
