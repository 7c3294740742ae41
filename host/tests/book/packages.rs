//! What the page on packages takes for granted: a registry, and keys.

use std::{fs, path::Path, process::Command};

use nozzle_testkit::{RegistryAuth, Server};
use regex::Regex;

use super::{blocks::Block, follow::said, modules, read, root};

/// The registry of the page on packages in place of the one that it names, with the plugin that it names.
pub(crate) fn registry(folder: &Path, all: &mut [Block]) -> Server {
    let storage = folder.join("registry");
    fs::create_dir(&storage).expect("made");
    let server = Server::registry(&storage, RegistryAuth::Open);
    let address = server.url().trim_start_matches("http://").to_owned();
    let component = root().join("guest-plugins/dist/json_batch.wasm");
    fs::copy(component, folder.join("score.wasm")).expect("copied");
    let output = Command::new(env!("CARGO_BIN_EXE_nozzle"))
        .args(["plugin", "push", "score.wasm"])
        .arg(format!("oci://{address}/acme/score:1.0"))
        .current_dir(folder)
        .output()
        .expect("it starts");
    let said = said(&output);
    let digest = said.split("@sha256:").nth(1).expect("it is pinned");
    let digest: String = digest.chars().take_while(char::is_ascii_hexdigit).collect();
    for block in all.iter_mut() {
        // What is printed is compared without digests.
        if block.language != "text" {
            block.text = block
                .text
                .replace("sha256:5f0c…", &format!("sha256:{digest}"));
        }
        block.text = block.text.replace("registry.example", &address);
    }
    nozzle_testkit::minisign_program(&folder.join("bin/minisign"));
    server
}

/// The modules of the page on packages, with the packages and the key that following it has made.
pub(crate) fn modules_pass_check(all: &[Block], folder: &Path) {
    let key = read(&folder.join("minisign.pub"));
    let key = key.lines().nth(1).expect("a key");
    let signature = folder.join("score.wasm.minisig");
    fs::copy(signature, folder.join("plugins/score.wasm.minisig")).expect("signed");
    let shown = Regex::new("minisign: RW[0-9A-Za-z+/]{54}").expect("an expression");
    let mut checked = 0;
    for block in all.iter().filter(|block| block.mark("not run:").is_none()) {
        for module in modules::of_block(block) {
            let module = shown.replace_all(&module, format!("minisign: {key}"));
            fs::write(folder.join("module.yaml"), module.as_bytes()).expect("written");
            let output = Command::new(env!("CARGO_BIN_EXE_nozzle"))
                .args(["check", "module.yaml"])
                .current_dir(folder)
                .env("XDG_CACHE_HOME", folder.join("cache"))
                .output()
                .expect("it starts");
            assert!(
                output.status.success(),
                "{}: {}",
                block.place(),
                said(&output)
            );
            checked += 1;
        }
    }
    assert!(checked >= 2, "{checked} modules");
}
