//! New projects: a plugin that builds and passes its first test, with all that it needs.

mod files;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The languages that there are projects in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the languages")]
pub enum Language {
    Rust,
    Typescript,
    Python,
    Go,
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rust,
        Self::Typescript,
        Self::Python,
        Self::Go,
        Self::C,
    ];

    /// As it is written on the command line, and as its folder is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Typescript => "typescript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
        }
    }
}

/// What a project begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// A call for each record.
    PerRecord,
    /// A call for each batch.
    PerBatch,
    /// A call for each batch, whose response has a verdict for each record.
    Bulk,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PerRecord, Self::PerBatch, Self::Bulk];

    /// As it is written on the command line, and as its folder is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerRecord => "per-record",
            Self::PerBatch => "per-batch",
            Self::Bulk => "bulk",
        }
    }
}

/// The SDK, which a project of each language has beside its own code.
const SDK: &str = "nozzle-plugin";

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// There is something already.
    #[error("`{}` is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// There is a file in its place, or in that of a folder above it.
    #[error("`{}` cannot be a folder: it, or what is above it, is a file", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A name that the tools of the language do not take.
    #[error("`{name}` is no name for a project")]
    Name {
        /// The name.
        name: String,
    },
    /// The SDK's, which stands in the project.
    #[error("`{SDK}` is the name of the SDK")]
    Sdk,
    /// This build of the host has no such project.
    #[error("this build of nozzle has no project in {language} for `{template}`")]
    Missing {
        /// The language.
        language: &'static str,
        /// The template.
        template: &'static str,
    },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ProjectError {
    /// What the author can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } | Self::NoFolder { .. } => {
                Some("name a folder that is not there yet")
            }
            Self::Name { .. } => Some(
                "a name begins with a letter and has lower-case letters, digits and `-`: pass one with `--name`",
            ),
            Self::Sdk => Some("pass another name with `--name`"),
            Self::Missing { .. } => Some("it was built without the sources beside it"),
            Self::Write { .. } => None,
        }
    }
}

/// Writes a project, and says how many files it has. Its name is `name`, or that of the folder.
///
/// # Errors
/// See [`ProjectError`]. A folder that is not empty is left as it is.
pub fn write_project(
    language: Language,
    template: Template,
    folder: &Path,
    name: Option<&str>,
) -> Result<usize, ProjectError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let last = absolute.file_name().map(|name| name.to_string_lossy());
    let name = name.map_or_else(|| last.unwrap_or_default().into_owned(), str::to_owned);
    if !is_name(&name) {
        return Err(ProjectError::Name { name });
    }
    if name == SDK {
        return Err(ProjectError::Sdk);
    }
    let path = folder.to_owned();
    match fs::read_dir(folder).map(|mut entries| entries.next()) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(ProjectError::NotEmpty { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(ProjectError::NoFolder { path });
        }
        Err(source) => return Err(ProjectError::Write { path, source }),
    }
    let all = files::of(language.name(), template.name());
    let all = all.ok_or(ProjectError::Missing {
        language: language.name(),
        template: template.name(),
    })?;
    for (path, bytes) in &all {
        let path = folder.join(named(path, &name));
        let written = write(&path, bytes, &name);
        written.map_err(|source| ProjectError::Write { path, source })?;
    }
    Ok(all.len())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `my-plugin` is where the project's name stands.
fn named(text: &str, name: &str) -> String {
    text.replace("my-plugin", name)
        .replace("my_plugin", &name.replace('-', "_"))
}

fn write(path: &Path, bytes: &[u8], name: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => fs::write(path, named(text, name))?,
        Err(_) => fs::write(path, bytes)?,
    }
    #[cfg(unix)]
    if path.extension().is_some_and(|extension| extension == "sh") {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
