//! Where cases are: files, and folders of them.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why there are no cases.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CasesError {
    /// A folder, or what should be one, cannot be read.
    #[error("the cases in `{}` cannot be read", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no case file.
    #[error("there are no cases in `{}`", path.display())]
    None {
        /// The folder.
        path: PathBuf,
    },
}

/// The case files that are meant: of a folder, all `*.yaml` and `*.yml` in it, in order. Without any, those in the folder `cases`
/// beside the plugin, or in the first folder above it that has one.
///
/// # Errors
/// When a folder cannot be read, or has no cases.
pub fn case_files(plugin: &Path, named: &[PathBuf]) -> Result<Vec<PathBuf>, CasesError> {
    if named.is_empty() {
        return folder(&beside(plugin));
    }
    let mut files = Vec::new();
    for path in named {
        match path.is_dir() {
            true => files.extend(folder(path)?),
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// A plugin stands beside its cases, or in a folder of what is built, as `target/wasm32-wasip2/release`.
fn beside(plugin: &Path) -> PathBuf {
    let plugin = std::path::absolute(plugin).unwrap_or_else(|_| plugin.to_owned());
    let folders = plugin.ancestors().skip(1).take(5);
    let mut cases = folders.map(|folder| folder.join("cases"));
    let first = cases.clone().next().unwrap_or_default();
    let found = cases.find(|cases| cases.is_dir()).unwrap_or(first);
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| found.strip_prefix(here).ok().map(Path::to_owned));
    relative.unwrap_or(found)
}

fn folder(path: &Path) -> Result<Vec<PathBuf>, CasesError> {
    let failed = |source| CasesError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(CasesError::None {
            path: path.to_owned(),
        }),
        false => Ok(files),
    }
}
