//! `nozzle plugin check`: the mistakes that authors make, and what they are told.

use std::path::Path;

use nozzle_testkit::plugin;

use crate::said;

/// Without what differs from build to build.
fn check(folder: &Path, args: &[&str]) -> String {
    let text = said(folder, &[&["check"], args].concat());
    let lines = text.lines().map(|line| {
        let head = ["sha256", "size", "memory", "a record that is no UTF-8"]
            .into_iter()
            .find(|head| line.starts_with(head));
        match head {
            Some(head) => format!("{head} …\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

#[test]
fn what_a_plugin_is_and_needs_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut found = String::new();

    for (name, config) in [
        ("json_batch.wasm", "null"),
        ("bulk.wasm", "null"),
        ("lookup.wasm", r#"{"url":"https://nobody.test/"}"#),
    ] {
        let path = plugin(name).display().to_string();
        let text = check(folder.path(), &[&path, "--config", config]);
        let is_imported = |line: &&str| !line.contains("wasi:") || line.contains("wasi:http");
        let lines: Vec<&str> = text.lines().filter(is_imported).collect();
        found.push_str(&format!("## {name}\n{}\n\n", lines.join("\n")));
    }

    insta::assert_snapshot!(found);
}

#[test]
fn mistakes_that_authors_make_get_an_answer_that_helps() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let write = |name: &str, text: &str| {
        let bytes = wat::parse_str(text).expect(name);
        std::fs::write(folder.join(name), bytes).expect("written");
    };
    write(
        "wasip1.wasm",
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#,
    );
    write("module.wasm", "(module)");
    write(
        "version.wasm",
        r#"(component (import "nozzle:plugin/host@9.0.0" (instance)))"#,
    );
    write(
        "export.wasm",
        r#"(component (instance $i) (export "acme:score/shape@0.1.0" (instance $i)))"#,
    );
    write(
        "import.wasm",
        r#"(component (import "wasi:threads/spawn@0.2.0" (instance)) (instance $i) (export "nozzle:plugin/shaping@0.1.0" (instance $i)))"#,
    );
    write(
        "types.wasm",
        r#"(component (instance $i) (export "nozzle:plugin/shaping@0.1.0" (instance $i)))"#,
    );
    std::fs::write(folder.join("plugin.py"), "def shape(batch): pass\n").expect("written");
    std::fs::write(folder.join("events"), "good\npoison\n").expect("written");
    let mut found = String::new();
    let mut show = |name: &str, args: &[&str]| {
        let text = check(folder, args);
        let is_said = |line: &&str| {
            ["error:", "  caused", "  hint", "exit code", "warning"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let lines: Vec<&str> = text.lines().filter(is_said).collect();
        found.push_str(&format!("## {name}\n{}\n\n", lines.join("\n")));
    };

    show("no such file", &["nowhere.wasm"]);
    show("the source in place of the component", &["plugin.py"]);
    show("built for wasip1", &["wasip1.wasm"]);
    show("core module", &["module.wasm"]);
    show("wrong world version", &["version.wasm"]);
    show("missing export", &["export.wasm"]);
    show("an import that is not offered", &["import.wasm"]);
    show("other types", &["types.wasm"]);
    let bulk = plugin("bulk.wasm").display().to_string();
    show("settings", &[&bulk, "--config", r#"{"actoin":"create"}"#]);
    show("settings that are no JSON", &[&bulk, "--config", "{"]);
    let hostile = plugin("hostile.wasm").display().to_string();
    for (name, config) in [
        ("exception in configure", r#"{"configure":"panic"}"#),
        ("exception in shape", r#"{"shape":"panic"}"#),
        ("an index is left out", r#"{"shape":"omit"}"#),
        ("an index stands twice", r#"{"shape":"repeat"}"#),
        ("an index that is not there", r#"{"shape":"invent"}"#),
        ("a request without events", r#"{"shape":"empty"}"#),
        ("another host", r#"{"shape":"foreign-target"}"#),
        ("a header of the host", r#"{"shape":"length-header"}"#),
        ("text that is none", r#"{"shape":"bad-text"}"#),
        ("memory", r#"{"shape":"memory"}"#),
        ("exception in handle", r#"{"handle":"panic"}"#),
        ("a wrong number of verdicts", r#"{"handle":"wrong-count"}"#),
        (
            "delivered without a response",
            r#"{"handle":"deliver-always"}"#,
        ),
    ] {
        show(
            name,
            &[
                &hostile,
                "--config",
                config,
                "--events",
                "events",
                "--limit-time",
                "60s",
            ],
        );
    }
    show(
        "a loop",
        &[
            &hostile,
            "--config",
            r#"{"shape":"loop"}"#,
            "--events",
            "events",
            "--limit-time",
            "300ms",
        ],
    );
    std::fs::write(folder.join("latin-1"), b"\"caf\xe9\"\n").expect("written");
    let json = plugin("json_batch.wasm").display().to_string();
    let config = r#"{"validate":false}"#;
    show(
        "a body that is no UTF-8",
        &[&json, "--config", config, "--events", "latin-1"],
    );

    insta::assert_snapshot!(found);
}
