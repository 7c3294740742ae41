//! Why a command failed, and what can be done about it.

use std::{io, path::PathBuf};

use crate::{
    cli::speak::StdoutError,
    oci::{OciError, ReferenceError},
    plugin::NamesError,
};

/// Why such a command failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PackageError {
    #[error("`{text}` is no package")]
    Reference {
        text: String,
        #[source]
        source: ReferenceError,
    },
    #[error(transparent)]
    Stdout(#[from] StdoutError),
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
    #[error("`{}` is no signature of minisign", path.display())]
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
    pub(in crate::cli) fn exit_code(&self) -> u8 {
        match self {
            Self::Reference { .. } | Self::PushedDigest { .. } => 2,
            Self::Write { .. } | Self::Stdout(_) => 1,
            _ => 3,
        }
    }

    pub(in crate::cli) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Reference { .. } => "write `oci://registry/repository:tag`",
            Self::PushedDigest { .. } => {
                "leave out the digest: it is printed when the package is pushed"
            }
            Self::Names {
                source: NamesError::NotWasm,
                ..
            } => {
                "a plugin is a WebAssembly component, as `cargo build --target wasm32-wasip2` makes it"
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
            Self::Minisig { .. } => {
                "name the file that `minisign -S` has written: `P.wasm.minisig`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
