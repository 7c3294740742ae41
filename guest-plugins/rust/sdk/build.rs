//! Writes the macros that export a plugin. They hold the text of `wit/`, so that a plugin needs no copy of it.

use std::{env, fs, path::Path};

fn main() {
    let folder = Path::new("../../../wit");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=src/export.rs.in");
    let wit = ["types.wit", "worlds.wit"]
        .map(|name| fs::read_to_string(folder.join(name)).expect("wit/ is beside guest-plugins/"));
    let header = "package nozzle:plugin@0.1.0;";
    let wit = format!("{header}\n{}", wit.concat().replace(header, ""));
    let template = fs::read_to_string("src/export.rs.in").expect("part of this crate");
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("export.rs");
    fs::write(out, template.replace("@WIT@", &wit)).expect("OUT_DIR is writable");
}
