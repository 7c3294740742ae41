//! From a component to machine code: in a process of its own, and kept for the next start.
//!
//! Compiling is the one thing that a plugin makes the host do without a limit of wasmtime's: a component of a few
//! kilobytes can keep a compiler busy for hours. So it is done by a second process of this program, with little priority
//! and with limits that the kernel keeps; the data path does not notice, and killing it harms nobody.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};
use wasmtime::{Engine, component::Component};

use super::{engine::engine_config, load::Binary, settings::PluginLimits};

/// By the clock a process may take so many times its processor time, on a machine that has other work.
const PATIENCE: u32 = 5;
/// What is listened to of its last words.
const MAX_WORDS: u64 = 16 * 1024;
/// Below everything that delivers.
const NICENESS: i32 = 10;

/// The exit code of the process that compiles, where the component is at fault. It says why on standard output.
const AT_FAULT: u8 = 3;

/// How the process that compiles came to its end without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It could not be started or spoken to, or what it made could not be read or written.
    #[error("the compiled plugin could not be written or read in `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took longer than any sensible component.
    #[error("compiling took longer than {0:?} of processor time (limits.compile-time)")]
    TooLong(Duration),
    /// It died: by the kernel's hand, or for want of memory.
    #[error("the process that compiles ended by {how}; it may use {} of memory (limits.compile-memory)", bytesize::ByteSize(*memory))]
    Died {
        /// How.
        how: String,
        /// Bytes.
        memory: u64,
    },
    /// What it made is not what this engine loads.
    #[error("the compiled plugin cannot be loaded: {0}")]
    Load(String),
}

impl CompileError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => Some("the folder needs rights and room for compiled plugins".into()),
            Self::TooLong(_) | Self::Died { .. } => {
                Some("build it optimised and without debug information, or raise the limit".into())
            }
            Self::Load(_) => None,
        }
    }
}

/// Why a component has no machine code.
#[derive(Debug)]
pub(super) enum NotCompiled {
    /// The component is damaged, or needs what the engine does not have.
    AtFault(String),
    Failed(CompileError),
}

impl NotCompiled {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Failed(CompileError::Io { path, source })
    }
}

/// Compiles, and keeps what was compiled in a folder.
#[derive(Debug)]
pub(super) struct Compiler {
    folder: PathBuf,
    /// This program, which compiles when it is called so; none: within this process.
    program: Option<PathBuf>,
}

impl Compiler {
    pub(super) fn new(folder: PathBuf, program: Option<PathBuf>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, program })
    }

    /// The machine code of a component, compiled now or before.
    pub(super) async fn component(
        &self,
        engine: &Engine,
        binary: &Binary,
        limits: &PluginLimits,
    ) -> Result<Component, NotCompiled> {
        let path = self.folder.join(file_name(engine, &binary.hex_digest()));
        if path.is_file() {
            match open(engine, &path).await {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a compiled plugin is damaged, and made again");
                }
            }
        }
        let fail = |source| NotCompiled::io(&path, source);
        // The folder may have been tidied up meanwhile.
        fs::create_dir_all(&self.folder).map_err(fail)?;
        let unfinished = path.with_extension(format!("{}.part", fastrand::u64(..)));
        let made = match &self.program {
            Some(program) => compile_apart(program, &unfinished, binary, limits).await,
            None => compile_here(engine.clone(), binary, &unfinished).await,
        };
        let renamed = made.and_then(|()| fs::rename(&unfinished, &path).map_err(fail));
        if renamed.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        renamed?;
        open(engine, &path)
            .await
            .map_err(|error| NotCompiled::Failed(CompileError::Load(error)))
    }

    /// Lets go of what was compiled of all but these components, by their digests in hexadecimal; of other engines, too.
    pub(super) fn keep(&self, engine: &Engine, digests: &[&str]) {
        let kept: Vec<String> = digests
            .iter()
            .map(|digest| file_name(engine, digest))
            .collect();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let is_ours = name.to_string_lossy().ends_with(".cwasm");
            if is_ours && !kept.iter().any(|kept| name == kept.as_str()) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// Another engine or configuration has other machine code.
fn file_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

async fn open(engine: &Engine, path: &Path) -> Result<Component, String> {
    let (engine, path) = (engine.clone(), path.to_owned());
    let opened = tokio::task::spawn_blocking(move || {
        #[expect(unsafe_code, reason = "the one way to load machine code")]
        // SAFETY: the file was written by this program's compiler and put there by a rename; the state directory's rights
        // are its owner's alone, and no file in it is ever written again once it has this name.
        unsafe {
            Component::deserialize_file(&engine, &path)
        }
    });
    match opened.await {
        Ok(opened) => opened.map_err(|error| format!("{error:#}")),
        Err(error) => Err(error.to_string()),
    }
}

async fn compile_here(engine: Engine, binary: &Binary, path: &Path) -> Result<(), NotCompiled> {
    let (bytes, path) = (binary.bytes.clone(), path.to_owned());
    let compiled = tokio::task::spawn_blocking(move || write_compiled(&engine, &bytes, &path));
    match compiled.await {
        Ok(compiled) => compiled,
        Err(error) => Err(NotCompiled::AtFault(error.to_string())),
    }
}

fn write_compiled(engine: &Engine, bytes: &[u8], path: &Path) -> Result<(), NotCompiled> {
    let code = engine
        .precompile_component(bytes)
        .map_err(|error| NotCompiled::AtFault(format!("{error:#}")))?;
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(&code)?;
        file.sync_all()
    };
    write().map_err(|source| NotCompiled::io(path, source))
}

