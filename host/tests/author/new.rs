//! `nozzle plugin new`: what it writes, and that it works.

use std::{fs, path::Path, process::Command};

use nozzle_testkit::Child;

use crate::{nozzle, said};

#[test]
fn a_folder_that_is_not_empty_and_a_name_that_is_none_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::create_dir(folder.join("full")).expect("made");
    fs::write(folder.join("full/kept"), "x").expect("written");

    let full = said(folder, &["new", "--lang", "rust", "full"]);
    let name = said(folder, &["new", "--lang", "rust", "My Plugin"]);
    let sdk = said(folder, &["new", "--lang", "rust", "nozzle-plugin"]);
    let below = said(folder, &["new", "--lang", "rust", "full/kept/plugin"]);
    let language = said(folder, &["new", "--lang", "cobol", "plugin"]);

    assert!(!folder.join("full/Cargo.toml").exists());
    assert!(!folder.join("My Plugin").exists());
    insta::assert_snapshot!(format!("{full}\n{name}\n{sdk}\n{below}\n{language}"));
}

#[test]
fn a_project_has_all_that_it_needs_under_its_own_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("score-it");

    let said = said(
        folder.path(),
        &["new", "--lang", "rust", "--template", "bulk", "score-it"],
    );

    assert!(said.contains("exit code 0"), "{said}");
    let read = |name: &str| fs::read_to_string(project.join(name)).expect(name);
    assert!(read("Cargo.toml").contains("name = \"score-it\""));
    assert!(read("README.md").contains("release/score_it.wasm"));
    assert_eq!(read(".gitignore"), "/target\n");
    assert!(read("nozzle-plugin/src/lib.rs").contains("pub trait Plugin"));
    assert!(read("nozzle-plugin/contract/worlds.wit").contains("package nozzle:plugin@"));
    assert!(read("cases/partial.yaml").contains("expect:"));
    let mut found = Vec::new();
    let mut folders = vec![project.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(fs::read_to_string(path).expect("text")),
            }
        }
    }
    assert!(!found.concat().contains("my-plugin") && !found.concat().contains("my_plugin"));
}

#[test]
fn every_template_in_rust_builds_and_passes_its_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    // Its dependencies are those of the plugins that `make guests` has built: nothing is fetched.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    for template in ["per-batch", "per-record", "bulk"] {
        let name = format!("{template}-plugin");
        let args = ["new", "--lang", "rust", "--template", template, &name];
        let made = said(folder.path(), &args);
        assert!(made.contains("exit code 0"), "{made}");
        let project = folder.path().join(&name);
        let cargo = |args: &[&str]| {
            let ended = Command::new(env!("CARGO"))
                .current_dir(&project)
                .args(args)
                .arg("--offline")
                .env("CARGO_TARGET_DIR", &target)
                .env_remove("RUSTFLAGS")
                // As small as it can be made matters to a user, and takes its time here.
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                .output()
                .expect("cargo starts");
            let errors = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{template}: {errors}");
        };

        cargo(&["test"]);
        cargo(&["build", "--release", "--target", "wasm32-wasip2"]);

        let file = format!("{}.wasm", name.replace('-', "_"));
        fs::copy(
            target.join("wasm32-wasip2/release").join(&file),
            project.join(&file),
        )
        .expect("it was built");
        let tested = Child::start(nozzle(&project).args(["test", &file])).finish();
        assert_eq!(tested.code(), 0, "{}{}", tested.stdout, tested.stderr);
        assert!(tested.stdout.contains(" 0 failed"), "{}", tested.stdout);
    }
}

#[test]
fn the_documents_show_the_template() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    let source = read("guest-plugins/rust/template/per-batch/src/lib.rs");
    let start = source.find("use nozzle_plugin").expect("its first line");
    let last = "export_shaper!(Lines);\n";
    let end = source.find(last).expect("its last line") + last.len();
    let plugin = source.get(start..end).expect("on boundaries");

    for document in ["guest-plugins/rust/README.md", "docs/plugins-rust.md"] {
        assert!(read(document).contains(plugin), "{document}");
    }
}

#[test]
fn the_documents_show_a_case_that_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);

    // That it passes, the test of the templates shows.
    let case = read("guest-plugins/rust/template/bulk/cases/partial.yaml");
    let document = read("docs/testing-plugins.md");

    assert!(document.contains(&format!("```yaml\n{case}```")));
}

#[test]
fn a_project_asks_for_what_the_sdk_asks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-plugins/rust");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    let workspace = read("Cargo.toml");
    let project = read("template/common/nozzle-plugin/Cargo.toml");

    let asked = read("sdk/Cargo.toml");
    let asked: Vec<&str> = asked
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .filter_map(|line| line.strip_suffix(".workspace = true"))
        .collect();

    assert!(asked.len() >= 3, "{asked:?}");
    for name in asked {
        let start = format!("{name} = ");
        let line = workspace.lines().find(|line| line.starts_with(&start));
        let line = line.expect(name);
        assert!(project.contains(line), "{line}");
    }
}
