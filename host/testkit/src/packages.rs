//! A registry, and the tools of others for what is in it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::servers::{Server, folder_of_all, free_port, installed};

/// The only user of [`Server::registry`], where it wants to know who asks.
pub const REGISTRY_USER: (&str, &str) = ("tester", "s3cret-canary");

/// How a registry finds out who asks.
#[derive(Debug, Clone, Copy)]
pub enum RegistryAuth<'a> {
    /// Not at all.
    Open,
    /// By a password: [`REGISTRY_USER`].
    Password,
    /// By a token of the service at this URL, signed with the key of the certificate in this PEM file.
    Token(&'a str, &'a Path),
}

impl Server {
    /// Debian's `docker-registry`, which keeps its blobs below `folder`.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn registry(folder: &Path, auth: RegistryAuth<'_>) -> Self {
        let port = free_port();
        let auth = match auth {
            RegistryAuth::Open => String::new(),
            RegistryAuth::Password => {
                let file = folder.join("htpasswd");
                // bcrypt, of the password above.
                let line = "tester:$2y$05$abcdefghijklmnopqrstuullx5kP6GYZcFnepqhmI2H03s5Hsbhlm\n";
                std::fs::write(&file, line).expect("written");
                format!(
                    "auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
                    file.display()
                )
            }
            RegistryAuth::Token(realm, certificate) => format!(
                "auth: {{ token: {{ realm: \"{realm}\", service: test-registry, issuer: test-issuer, rootcertbundle: {} }} }}\n",
                certificate.display()
            ),
        };
        let config = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\" }}\n{auth}",
            folder.join("blobs").display()
        );
        let file = folder.join("registry.yml");
        std::fs::write(&file, config).expect("written");
        let mut command = Command::new(program("docker-registry"));
        command.arg("serve").arg(file);
        Self::start(command, port, "/")
    }
}

/// Pushes a component with the library of `wkg` (crates.io: `oci-wasm`).
///
/// # Panics
/// When it is not built, or fails.
pub fn wkg_push(reference: &str, file: &Path) {
    let output = wkg(&["push", reference], file);
    assert!(output.status.success(), "{output:?}");
}

/// Pulls a component with it; gives what it says: digest, system, imports and exports.
///
/// # Panics
/// When it is not built, or fails.
pub fn wkg_pull(reference: &str, file: &Path) -> String {
    let output = wkg(&["pull", reference], file);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn wkg(arguments: &[&str], file: &Path) -> Output {
    let program = folder_of_all().join("wkg/debug/wkg-probe");
    assert!(
        program.is_file(),
        "{} is missing: run `make servers` first",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(file)
        .output()
        .expect("it starts")
}

/// Pushes a file with the types of its layer and its config with `oras` (PyPI); gives the digest of the manifest.
///
/// # Panics
/// When it is not installed, or fails.
pub fn oras_push(reference: &str, file: &Path, types: (&str, &str), user: (&str, &str)) -> String {
    let file = file.display().to_string();
    let arguments = [reference, &file, types.0, types.1, user.0, user.1];
    let answer = oras(include_str!("../packages/push.py"), &arguments);
    answer["digest"].as_str().expect("a digest").to_owned()
}

/// Pulls the layer of a package with `oras` into a file; gives `manifest` and `config`.
///
/// # Panics
/// When it is not installed, or fails.
pub fn oras_pull(reference: &str, file: &Path, user: (&str, &str)) -> Value {
    let file = file.display().to_string();
    oras(
        include_str!("../packages/pull.py"),
        &[reference, &file, user.0, user.1],
    )
}

/// Pushes a signature in the form of cosign with `oras`: what is signed, and the signature in base64.
///
/// # Panics
/// When it is not installed, or fails.
pub fn oras_push_signature(reference: &str, payload: &Path, signature: &str) {
    let payload = payload.display().to_string();
    oras(
        include_str!("../packages/sign.py"),
        &[reference, &payload, signature],
    );
}

fn oras(script: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(folder().join("python/bin/python"));
    command.args(["-c", script]).args(arguments);
    let output = command.output().expect("python runs");
    assert!(output.status.success(), "{output:?}");
    // What it has to say besides stands before.
    let text = String::from_utf8(output.stdout).expect("text");
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON")
}

/// Makes a key of minisign in `folder`: `minisign.pub` and `minisign.key`, without a password.
///
/// # Panics
/// When it is not installed, or fails.
pub fn minisign_key(folder: &Path) -> String {
    minisign(
        folder,
        &["-G", "-W", "-f", "-p", "minisign.pub", "-s", "minisign.key"],
    );
    std::fs::read_to_string(folder.join("minisign.pub")).expect("made")
}

/// Signs a file with the key in `folder`: the signature stands beside it.
///
/// # Panics
/// When it is not installed, or fails.
pub fn minisign_sign(folder: &Path, file: &Path) {
    let file = file.display().to_string();
    minisign(folder, &["-S", "-s", "minisign.key", "-m", &file]);
}

/// Writes a program that is `minisign`, for a shell that is to find it.
///
/// # Panics
/// When it is not installed, or the file cannot be written.
pub fn minisign_program(file: &Path) {
    let libraries = libraries().into_string().expect("text");
    let program = program("minisign");
    // The machine's own is called by its path: this file may be found before it.
    let script = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH='{libraries}' PATH=/usr/local/bin:/usr/bin:/bin\nexec '{}' \"$@\"\n",
        program.display()
    );
    std::fs::write(file, script).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(file, mode).expect("it is ours");
}

/// Debian's own place for libraries of this kind of machine, which is not known here.
fn libraries() -> OsString {
    let libraries = std::fs::read_dir(folder().join("debian/usr/lib"));
    let libraries = libraries.into_iter().flatten().flatten();
    let libraries: Vec<_> = libraries.map(|entry| entry.path()).collect();
    std::env::join_paths(libraries).expect("no colons")
}

fn minisign(keys: &Path, arguments: &[&str]) {
    let mut command = Command::new(program("minisign"));
    command.env("LD_LIBRARY_PATH", libraries());
    let output = command
        .args(arguments)
        .current_dir(keys)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
}

fn folder() -> PathBuf {
    installed(folder_of_all().join("packages"), "make servers")
}

/// A program of Debian: unpacked with its library, or the machine's own.
fn program(name: &str) -> PathBuf {
    let unpacked = folder().join("debian/usr/bin").join(name);
    if unpacked.is_file() {
        unpacked
    } else {
        PathBuf::from(name)
    }
}