async fn compile_apart(
    program: &Path,
    path: &Path,
    binary: &Binary,
    limits: &PluginLimits,
) -> Result<(), NotCompiled> {
    let fail = |source| NotCompiled::io(path, source);
    let seconds = limits.compile_time.as_secs().max(1);
    let mut command = Command::new(program);
    command
        .arg("compile-plugin")
        .arg(path)
        .arg(seconds.to_string())
        .arg(limits.compile_memory.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // The thread that starts a process stands still until the other program is there: milliseconds.
    let spawned = tokio::task::spawn_blocking(move || command.spawn()).await;
    let mut child = spawned
        .map_err(io::Error::other)
        .and_then(|child| child)
        .map_err(fail)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let work = async {
        if let Some(mut stdin) = stdin {
            // It may refuse before it has read all: then its words say why.
            drop(stdin.write_all(&binary.bytes).await);
        }
        let mut words = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_WORDS).read_to_end(&mut words).await?;
        }
        Ok((child.wait().await?, words))
    };
    let (status, words) = match tokio::time::timeout(PATIENCE * limits.compile_time, work).await {
        Ok(ended) => ended.map_err(fail)?,
        Err(_) => {
            return Err(NotCompiled::Failed(CompileError::TooLong(
                limits.compile_time,
            )));
        }
    };
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(AT_FAULT) => Err(NotCompiled::AtFault(words)),
        Some(_) if !words.is_empty() => Err(fail(io::Error::other(words))),
        _ => Err(NotCompiled::Failed(died(status, limits))),
    }
}

fn died(status: ExitStatus, limits: &PluginLimits) -> CompileError {
    const SIGXCPU: i32 = 24;
    let how = match status.signal() {
        Some(SIGXCPU) => return CompileError::TooLong(limits.compile_time),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    };
    CompileError::Died {
        how,
        memory: limits.compile_memory,
    }
}

/// What the second process does: reads a component from standard input, and writes its machine code to `path`, within so
/// many seconds of processor time and bytes of address space. Gives its exit code, and the words to say on standard output.
pub fn compile_for_parent(path: &Path, seconds: u64, memory: u64) -> (u8, String) {
    match compile_within(path, seconds, memory) {
        Ok(()) => (0, String::new()),
        Err(NotCompiled::AtFault(reason)) => (AT_FAULT, reason),
        Err(NotCompiled::Failed(error)) => {
            let cause = std::error::Error::source(&error);
            (
                1,
                cause.map_or_else(|| error.to_string(), ToString::to_string),
            )
        }
    }
}

fn compile_within(path: &Path, seconds: u64, memory: u64) -> Result<(), NotCompiled> {
    let fail = |source| NotCompiled::io(path, source);
    let limit = |resource, most: u64| {
        // The kernel asks first, by a signal that says which limit it was, and kills later.
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most.saturating_add(5)),
        };
        setrlimit(resource, limit).map_err(|error| fail(error.into()))
    };
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, seconds)?;
    limit(Resource::As, memory)?;
    nice(NICENESS).map_err(|error| fail(error.into()))?;
    let mut bytes = Vec::new();
    // The host has read it, within `limits.size`.
    io::stdin().read_to_end(&mut bytes).map_err(fail)?;
    let engine = Engine::new(&engine_config())
        .map_err(|error| NotCompiled::AtFault(format!("{error:#}")))?;
    write_compiled(&engine, &bytes, path)
}
