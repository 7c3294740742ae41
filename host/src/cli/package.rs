//! `nozzle plugin pull`, `push` and `inspect`: plugins between files and registries.

mod args;
mod error;

pub(super) use args::PackageCommand;
pub(super) use error::PackageError;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::{Value, json};

use self::args::{InspectArgs, PullArgs, PushArgs, RegistryArgs};
use super::{
    error::CliError,
    speak::{StdoutError, print},
};
use crate::{
    event::{now_ms, rfc3339},
    oci::{Cache, Component, Digest, Package, Reference, Registry},
    plugin::{self, Names},
};

/// Carries the command out.
pub(super) async fn package(command: PackageCommand) -> Result<(), CliError> {
    match command {
        PackageCommand::Pull(args) => pull(args).await,
        PackageCommand::Push(args) => push(args).await,
        PackageCommand::Inspect(args) => inspect(args).await,
    }
    .map_err(CliError::Package)
}

async fn pull(args: PullArgs) -> Result<(), PackageError> {
    let (manifest, component, bytes) = fetch(&args.reference, &args.registry).await?;
    let last = args
        .reference
        .repository()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let output = args
        .output
        .unwrap_or_else(|| PathBuf::from(format!("{last}.wasm")));
    if let Some(signature) = component.annotations.get(plugin::MINISIGN_ANNOTATION) {
        // First, so that a host that watches the file finds it there.
        write(&minisig(&output), signature.as_bytes())?;
    }
    write(&output, &bytes)?;
    let lines = [
        (
            "package",
            json!(args.reference.pinned(manifest).to_string()),
        ),
        ("sha256", json!(component.digest.hex())),
        ("bytes", json!(bytes.len())),
        ("file", json!(output.display().to_string())),
    ];
    Ok(show(&lines, args.json)?)
}

async fn push(args: PushArgs) -> Result<(), PackageError> {
    if args.reference.digest().is_some() {
        return Err(PackageError::PushedDigest {
            reference: args.reference.to_string(),
        });
    }
    let bytes = read(&args.file)?;
    let names = names(&args.file, &bytes)?;
    if world(&names).is_none() {
        return Err(PackageError::NoPlugin { path: args.file });
    }
    let mut annotations: BTreeMap<String, String> = args.annotations.into_iter().collect();
    if let Some(path) = &args.minisig {
        let text = String::from_utf8(read(path)?.into()).ok();
        let text = text.filter(|text| plugin::MinisignKey::is_signature(text));
        let text = text.ok_or_else(|| PackageError::Minisig { path: path.clone() })?;
        annotations.insert(plugin::MINISIGN_ANNOTATION.to_owned(), text);
    }
    let package = Package {
        bytes,
        imports: names.imports,
        exports: names.exports,
        created: rfc3339(now_ms()),
        annotations,
    };
    let failed = |source| PackageError::Oci {
        verb: "push",
        reference: args.reference.to_string(),
        source: Box::new(source),
    };
    let registry = Registry::open(&args.reference, &args.registry.settings()).await;
    let pushed = registry
        .map_err(failed)?
        .push(&package)
        .await
        .map_err(failed)?;
    let lines = [
        (
            "package",
            json!(args.reference.pinned(pushed.manifest).to_string()),
        ),
        ("sha256", json!(pushed.component.hex())),
        ("bytes", json!(package.bytes.len())),
    ];
    Ok(show(&lines, args.json)?)
}

async fn inspect(args: InspectArgs) -> Result<(), PackageError> {
    let text = args
        .plugin
        .to_str()
        .filter(|text| Reference::is_meant(text));
    let (package, bytes) = match text {
        None => (None, read(&args.plugin)?),
        Some(text) => {
            let reference = Reference::parse(text).map_err(|source| PackageError::Reference {
                text: text.to_owned(),
                source,
            })?;
            let (manifest, _, bytes) = fetch(&reference, &args.registry).await?;
            (Some(reference.pinned(manifest)), bytes)
        }
    };
    let names = names(&args.plugin, &bytes)?;
    let mut lines = Vec::new();
    lines.extend(package.map(|package| ("package", json!(package.to_string()))));
    lines.extend([
        ("sha256", json!(Digest::of(&bytes).hex())),
        ("bytes", json!(bytes.len())),
        ("world", json!(world(&names))),
        ("exports", json!(names.exports)),
        ("imports", json!(names.imports)),
    ]);
    Ok(show(&lines, args.json)?)
}

/// The world that a plugin was built for, by what it exports.
fn world(names: &Names) -> Option<&'static str> {
    let exports = |interface: &str| {
        let mut names = names.exports.iter();
        names.any(|name| name.split('@').next() == Some(interface))
    };
    match (
        exports("nozzle:plugin/shaping"),
        exports("nozzle:plugin/handling"),
    ) {
        (true, true) => Some("sink"),
        (true, false) => Some("shaper"),
        (false, _) => None,
    }
}

/// What pins a package, its component, and the component's bytes; without the network, if they are kept.
async fn fetch(
    reference: &Reference,
    registry: &RegistryArgs,
) -> Result<(Digest, Component, Bytes), PackageError> {
    let cache = Cache::of_user();
    if let (Some(cache), Some(pin)) = (&cache, reference.digest())
        && let Some(resolved) = cache.resolve(pin).await
        && let Some(bytes) = cache.get(resolved.component.digest).await
    {
        return Ok((pin, resolved.component, bytes));
    }
    let failed = |source| PackageError::Oci {
        verb: "pull",
        reference: reference.to_string(),
        source: Box::new(source),
    };
    let registry = Registry::open(reference, &registry.settings())
        .await
        .map_err(failed)?;
    let resolved = registry.resolve().await.map_err(failed)?;
    let bytes = registry
        .component(&resolved.component)
        .await
        .map_err(failed)?;
    if let Some(cache) = cache {
        cache.keep(&resolved, &bytes).await;
    }
    Ok((resolved.manifest, resolved.component, bytes))
}

fn names(path: &Path, bytes: &[u8]) -> Result<Names, PackageError> {
    Names::read(bytes).map_err(|source| PackageError::Names {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Bytes, PackageError> {
    let bytes = fs::read(path).map_err(|source| PackageError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes.into())
}

fn minisig(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    beside.into()
}

/// The whole file or none of it: a host may watch it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), PackageError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // What is left of it is of no use to anybody.
        drop(fs::remove_file(&beside));
        PackageError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn show(lines: &[(&str, Value)], as_json: bool) -> Result<(), StdoutError> {
    if as_json {
        let object: serde_json::Map<String, Value> = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        return print(&format!("{:#}\n", Value::Object(object)));
    }
    let mut text = String::new();
    for (name, value) in lines {
        let values = match value {
            Value::Array(values) => values.clone(),
            Value::Null => vec![json!("none of a plugin")],
            one => vec![one.clone()],
        };
        for (place, value) in values.iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("{name:<9}{value}\n"));
        }
    }
    print(&text)
}
