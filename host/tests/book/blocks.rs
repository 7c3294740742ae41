//! The blocks of code of all pages: each is run, checked, compared with something, or says why it is not.
//!
//! Comments on the lines above a block, `<!-- test: … -->`, say what the test does with it:
//!
//! | mark | of | meaning |
//! | --- | --- | --- |
//! | `first: SHELL` | `sh` | what has to be there; the functions of `prelude.sh` can be used |
//! | `goes on` | `sh` | each of its commands runs on in the background |
//! | `by: SHELL` | `text` | what prints it; without it, the blocks of `sh` before it do |
//! | `picture` | `text` | nothing prints it |
//! | `of another program` | `yaml` | it is no part of a module |
//! | `not run: REASON` | any | one of [`REASONS`] |

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{follow, modules, pages, read, root};

/// Why a block is not run here. What its commands are called is checked all the same.
const REASONS: [&str; 10] = [
    // `make test` builds the same projects, with packages that are there: `guest-plugins/*/test.sh`.
    "fetches packages",
    // It takes minutes, or compiles everything once more. CI runs `lint`, `test`, `book` and `mutants`.
    "a target of the Makefile",
    "compiles the tests again",
    "compiles the host again",
    // Its lines stand on a page where they are run.
    "run on another page",
    "needs AWS",
    "needs Docker",
    "needs a certificate",
    "needs cosign",
    "needs libFuzzer",
];

/// What to do about a block that nothing is known of.
const HELP: &str = "nothing runs or checks this block: see the marks in host/tests/book/blocks.rs";

/// A block of code.
pub(crate) struct Block {
    pub(crate) page: PathBuf,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) marks: Vec<String>,
    pub(crate) text: String,
}

impl Block {
    /// What a mark with this beginning says.
    pub(crate) fn mark(&self, name: &str) -> Option<&str> {
        let said = self.marks.iter().find_map(|mark| mark.strip_prefix(name));
        said.map(str::trim)
    }

    pub(crate) fn place(&self) -> String {
        let page = self.page.strip_prefix(root()).unwrap_or(&self.page);
        format!("{}:{}", page.display(), self.line)
    }
}

/// The blocks of a page, in order.
pub(crate) fn blocks(page: &Path) -> Vec<Block> {
    let text = read(page);
    let mut blocks = Vec::new();
    let mut marks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(mark) = line.strip_prefix("<!-- test:") {
            let mark = mark.strip_suffix("-->").expect("a mark ends on its line");
            marks.push(mark.trim().to_owned());
        } else if let Some(language) = line.trim_start().strip_prefix("```") {
            let block = lines.by_ref().map(|(_, line)| line);
            let block = block.take_while(|line| line.trim() != "```");
            blocks.push(Block {
                page: page.to_owned(),
                line: number + 1,
                language: language.to_owned(),
                marks: std::mem::take(&mut marks),
                text: block.map(|line| format!("{line}\n")).collect(),
            });
        } else {
            assert!(
                marks.is_empty(),
                "{}:{number}: a mark of no block",
                page.display()
            );
        }
    }
    blocks
}

/// All pages whose blocks are looked at.
pub(crate) fn all_pages() -> Vec<PathBuf> {
    let beside = ["README.md", "CONTRIBUTING.md", "wit/README.md"];
    let beside = beside.iter().map(|name| root().join(name));
    pages().into_iter().chain(beside).collect()
}

/// Who looks at a block; otherwise what is wrong with it.
fn looked_at(block: &Block) -> Result<&'static str, String> {
    if let Some(reason) = block.mark("not run:") {
        return match REASONS.contains(&reason) {
            true => Ok("not run"),
            false => Err(format!("`{reason}` is none of the reasons: {REASONS:?}")),
        };
    }
    let is_followed = || match follow::PAGES.contains(&&*follow::name(&block.page)) {
        true => Ok("run"),
        false => Err("nobody follows this page: add it in host/tests/book/follow.rs".to_owned()),
    };
    let is_picture = block.mark("picture").is_some();
    let is_foreign = block.mark("of another program").is_some();
    match &*block.language {
        "sh" => is_followed(),
        "text" if is_picture => Ok("picture"),
        "text" => is_followed(),
        "yaml" if is_foreign => parses(block),
        "yaml" if block.text.starts_with("about:") => stands_in_a_case(block),
        "yaml" => match modules::of_block(block).is_empty() {
            true => Err(HELP.to_owned()),
            false => Ok("module"),
        },
        "json" => block
            .text
            .lines()
            .try_for_each(|line| serde_json::from_str(line).map(|_: serde_json::Value| ()))
            .map(|()| "parsed")
            .map_err(|error| error.to_string()),
        "rust" => match follow::RUST.contains(&&*follow::name(&block.page)) {
            true => Ok("compiled"),
            false => Err(HELP.to_owned()),
        },
        "ts" | "python" | "go" | "c" => is_built(block),
        "wit" if block.text.starts_with("{{#include ") => Ok("included"),
        _ => Err(HELP.to_owned()),
    }
}

/// What YAML of another program can be held to here: that it is YAML.
fn parses(block: &Block) -> Result<&'static str, String> {
    use saphyr::{LoadableYamlNode as _, Yaml};
    let parsed = Yaml::load_from_str(&block.text);
    parsed.map(|_| "parsed").map_err(|error| error.to_string())
}

/// A case is one of a template: that those pass, their own tests show.
fn stands_in_a_case(block: &Block) -> Result<&'static str, String> {
    let templates = root().join("guest-plugins/rust/template");
    let cases = fs::read_dir(templates).expect("a folder");
    let cases = cases.filter_map(|entry| fs::read_dir(entry.ok()?.path().join("cases")).ok());
    let mut cases = cases.flatten().flatten();
    match cases.any(|case| read(&case.path()) == block.text) {
        true => Ok("case"),
        false => Err("no case of guest-plugins/rust/template has this text".to_owned()),
    }
}

/// Other languages: the page's first line names the file, and the test of the language's folder, or the page's own, builds it.
fn is_built(block: &Block) -> Result<&'static str, String> {
    let first = block.text.lines().next().unwrap_or_default();
    let file = first.split_whitespace().nth(1).unwrap_or_default();
    if !first.starts_with(['#', '/']) || !file.contains('.') {
        return Err("its first line does not say which file it is: `# plugin.py`".to_owned());
    }
    let page = follow::name(&block.page);
    let built = page.strip_prefix("plugins-").is_some_and(|language| {
        let test = root().join(format!("guest-plugins/{language}/test.sh"));
        test.is_file() && read(&test).contains(&format!("docs-code.sh ../../docs/{page}.md"))
    });
    // The followed page writes it to its file.
    let written = page == "wit/README" && block.language == "python";
    match built || written {
        true => Ok("built"),
        false => Err(HELP.to_owned()),
    }
}

#[test]
fn every_block_is_looked_at() {
    let mut wrong = Vec::new();
    let mut looked = 0;
    for block in all_pages().iter().flat_map(|page| blocks(page)) {
        looked += 1;
        let known = [
            "first:",
            "goes on",
            "by:",
            "picture",
            "of another program",
            "not run:",
        ];
        for mark in &block.marks {
            if !known.iter().any(|name| mark.starts_with(name)) {
                wrong.push(format!("{}: `{mark}` is no mark: {known:?}", block.place()));
            }
        }
        if let Err(reason) = looked_at(&block) {
            wrong.push(format!(
                "{}: ```{}: {reason}",
                block.place(),
                block.language
            ));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked >= 100, "{looked} blocks");
}
