//! `nozzle plugin pull`, `push` and `inspect`: plugins between files and registries.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{error::CliError, letters::print};
use crate::{
    event::{now_ms, rfc3339},
    oci::{
        Cache, Component, Digest, OciError, Package, Reference, ReferenceError, Registry,
        settings::RegistrySettings,
    },
    plugin::{self, Names, NamesError},
};

/// What `nozzle plugin` can do with packages.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum PackageCommand {
    /// Writes the component of a package into a file, and prints the digests that pin it.
    Pull(PullArgs),
    /// Puts a component into a registry, as `wkg` does, and prints the digests that pin it.
    Push(PushArgs),
    /// Says what a plugin is: its world, what it imports and exports, its size and digest.
    Inspect(InspectArgs),
}

/// How a registry is reached.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RegistryArgs {
    /// Who asks. Default: what `docker login` has stored for the registry, if anything.
    #[arg(long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// The user's password, or a token in its place.
    #[arg(
        long,
        value_name = "TEXT",
        env = "NOZZLE_REGISTRY_PASSWORD",
        hide_env_values = true
    )]
    password: Option<String>,
    /// A PEM file with further roots, beside the platform's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Speaks no TLS, as is done without it with a registry on this machine.
    #[arg(long, conflicts_with = "ca_file")]
    plain_http: bool,
}

/// What `nozzle plugin pull` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PullArgs {
    /// `oci://registry/repository:tag`, or `oci://registry/repository@sha256:…`.
    #[arg(value_name = "oci://…", value_parser = Reference::parse)]
    reference: Reference,
    /// Where the component goes; a signature in its manifest goes beside it (`FILE.minisig`). Default: the repository's
    /// last part, with `.wasm`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Prints JSON in place of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What `nozzle plugin push` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PushArgs {
    /// The component.
    #[arg(value_name = "P.wasm")]
    file: PathBuf,
    /// `oci://registry/repository:tag`.
    #[arg(value_name = "oci://…", value_parser = Reference::parse)]
    reference: Reference,
    /// Its signature, as `minisign -S` writes it.
    #[arg(long, value_name = "FILE")]
    minisig: Option<PathBuf>,
    /// Something to say of the package, such as `org.opencontainers.image.version=1.0`; may stand several times.
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,
    /// Prints JSON in place of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What `nozzle plugin inspect` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct InspectArgs {
    /// A file, or `oci://registry/repository:tag`.
    #[arg(value_name = "P.wasm|oci://…")]
    plugin: PathBuf,
    /// Prints JSON in place of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Why such a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackageError {
    #[error("`{text}` is no package")]
    Reference {
        text: String,
        #[source]
        source: ReferenceError,
    },
    #[error("`{reference}` names a digest, and a package is pushed under a tag")]
    PushedDigest { reference: String },
    #[error("could not read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is no plugin", path.display())]
    Names {
        path: PathBuf,
        #[source]
        source: NamesError,
    },
    #[error("`{}` is a component, but no plugin: it does not export `nozzle:plugin/shaping`", path.display())]
    NoPlugin { path: PathBuf },
    #[error("`{}` is no signature of minisign: it is no text", path.display())]
    Minisig { path: PathBuf },
    #[error("could not {verb} `{reference}`")]
    Oci {
        verb: &'static str,
        reference: String,
        #[source]
        source: Box<OciError>,
    },
}

impl PackageError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Reference { .. } | Self::PushedDigest { .. } => 2,
            Self::Write { .. } => 1,
            _ => 3,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Reference { .. } => "write `oci://registry/repository:tag`",
            Self::PushedDigest { .. } => {
                "leave out the digest: it is printed when the package is pushed"
            }
            Self::Names {
                source: NamesError::CoreModule,
                ..
            }
            | Self::NoPlugin { .. } => {
                "build it for the world `shaper` or `sink` of `wit/worlds.wit`"
            }
            Self::Oci { source, .. } => {
                // The command line has the same keys as flags.
                let hint = source.hint()?;
                let words = [
                    (
                        "write `plugin.registry.user` and `password` into the module file",
                        "pass --user and --password",
                    ),
                    (
                        "name the root's PEM file as `plugin.registry.ca-file`",
                        "name the root's PEM file with --ca-file",
                    ),
                    (
                        "write `plugin.registry.plain-http: true`",
                        "pass --plain-http",
                    ),
                    (
                        "write `plugin.registry.plain-http: false` if it speaks it",
                        "name its root with --ca-file if it speaks it",
                    ),
                ];
                let said = words
                    .iter()
                    .fold(hint, |hint, (key, flag)| hint.replace(key, flag));
                return Some(said);
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl RegistryArgs {
    fn settings(&self) -> RegistrySettings {
        let login = self.user.as_deref().zip(self.password.as_deref());
        RegistrySettings::new(login, self.ca_file.clone(), self.plain_http.then_some(true))
    }
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write NAME=VALUE")?;
    if name == plugin::MINISIGN_ANNOTATION {
        return Err("name the signature's file with --minisig".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

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
    show(&lines, args.json);
    Ok(())
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
        let text = String::from_utf8(read(path)?.into());
        let text = text.map_err(|_| PackageError::Minisig { path: path.clone() })?;
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
    show(&lines, args.json);
    Ok(())
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
        ("world", json!(world(&names).unwrap_or("none of a plugin"))),
        ("exports", json!(names.exports)),
        ("imports", json!(names.imports)),
    ]);
    show(&lines, args.json);
    Ok(())
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

fn show(lines: &[(&str, Value)], as_json: bool) {
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
    print(&text);
}
