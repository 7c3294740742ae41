//! Puts the sources of new projects into the program: `wit/`, and of each language its SDK and its templates.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// What builds leave behind.
const LEFT_OUT: [&str; 11] = [
    "node_modules",
    "target",
    "dist",
    "build",
    "out",
    "obj",
    "__pycache__",
    ".venv",
    ".pytest_cache",
    ".mypy_cache",
    ".git",
];
const LEFT_OUT_EXTENSIONS: [&str; 5] = ["wasm", "pyc", "o", "egg-info", "swp"];

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    let folders = ["rust", "typescript", "python", "go", "c"].into_iter();
    let folders = folders.flat_map(|language| {
        ["sdk", "template"].map(|part| format!("guest-plugins/{language}/{part}"))
    });
    for folder in folders.chain(["wit".to_owned()]) {
        // A folder that is not there would have this run at every build.
        if root.join(&folder).is_dir() {
            println!("cargo::rerun-if-changed={}", root.join(&folder).display());
        }
        collect(&root.join(&folder), &folder, &mut all)?;
    }
    all.sort();
    let mut text = String::from("&[\n");
    for (name, path) in &all {
        let path = path.canonicalize()?;
        let line = writeln!(text, "    ({name:?}, include_bytes!({path:?})),");
        line.map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("projects.rs"), text)
}

fn collect(folder: &Path, name: &str, all: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy());
        let is_left = LEFT_OUT.contains(&file.as_str())
            || extension.is_some_and(|extension| LEFT_OUT_EXTENSIONS.contains(&&*extension));
        if is_left {
            continue;
        }
        let name = format!("{name}/{file}");
        match path.is_dir() {
            true => collect(&path, &name, all)?,
            false => all.push((name, path)),
        }
    }
    Ok(())
}
