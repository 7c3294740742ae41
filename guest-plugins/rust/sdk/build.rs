//! Writes the macros that export a plugin. They hold the text of `wit/`, so that a plugin needs no copy of it.

use std::{env, fs, path::Path};

fn main() {
    // In a project that `nozzle plugin new` has made, a folder of the SDK; in the repository, at its root.
    let mut folders = ["contract", "../../../wit"].into_iter().map(Path::new);
    let folder = folders
        .find(|folder| folder.join("worlds.wit").is_file())
        .expect("the contract is there");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=src/export.rs.in");
    let wit = ["types.wit", "worlds.wit"]
        .map(|name| fs::read_to_string(folder.join(name)).expect("it is readable"));
    let header = "package nozzle:plugin@0.1.0;";
    let wit = format!("{header}\n{}", wit.concat().replace(header, ""));
    let template = fs::read_to_string("src/export.rs.in").expect("part of this crate");
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("export.rs");
    fs::write(out, template.replace("@WIT@", &wit)).expect("OUT_DIR is writable");
}
