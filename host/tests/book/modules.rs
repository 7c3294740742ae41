//! The modules of all pages pass `nozzle check`, whole ones and parts of them.

use std::{collections::BTreeSet, fs, process::Command};

use super::{
    blocks::{Block, blocks},
    follow::{self, folder, said},
    pages, root,
};

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

/// The modules of a block: the one that it is, or those that its parts of modules make with the least beside them. None where
/// it is of something else, or `…` stands for something.
pub(crate) fn of_block(block: &Block) -> Vec<String> {
    let is_left_out = ["not run:", "of another program"]
        .iter()
        .any(|mark| block.mark(mark).is_some());
    if block.language != "yaml" || is_left_out {
        return Vec::new();
    }
    let text = without_margin(&block.text).replace("5f0c…", &"0".repeat(64));
    let lines = text.split_inclusive('\n');
    let text: String = lines.filter(|line| !line.starts_with('#')).collect();
    let entries = entries(&text);
    let is_of = |known: &[&str]| entries.iter().all(|(key, _)| known.contains(key));
    if text.contains('…') || entries.is_empty() {
        Vec::new()
    } else if text.starts_with("version:") {
        vec![text]
    } else if is_of(&PARTS) {
        vec![completed(&text, &entries)]
    } else if is_of(&["plugin"]) {
        vec![completed(
            &sink(&indented(&text, 4), ENDPOINT),
            &[("sinks", "")],
        )]
    } else if is_of(&["endpoint"]) {
        vec![completed(
            &sink(PLUGIN, &indented(&text, 4)),
            &[("sinks", "")],
        )]
    } else if is_of(&["auth"]) {
        // Each is an alternative.
        let alternatives = entries.iter().map(|(_, auth)| {
            let endpoint = format!("{ENDPOINT}{}", indented(auth, 6));
            completed(&sink(PLUGIN, &endpoint), &[("sinks", "")])
        });
        alternatives.collect()
    } else {
        Vec::new()
    }
}

/// Without what its first line is indented by.
fn without_margin(text: &str) -> String {
    let margin = text.len() - text.trim_start_matches(' ').len();
    let lines = text.lines().map(|line| {
        let mut characters = line.chars();
        characters.by_ref().take(margin).for_each(drop);
        format!("{}\n", characters.as_str())
    });
    lines.collect()
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

fn sink(plugin: &str, endpoint: &str) -> String {
    format!("sinks:\n  - id: book/sink\n{plugin}{endpoint}")
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
            .take_while(|line| line.starts_with([' ', '#']))
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
    // The packages of that page are there only while it is followed.
    let mut all = pages();
    all.retain(|page| follow::name(page) != "packaging");
    for block in all.iter().chain(&readme).flat_map(|page| blocks(page)) {
        for module in of_block(&block) {
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
                wrong.push(format!("{}:\n{module}\n{}", block.place(), said(&output)));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 25, "{checked} were checked");
}
