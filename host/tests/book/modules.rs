//! The modules of all pages pass `nozzle check`, whole ones and parts of them.

use std::{collections::BTreeSet, fs, process::Command};

use super::{blocks, folder, pages, read, root, said};

/// The parts of a module.
const PARTS: [&str; 8] = [
    "admin",
    "egresses",
    "endpoints",
    "ingresses",
    "network",
    "progress",
    "sinks",
    "telemetry",
];

/// What a sink has where a page does not say it.
const PLUGIN: &str = "    plugin: { path: plugins/json_batch.wasm }\n";
const ENDPOINT: &str = "    endpoint:\n      url: http://127.0.0.1:8080/\n";

/// What pages take from the environment. The key is the one of RFC 9421, appendix B.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("API_KEY", "secret"),
    (
        "KEY",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n",
    ),
    ("OTLP_KEY", "secret"),
    ("PROXY_LOGIN", "user:password"),
    ("REGION", "eu"),
    ("SECRET", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
];

/// The modules of a page: those that are whole, and those that its parts of modules make with the least beside them.
/// Left out are blocks of other programs, and those in which `…` stands for something.
pub(crate) fn modules(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for block in blocks(text, "yaml") {
        let entries = entries(&block);
        let is_of = |known: &[&str]| entries.iter().all(|(key, _)| known.contains(key));
        if block.contains('…') || entries.is_empty() {
            continue;
        } else if block.starts_with("version:") {
            modules.push(block);
        } else if is_of(&PARTS) {
            modules.push(completed(&block, &entries));
        } else if is_of(&["endpoint"]) {
            modules.push(completed(&sink(&indented(&block, 4)), &[("sinks", "")]));
        } else if is_of(&["auth"]) {
            // Each is an alternative.
            for (_, auth) in &entries {
                let endpoint = format!("{ENDPOINT}{}", indented(auth, 6));
                modules.push(completed(&sink(&endpoint), &[("sinks", "")]));
            }
        }
    }
    modules
}

/// The keys at the left margin, each with its lines.
fn entries(block: &str) -> Vec<(&str, &str)> {
    let mut entries = Vec::new();
    let mut rest = block;
    while !rest.is_empty() {
        let is_key = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase());
        let mut lines = rest.split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        let more = lines.take_while(|line| !is_key(line)).map(str::len);
        let (entry, behind) = rest.split_at(first.len() + more.sum::<usize>());
        if is_key(first) {
            let (key, _) = first.split_once(':').unwrap_or((first, ""));
            entries.push((key, entry));
        }
        rest = behind;
    }
    entries
}

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines();
    lines.map(|line| format!("{:by$}{line}\n", "")).collect()
}

fn sink(endpoint: &str) -> String {
    format!("sinks:\n  - id: book/sink\n{PLUGIN}{endpoint}")
}

/// Parts of a module, with a version, and with ingresses and sinks if there are none.
fn completed(parts: &str, entries: &[(&str, &str)]) -> String {
    let has = |part: &str| entries.iter().any(|(key, _)| *key == part);
    let mut module = format!("version: \"1\"\n{parts}");
    if !has("sinks") {
        let lists = parts.split("to: [").skip(1);
        let routed = lists.flat_map(|rest| rest.split(']').next().unwrap_or_default().split(", "));
        let mut ids: BTreeSet<&str> = routed.collect();
        if ids.is_empty() {
            ids.insert("book/sink");
        }
        module += "sinks:\n";
        for id in ids {
            module += &format!("  - id: {id}\n{PLUGIN}{ENDPOINT}");
        }
    }
    if !has("ingresses") {
        let sinks = module.split("\nsinks:\n").nth(1).unwrap_or_default();
        let ids = sinks
            .lines()
            .filter_map(|line| line.strip_prefix("  - id: "));
        let ids: Vec<&str> = ids.collect();
        module += &format!(
            "ingresses:\n  - id: book/events\n    datagen: {{ count: 1 }}\n    routers: [{{ to: [{}] }}]\n",
            ids.join(", ")
        );
    }
    module
}

/// A module whose secrets stand in the environment: their files are not here.
fn without_files(module: &str) -> String {
    let mut parts = module.split("${file:");
    let begin = parts.next().unwrap_or_default().to_owned();
    parts.fold(begin, |text, part| {
        let (path, rest) = part.split_once('}').expect("it ends");
        let name = if path.ends_with(".pem") {
            "KEY"
        } else {
            "SECRET"
        };
        format!("{text}${{env:{name}}}{rest}")
    })
}

#[test]
fn every_module_passes_check() {
    let folder = folder("modules");
    fs::create_dir(folder.join("tables")).expect("made");
    for file in ["tls.crt", "tls.key"] {
        fs::write(folder.join(file), "").expect("written");
    }
    let properties = r#"[{ "PropertyGroupId": "Api", "PropertyMap": { "token": "secret" } }]"#;
    fs::write(folder.join("properties.json"), properties).expect("written");
    let mut wrong = Vec::new();
    let mut checked = 0;

    let readme = [root().join("README.md"), root().join("wit/README.md")];
    for page in pages().into_iter().chain(readme) {
        for module in modules(&read(&page)) {
            // Certificates are made, and seen to work, in the tests for TLS.
            if module.contains("ca-file:") {
                continue;
            }
            let module = without_files(&module);
            fs::write(folder.join("module.yaml"), &module).expect("written");
            let output = Command::new(env!("CARGO_BIN_EXE_nozzle"))
                .args(["check", "module.yaml", "--properties", "properties.json"])
                .current_dir(&folder)
                .envs(ENVIRONMENT)
                .output()
                .expect("it starts");
            checked += 1;
            if !output.status.success() {
                wrong.push(format!("{}:\n{module}\n{}", page.display(), said(&output)));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 25, "{checked} were checked");
}
