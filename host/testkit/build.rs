//! Compiles `os_faults.c`, the library that tests load before the system's own.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=src/os_faults.c");
    let library =
        PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("os_faults.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .args(["src/os_faults.c", "-ldl"])
        .status()
        .expect("a C compiler is there: Rust links with it");
    assert!(compiled.success(), "os_faults.c does not compile");
    println!(
        "cargo::rustc-env=NOZZLE_OS_FAULTS_LIBRARY={}",
        library.display()
    );
}
