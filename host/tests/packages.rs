//! Plugins in registries: a real one, clients and signers that nobody here wrote, and everything that can go wrong between.

#[path = "packages/auth.rs"]
mod auth;
#[path = "packages/errors.rs"]
mod errors;
#[path = "packages/interop.rs"]
mod interop;
#[path = "packages/module.rs"]
mod module;
#[path = "packages/pins.rs"]
mod pins;
#[path = "packages/signatures.rs"]
mod signatures;

use std::{error::Error, path::Path, process::Command};

use bytes::Bytes;
use nozzle::{
    oci::{Cache, Digest, Package, Pushed, Reference, Registry, settings::RegistrySettings},
    plugin::{
        Names, PluginHost, SourceError,
        settings::{PackageSettings, PluginLimits, PluginSettings, PluginSource, SignatureKey},
    },
};
use nozzle_testkit::{Child, Ended, plugin};

/// The bytes of a plugin.
fn component() -> Bytes {
    std::fs::read(plugin("json_batch.wasm"))
        .expect("readable")
        .into()
}

/// Without its scheme, as an address of a registry.
fn address(url: &str) -> &str {
    url.strip_prefix("http://").expect("no TLS")
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).expect(text)
}

/// A plugin that is `text`, without pins or keys.
fn settings(text: &str) -> PluginSettings {
    PluginSettings {
        grants: Default::default(),
        source: PluginSource::Package(Box::new(PackageSettings {
            reference: reference(text),
            registry: RegistrySettings::default(),
        })),
        sha256: None,
        signature: None,
        config: "null".to_owned(),
        limits: PluginLimits::default(),
    }
}

fn signed(text: &str, key: SignatureKey) -> PluginSettings {
    PluginSettings {
        signature: Some(key),
        ..settings(text)
    }
}

/// A host that keeps packages in `folder`.
fn host(folder: &Path) -> PluginHost {
    let host = PluginHost::new(None).expect("a host");
    host.with_packages(Some(Cache::new(folder.join("packages"))))
}

/// A host that keeps nothing.
fn forgetful() -> PluginHost {
    PluginHost::new(None).expect("a host")
}

/// What is pushed of `bytes`, which must be a component.
fn package(bytes: &Bytes) -> Package {
    let names = Names::read(bytes).expect("a component");
    Package {
        bytes: bytes.clone(),
        imports: names.imports,
        exports: names.exports,
        created: "2026-01-01T00:00:00Z".to_owned(),
        annotations: Default::default(),
    }
}

/// Pushes a package, without asking for anybody's credentials.
async fn push(text: &str, package: &Package) -> Pushed {
    let registry = Registry::open(&reference(text), &RegistrySettings::default()).await;
    let pushed = registry.expect("a registry").push(package).await;
    pushed.expect("pushed")
}

/// What a user reads of an error: it, its causes, and the hint.
fn said(error: &SourceError) -> String {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!("  caused by: {source}\n"));
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}

/// The same on every machine and every day.
fn stable(text: &str, names: &[(&str, &str)]) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Runs the binary in `folder`, where its caches are too; whatever this machine's user has logged in to is not seen.
fn nozzle(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(folder)
        .args(arguments)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("DOCKER_CONFIG", folder.join("docker"))
        .env(
            "NOZZLE_LOG",
            "nozzle=trace,hyper=trace,hyper_util=trace,info",
        );
    Child::start(&mut command).finish()
}

/// The file in which a registry keeps a blob.
fn kept_by_registry(folder: &Path, digest: Digest) -> std::path::PathBuf {
    let hex = digest.hex();
    let (first, _) = hex.split_at(2);
    folder.join(format!(
        "blobs/docker/registry/v2/blobs/sha256/{first}/{hex}/data"
    ))
}
