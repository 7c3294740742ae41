//! What others push is pulled, and what is pushed others pull.

use nozzle::oci::Digest;
use nozzle_testkit::{
    Recorder, RegistryAuth, Server, oras_pull, oras_push, plugin, wkg_pull, wkg_push,
};
use serde_json::Value;

use super::{address, component, forgetful, nozzle, settings};

#[tokio::test(flavor = "multi_thread")]
async fn what_wkg_pushes_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let name = format!("{}/acme/json-batch:1.0", address(server.url()));
    wkg_push(&name, &plugin("json_batch.wasm"));

    let mut settings = settings(&format!("oci://{name}"));
    settings.sha256 = Some(*Digest::of(&component()).bytes());
    let loaded = forgetful()
        .load("t/sink", &settings)
        .await
        .expect("it loads");

    assert_eq!(loaded.digest(), Digest::of(&component()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_others_pull() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let name = format!("{}/acme/json-batch:1.0", address(server.url()));
    let file = plugin("json_batch.wasm").display().to_string();
    let version = "org.opencontainers.image.version=1.0";

    let reference = format!("oci://{name}");
    let pushed = nozzle(
        folder.path(),
        &[
            "plugin",
            "push",
            &file,
            &reference,
            "--annotation",
            version,
            "--json",
        ],
    );
    let (by_wkg, by_oras) = (
        folder.path().join("wkg.wasm"),
        folder.path().join("oras.wasm"),
    );
    let wkg = wkg_pull(&name, &by_wkg);
    let oras = oras_pull(&name, &by_oras, ("", ""));

    assert_eq!(pushed.code(), 0, "{}", pushed.stderr);
    let pushed: Value = serde_json::from_str(&pushed.stdout).expect("JSON");
    let package = pushed["package"].as_str().expect("a text");
    let (_, digest) = package.split_once('@').expect("it is pinned");
    assert!(wkg.starts_with(&format!("{digest} wasip2 ")), "{wkg}");
    assert!(
        wkg.contains("nozzle:plugin/types@0.1.0") && wkg.contains("nozzle:plugin/shaping@0.1.0"),
        "{wkg}"
    );
    for file in [by_wkg, by_oras] {
        assert_eq!(std::fs::read(file).expect("it is there"), component());
    }
    assert_eq!(
        oras["manifest"]["annotations"]["org.opencontainers.image.version"],
        "1.0"
    );
    let component = Digest::of(&component()).to_string();
    assert_eq!(
        oras["config"]["layerDigests"],
        serde_json::json!([component])
    );
    assert_eq!(pushed["sha256"], component.trim_start_matches("sha256:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_client_pushes_is_pulled_into_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let name = format!("{}/acme/score:1.0", address(server.url()));
    let types = ("application/wasm", "application/vnd.wasm.config.v0+json");
    let digest = oras_push(&name, &plugin("json_batch.wasm"), types, ("", ""));

    let pulled = nozzle(folder.path(), &["plugin", "pull", &format!("oci://{name}")]);
    let inspected = nozzle(folder.path(), &["plugin", "inspect", "score.wasm"]);

    assert_eq!(pulled.code(), 0, "{}", pulled.stderr);
    let package = format!("package  oci://{name}@{digest}\n");
    assert!(pulled.stdout.starts_with(&package), "{}", pulled.stdout);
    assert_eq!(
        std::fs::read(folder.path().join("score.wasm")).expect("it is there"),
        component()
    );
    assert!(
        inspected.stdout.contains("world    shaper\n"),
        "{}",
        inspected.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_runs_a_package_and_runs_it_again_without_its_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let name = format!("{}/acme/json-batch:1.0", address(server.url()));
    wkg_push(&name, &plugin("json_batch.wasm"));
    let endpoint = Recorder::start(|_| 200).await;
    let digest = Digest::of(&component()).hex();
    let module = format!(
        "version: \"1\"\n\
         ingresses: [{{ id: t/in, datagen: {{ count: 7 }}, routers: [{{ to: [t/out] }}] }}]\n\
         sinks: [{{ id: t/out, plugin: {{ path: \"oci://{name}\", sha256: {digest} }}, endpoint: {{ url: \"{}\" }} }}]\n",
        endpoint.url()
    );
    std::fs::write(folder.path().join("module.yaml"), module).expect("written");

    let first = nozzle(folder.path(), &["run", "module.yaml"]);
    drop(server);
    let again = nozzle(folder.path(), &["run", "module.yaml"]);

    assert_eq!(first.code(), 0, "{}", first.stderr);
    assert_eq!(again.code(), 0, "{}", again.stderr);
}
