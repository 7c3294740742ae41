//! What the commands can be told.

use std::path::PathBuf;

use crate::{
    oci::{Reference, settings::RegistrySettings},
    plugin,
};

/// What `nozzle plugin` can do with packages.
#[derive(Debug, Clone, clap::Subcommand)]
pub(in crate::cli) enum PackageCommand {
    /// Writes the component of a package into a file, and prints the digests that pin it.
    Pull(PullArgs),
    /// Puts a component into a registry, as `wkg` does, and prints the digests that pin it.
    Push(PushArgs),
    /// Says what a plugin is: its world, what it imports and exports, its size and digest.
    Inspect(InspectArgs),
}

/// How a registry is reached.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct RegistryArgs {
    /// Who asks. Default: what `docker login` has stored for the registry, if anything.
    #[arg(long, value_name = "NAME", requires = "password")]
    pub(super) user: Option<String>,
    /// The user's password, or a token in its place.
    #[arg(
        long,
        value_name = "TEXT",
        env = "NOZZLE_REGISTRY_PASSWORD",
        hide_env_values = true
    )]
    pub(super) password: Option<String>,
    /// A PEM file with further roots, beside the platform's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Speaks no TLS, as is done without it with a registry on this machine.
    #[arg(long, conflicts_with = "ca_file")]
    pub(super) plain_http: bool,
}

/// What `nozzle plugin pull` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct PullArgs {
    /// `oci://registry/repository:tag`, or `oci://registry/repository@sha256:…`.
    #[arg(value_name = "oci://…", value_parser = Reference::parse)]
    pub(super) reference: Reference,
    /// Where the component goes; a signature in its manifest goes beside it (`FILE.minisig`). Default: the repository's
    /// last part, with `.wasm`.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Prints JSON in place of lines.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// What `nozzle plugin push` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct PushArgs {
    /// The component.
    #[arg(value_name = "P.wasm")]
    pub(super) file: PathBuf,
    /// `oci://registry/repository:tag`.
    #[arg(value_name = "oci://…", value_parser = Reference::parse)]
    pub(super) reference: Reference,
    /// Its signature, as `minisign -S` writes it.
    #[arg(long, value_name = "FILE")]
    pub(super) minisig: Option<PathBuf>,
    /// Something to say of the package, such as `org.opencontainers.image.version=1.0`; may stand several times.
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = annotation)]
    pub(super) annotations: Vec<(String, String)>,
    /// Prints JSON in place of lines.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// What `nozzle plugin inspect` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct InspectArgs {
    /// A file, or `oci://registry/repository:tag`.
    #[arg(value_name = "P.wasm|oci://…")]
    pub(super) plugin: PathBuf,
    /// Prints JSON in place of lines.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

impl RegistryArgs {
    pub(super) fn settings(&self) -> RegistrySettings {
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
