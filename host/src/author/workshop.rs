//! A plugin on the author's bench: read once, loaded anew for each case.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use memchr::memmem;

use super::mistake::Mistake;
use crate::{
    oci::Digest,
    plugin::{
        Binary, HostError, LoadError, LoadedPlugin, Names, PluginError, PluginHost, needed_grant,
        settings::{
            GrantSettings, HttpGrant, KeyvalueGrant, PluginLimits, PluginSettings, PluginSource,
        },
    },
};

/// Why there is no bench to work on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkshopError {
    /// The plugin host could not be set up.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A module that a compiler made for WASI's first preview.
    #[error("`{}` was built for wasip1: it is a core WebAssembly module, and a plugin is a component", path.display())]
    Preview1 {
        /// The file.
        path: PathBuf,
    },
    /// The plugin is none.
    #[error(transparent)]
    Plugin(Box<LoadError>),
}

impl From<LoadError> for WorkshopError {
    fn from(error: LoadError) -> Self {
        Self::Plugin(Box::new(error))
    }
}

/// A grant to ask a host that nobody has: requests fail before they are made.
pub(super) fn no_network() -> HttpGrant {
    HttpGrant::new(Vec::new())
}

/// What such modules import.
const PREVIEW1: &[u8] = b"wasi_snapshot_preview1";

impl WorkshopError {
    /// What the author can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Host(_) => None,
            Self::Plugin(error) => hint_of(error),
            Self::Preview1 { .. } => Some(
                "build for wasip2: in Rust `cargo build --target wasm32-wasip2`; in Go and C the build script of `nozzle plugin new` \
                 makes a component of the module"
                    .to_owned(),
            ),
        }
    }
}

/// What the author can do about it: no module file is in sight.
pub(super) fn hint_of(error: &LoadError) -> Option<String> {
    match error {
        LoadError::Configure { .. } => Some(
            "pass settings that the plugin takes: `--config '{…}'`, or `config` in a case"
                .to_owned(),
        ),
        LoadError::Ungranted { import, .. } => {
            let grant = match import.starts_with("wasi:http/") {
                true => "http",
                false => "keyvalue",
            };
            let sink = error.hint().unwrap_or_default();
            Some(format!("in a case: `grants: {{ {grant}: true }}`; in a module: {sink}"))
        }
        LoadError::Source(_) => Some("name the component that your build writes".to_owned()),
        LoadError::Start(PluginError::Trapped(_)) => Some(
            "an exception or a panic says nothing to whoever writes the settings: return an error from `configure`, in words".to_owned(),
        ),
        LoadError::Start(error) => Mistake::Shape(error.clone()).hint(),
        error => error.hint(),
    }
}

/// A plugin, and a host that it is run in.
#[derive(Debug)]
pub struct Workshop {
    pub(super) host: PluginHost,
    pub(super) binary: Binary,
    path: PathBuf,
    pub(super) limits: PluginLimits,
}

impl Workshop {
    /// Reads a plugin. What is compiled of it is kept in `cache`, if there is one, in place of what was kept before.
    ///
    /// # Errors
    /// When the file cannot be read, or the host cannot be set up.
    pub async fn open(
        plugin: &Path,
        limits: PluginLimits,
        cache: Option<PathBuf>,
    ) -> Result<Self, WorkshopError> {
        let host = PluginHost::new(cache)?;
        let workshop = Self {
            binary: Binary::new(plugin.to_owned(), Default::default()),
            path: plugin.to_owned(),
            host,
            limits,
        };
        let settings = workshop.settings("null", GrantSettings::default());
        let binary = workshop.host.read(&settings).await?;
        let is_module = binary.bytes.starts_with(b"\0asm\x01\0\0\0");
        if is_module && memmem::find(&binary.bytes, PREVIEW1).is_some() {
            return Err(WorkshopError::Preview1 {
                path: plugin.to_owned(),
            });
        }
        workshop.host.keep_for("author", vec![binary.hex_digest()]);
        workshop.host.tidy();
        Ok(Self { binary, ..workshop })
    }

    /// Where what is compiled of this plugin is kept for its user: in a folder that nobody else can write to. None where
    /// there is no such place.
    pub fn cache_of_user(plugin: &Path) -> Option<PathBuf> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = named("XDG_CACHE_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")))?;
        let path = std::path::absolute(plugin).ok()?;
        let name = Digest::of(path.as_os_str().as_encoded_bytes()).hex();
        let folder = folder.join("nozzle").join("author").join(name);
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.and_then(|()| is_own(&folder)).ok()?.then_some(folder)
    }

    /// All that the plugin imports granted, with the lines of a module file that do so. There is no network behind it.
    pub(super) fn needed(&self) -> (Vec<&'static str>, GrantSettings) {
        let names = Names::read(&self.binary.bytes).unwrap_or_default();
        let needed = names.imports.iter().map(|import| needed_grant(import));
        let mut lines: Vec<_> = needed.flatten().collect();
        lines.sort_unstable();
        lines.dedup();
        let given = GrantSettings {
            http: Some(no_network()),
            keyvalue: Some(KeyvalueGrant::default()),
            ..GrantSettings::default()
        };
        (lines, given)
    }

    /// Loads the plugin as a sink's, with an instance of its own.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        &self,
        name: &str,
        config: &str,
        grants: GrantSettings,
    ) -> Result<LoadedPlugin, LoadError> {
        let sink = name.to_owned();
        let settings = self.settings(config, GrantSettings { sink, ..grants });
        self.host.load_binary(name, &settings, &self.binary).await
    }

    fn settings(&self, config: &str, grants: GrantSettings) -> PluginSettings {
        PluginSettings {
            source: PluginSource::File(self.path.clone()),
            sha256: None,
            signature: None,
            config: config.to_owned(),
            limits: self.limits.clone(),
            grants,
        }
    }
}

/// Whether nobody but its owner can write to a folder: machine code is run from it.
fn is_own(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(folder)?;
    let is_mine = found.uid() == rustix::process::geteuid().as_raw();
    Ok(is_mine && found.mode() & 0o022 == 0)
}
