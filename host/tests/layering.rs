//! Who may use whom: reads `crate::…` paths and the owners of heavy dependencies out of the sources.

use std::path::{Path, PathBuf};

/// Every module, and the modules that it may use. All may use those of `FOR_ALL`.
const ARROWS: [(&str, &[&str]); 30] = [
    ("main", &["cli"]),
    ("lib", &[]),
    ("escapes", &[]),
    (
        "cli",
        &[
            "admin",
            "auth",
            "author",
            "config",
            "dead_letter",
            "delivery",
            "endpoint",
            "ingress",
            "pipeline",
            "oci",
            "plugin",
            "shutdown",
            "progress",
        ],
    ),
    (
        "pipeline",
        &[
            "admin",
            "auth",
            "author",
            "config",
            "dead_letter",
            "delivery",
            "egress",
            "http",
            "ingress",
            "network",
            "oci",
            "plugin",
            "progress",
            "router",
            "shutdown",
            "trace",
        ],
    ),
    (
        "config",
        &[
            "admin",
            "auth",
            "aws",
            "batch",
            "dead_letter",
            "delivery",
            "egress",
            "http",
            "ingress",
            "network",
            "oci",
            "plugin",
            "progress",
            "router",
            "trace",
        ],
    ),
    (
        "delivery",
        &[
            "batch",
            "dead_letter",
            "egress",
            "http",
            "network",
            "plugin",
            "progress",
            "trace",
        ],
    ),
    (
        "author",
        &["config", "delivery", "http", "network", "oci", "plugin"],
    ),
    ("admin", &["auth", "delivery", "plugin", "progress"]),
    ("http", &["auth", "aws", "network"]),
    ("oci", &["auth", "http", "network"]),
    ("plugin", &["network", "oci"]),
    ("auth", &["aws"]),
    ("aws", &[]),
    ("batch", &[]),
    ("dead_letter", &[]),
    ("egress", &["aws"]),
    ("endpoint", &[]),
    ("event", &[]),
    ("fail_point", &[]),
    ("ingress", &["aws", "dead_letter"]),
    ("metrics", &[]),
    ("network", &[]),
    ("outcome", &[]),
    ("progress", &["aws"]),
    ("router", &[]),
    ("causes", &[]),
    ("json", &[]),
    ("shutdown", &[]),
    ("trace", &["http"]),
];
const FOR_ALL: [&str; 7] = [
    "escapes",
    "causes",
    "event",
    "outcome",
    "metrics",
    "fail_point",
    "json",
];

/// Dependencies with one owner.
const OWNERS: [(&str, &[&str]); 23] = [
    ("wasmtime", &["plugin"]),
    ("wasmtime_wasi", &["plugin"]),
    ("wasmtime_wasi_http", &["plugin"]),
    ("redb", &["plugin", "progress"]),
    ("aws_config", &["aws"]),
    ("aws_smithy_http_client", &["aws"]),
    ("aws_sdk_kinesis", &["aws", "ingress", "egress"]),
    ("aws_sdk_dynamodb", &["progress"]),
    ("prost", &["ingress", "trace"]),
    ("hyper", &["http", "endpoint", "admin"]),
    ("hyper_util", &["http", "endpoint", "admin"]),
    ("h2", &["http"]),
    ("hyper_rustls", &["http"]),
    ("rustls", &["http", "admin"]),
    ("tokio_rustls", &["http", "admin"]),
    ("ring", &["auth", "oci"]),
    ("minisign_verify", &["plugin"]),
    ("wasmparser", &["plugin"]),
    ("aws_sigv4", &["auth"]),
    ("saphyr", &["config"]),
    ("regex", &["config", "router"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
];

/// Lines of one file, its tests apart; the house's aim is 300.
const MAX_LINES: usize = 500;

#[test]
fn modules_use_only_what_the_arrows_allow() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        broken.extend(check(&path, &text));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_broken_arrow_is_found() {
    let planted = "use crate::{\n    event::Event,\n    pipeline::{self, start},\n};\nfn f() { crate::cli::main(); }\nuse redb::Database;\n";

    let found = check(Path::new("batch/fifo.rs"), planted);

    assert_eq!(
        found,
        [
            "batch/fifo.rs: `batch` may not use `pipeline`",
            "batch/fifo.rs: `batch` may not use `cli`",
            "batch/fifo.rs: `redb` belongs to [\"plugin\", \"progress\"]",
        ]
    );
    assert!(check(Path::new("batch.rs"), &"x\n".repeat(MAX_LINES + 1))[0].contains("lines"));
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("readable");
                files.push((path.strip_prefix(&root).expect("below it").to_owned(), text));
            }
        }
    }
    assert!(files.len() > 50, "the sources were found");
    files
}

fn check(path: &Path, text: &str) -> Vec<String> {
    // Tests, and what is one too: the simulation, and fuzz targets.
    let is_test = |part: std::path::Component<'_>| {
        let name = part.as_os_str().to_string_lossy();
        ["tests", "simulation", "fuzz"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    if path.components().any(is_test) {
        return Vec::new();
    }
    let first = path
        .components()
        .next()
        .expect("a file")
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    let module = first.trim_end_matches(".rs");
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let shown = path.display();
    let mut broken = Vec::new();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{shown}: the module `{module}` has no arrows in tests/layering.rs"
        )];
    };
    for used in used_modules(&code) {
        if used != module && !allowed.contains(&used.as_str()) && !FOR_ALL.contains(&used.as_str())
        {
            broken.push(format!("{shown}: `{module}` may not use `{used}`"));
        }
    }
    for (dependency, owners) in OWNERS {
        let uses = code.contains(&format!("use {dependency}::"))
            || code.contains(&format!(" {dependency}::"));
        if uses && !owners.contains(&module) {
            broken.push(format!("{shown}: `{dependency}` belongs to {owners:?}"));
        }
    }
    let lines = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .lines()
        .count();
    if lines > MAX_LINES {
        broken.push(format!(
            "{shown}: {lines} lines, more than {MAX_LINES}: split it"
        ));
    }
    broken
}

/// The first segments behind `crate::`, groups taken apart.
fn used_modules(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (place, _) in code.match_indices("crate::") {
        let before = code.get(..place).and_then(|text| text.chars().next_back());
        if before == Some('$') {
            continue;
        }
        let rest = code.get(place + "crate::".len()..).unwrap_or_default();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut name = String::new();
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => used.push(std::mem::take(&mut name)),
                    _ if depth == 0 => name.push(character),
                    _ => {}
                }
            }
            used.push(name);
        } else {
            used.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                    .collect(),
            );
        }
    }
    let first = |path: String| {
        path.trim()
            .split("::")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let modules = used.into_iter().map(first);
    modules
        .filter(|name| name.starts_with(|c: char| c.is_lowercase()))
        .collect()
}
