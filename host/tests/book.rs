//! The book under `docs/`: it has every page, every link leads somewhere, its modules pass `check`, and its commands run.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[path = "book/modules.rs"]
mod modules;

use modules::modules;

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

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(of) = line.strip_prefix("```") else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| *line != "```");
        let block: String = block.map(|line| format!("{line}\n")).collect();
        if of == language {
            blocks.push(block);
        }
    }
    blocks
}

/// An empty folder with the plugins and the program that pages name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("book")
        .join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("removed");
    }
    fs::create_dir_all(folder.join("bin")).expect("made");
    let link = |to: &Path, at: &str| {
        std::os::unix::fs::symlink(to, folder.join(at)).expect("linked");
    };
    fs::create_dir(folder.join("plugins")).expect("made");
    let dist = root().join("guest-plugins/dist");
    for plugin in ["json_batch.wasm", "per_record.wasm", "bulk.wasm"] {
        link(&dist.join(plugin), &format!("plugins/{plugin}"));
    }
    // A reader's own.
    link(&dist.join("json_batch.wasm"), "plugins/score.wasm");
    link(Path::new(env!("CARGO_BIN_EXE_nozzle")), "bin/nozzle");
    folder
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Two ports that nobody has.
fn free_ports() -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| {
        let address = listener.local_addr().expect("bound");
        address.port().to_string()
    })
}

/// Does what a page says, in its order: its first module is `module.yaml`, its `sh` blocks are one script. The ports are
/// others, so that nothing else has them.
fn follow(page: &str) -> String {
    let folder = folder(page);
    let text = read(&root().join("docs").join(page).with_extension("md"));
    let [endpoint, admin] = free_ports();
    let here = |text: &str| text.replace("8080", &endpoint).replace("9464", &admin);
    let module = modules(&text).swap_remove(0);
    fs::write(folder.join("module.yaml"), here(&module)).expect("written");
    // What a page leaves running ends with it; `jobs` forgets none that was started.
    let begin = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";
    let script = here(&format!("{begin}{}", blocks(&text, "sh").concat()));
    let path = std::env::var("PATH").expect("a path");

    let output = Command::new("timeout")
        .args(["--kill-after=10", "180", "bash", "-euxo", "pipefail", "-c"])
        .arg(&script)
        .current_dir(&folder)
        .env("PATH", format!("{}:{path}", folder.join("bin").display()))
        .env("NOZZLE_ADMIN", format!("127.0.0.1:{admin}"))
        .output()
        .expect("bash and timeout are there");

    let said = said(&output);
    assert!(output.status.success(), "{page}: {}\n{said}", output.status);
    said
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
fn verdicts_can_be_seen_as_the_page_says() {
    let said = follow("verdicts");

    assert!(said.contains("400 read = "), "{said}");
    assert!(said.contains("rejected-by-verdict"), "{said}");
}

#[test]
fn a_plugin_is_measured_as_the_page_on_tuning_says() {
    let said = follow("tuning");

    assert!(said.contains("500 a batch"), "{said}");
}

#[test]
fn a_host_is_run_as_the_page_on_operations_says() {
    let said = follow("operations");

    for expected in ["`shop/score` is paused", "stopping", "dead letters"] {
        assert!(said.contains(expected), "{expected}: {said}");
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

    for page in ["tuning.md", "operations.md"] {
        let named = words(page);
        let unknown: Vec<_> = named.difference(&all).collect();

        assert!(named.len() >= 8, "{page}: {named:?}");
        assert!(unknown.is_empty(), "{page}: {unknown:?}");
    }
}
