//! The book under `docs/`: it has every page, every link leads somewhere, and every block of code is run, checked, or says why not.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[path = "book/blocks.rs"]
mod blocks;
#[path = "book/follow.rs"]
mod follow;
#[path = "book/modules.rs"]
mod modules;
#[path = "book/packages.rs"]
mod packages;
#[path = "book/spelling.rs"]
mod spelling;

/// What leads out of the repository.
const ELSEWHERE: [&str; 3] = ["http://", "https://", "mailto:"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown file below a folder that is not built or installed.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !path.is_symlink() {
            let built = matches!(&*name, "node_modules" | "target" | "dist");
            if !built && !name.starts_with('.') {
                found.extend(documents(&path));
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The pages of the book.
fn pages() -> Vec<PathBuf> {
    let summary = root().join("docs/SUMMARY.md");
    let mut pages = documents(&root().join("docs"));
    pages.retain(|page| *page != summary);
    pages
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// What links of a text lead to, as it is written there.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        // What stands in backticks is no link.
        let words: String = line.split('`').step_by(2).collect();
        for part in words.split("](").skip(1) {
            targets.extend(part.split(')').next().map(str::to_owned));
        }
        for part in words.split("{{#include ").skip(1) {
            targets.extend(part.split(['}', ':']).next().map(str::to_owned));
        }
    }
    // In code blocks, too, what is included must be there.
    let included = text.split("\n{{#include ").skip(1);
    targets.extend(included.filter_map(|part| part.split(['}', ':']).next().map(str::to_owned)));
    targets
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn the_summary_has_every_page_once() {
    let docs = root().join("docs");
    let named = targets(&read(&docs.join("SUMMARY.md")));

    let once: BTreeSet<PathBuf> = named.iter().map(|target| docs.join(target)).collect();

    assert_eq!(once.len(), named.len(), "a page is there twice");
    assert_eq!(once, pages().into_iter().collect());
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut documents: Vec<PathBuf> = ["docs", "examples", "guest-plugins", "wit"]
        .iter()
        .flat_map(|folder| documents(&root.join(folder)))
        .collect();
    documents.extend([root.join("README.md"), root.join("CONTRIBUTING.md")]);
    let (mut wrong, mut looked) = (Vec::new(), 0);

    for document in documents {
        let text = read(&document);
        for target in targets(&text) {
            if ELSEWHERE.iter().any(|scheme| target.starts_with(scheme)) {
                continue;
            }
            looked += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = match file {
                "" => document.clone(),
                _ => document.with_file_name("").join(file),
            };
            let holds = |to: &Path| anchor.is_empty() || anchors(&read(to)).contains(anchor);
            if !to.exists() || !holds(&to) {
                wrong.push(format!("{}: {target}", document.display()));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(looked > 100, "{looked} links were looked at");
}

/// A link from a page to a file beside `docs/` works in the repository, and not in the book.
#[test]
fn pages_link_to_pages() {
    let docs = root().join("docs");
    for page in pages() {
        let links = read(&page);
        let outside = prose(&links).flat_map(|line| line.split("](").skip(1));
        for target in outside.filter(|target| target.starts_with("../")) {
            let target = target.split([')', '#']).next().unwrap_or_default();
            let to = page.with_file_name("").join(target);
            let to = to.canonicalize().expect("links lead somewhere");
            assert!(to.starts_with(&docs), "{}: {target}", page.display());
        }
    }
}

#[test]
fn the_metrics_that_pages_name_are_there() {
    let docs = root().join("docs");
    let words = |page: &str| -> BTreeSet<String> {
        let text = read(&docs.join(page));
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let metrics = words.filter(|word| word.starts_with("nozzle_"));
        metrics.map(str::to_owned).collect()
    };
    // Made from the code.
    let all = words("metrics.md");

    let mut total = 0;
    for page in pages() {
        let page = page.strip_prefix(&docs).expect("below it");
        // Endings that stand for several are written `nozzle_sink_…`.
        let named = words(&page.display().to_string());
        let named: BTreeSet<_> = named.iter().filter(|word| !word.ends_with('_')).collect();
        let unknown: Vec<_> = named.iter().filter(|word| !is_known(word, &all)).collect();

        total += named.len();
        assert!(unknown.is_empty(), "{}: {unknown:?}", page.display());
    }
    assert!(total >= 100, "{total} were looked at");
}

/// Those of the reference, those that plugins count (`nozzle_plugin_…_total`, any name), and what is none: functions and packages.
fn is_known(word: &str, metrics: &BTreeSet<String>) -> bool {
    let kind = |word: &str| word.split('_').nth(1).map(str::to_owned);
    let is_metric = metrics.iter().any(|metric| kind(metric) == kind(word));
    let counted = ["cache_misses", "scored"].map(|name| format!("nozzle_plugin_{name}_total"));
    let is_counted = counted.iter().any(|name| name == word);
    metrics.contains(word) || is_counted || !is_metric || word == "nozzle_plugin"
}

#[test]
fn the_page_on_the_admin_api_names_every_request() {
    let docs = root().join("docs");
    let document = read(&docs.join("admin.openapi.json"));
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let pages = read(&docs.join("admin.md")) + &read(&docs.join("observability.md"));
    let paths = document["paths"].as_object().expect("paths");

    for path in paths.keys() {
        let last = path.rsplit_once('/').map_or("", |(_, last)| last);
        let is_named = pages.contains(path.as_str()) || pages.contains(&format!("`…/{last}`"));

        assert!(is_named, "docs/admin.md does not name `{path}`");
    }
    assert!(paths.len() > 10, "{} paths", paths.len());
}
