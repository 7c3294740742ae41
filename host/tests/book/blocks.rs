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
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{documents, follow, modules, pages, read, root};

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
fn all_pages() -> Vec<PathBuf> {
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
    match built || follow::PAGES.contains(&&*page) {
        true => Ok("built"),
        false => Err(HELP.to_owned()),
    }
}

/// The commands of a block, without what stands behind them.
fn commands(block: &Block) -> impl Iterator<Item = String> {
    block.text.lines().filter_map(|line| {
        let (command, _) = line.split_once(" #").unwrap_or((line, ""));
        let words: Vec<&str> = command.split_whitespace().collect();
        let command = words.join(" ");
        let command = command.trim_end_matches('&').trim();
        (!command.is_empty() && !command.starts_with('#')).then(|| command.to_owned())
    })
}

/// What `nozzle` says against a command that is not run: its flags are read all the same, with `--help` behind them.
fn misspelt(arguments: &str) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_nozzle"))
        .args(arguments.split_whitespace())
        .arg("--help")
        .env_clear()
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then(|| format!("nozzle {arguments}: {said}"))
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

#[test]
fn what_is_not_run_is_spelt_as_the_host_the_makefile_and_other_pages_spell_it() {
    let makefile = read(&root().join("Makefile"));
    let all: Vec<Block> = all_pages().iter().flat_map(|page| blocks(page)).collect();
    // What examples and guests say of themselves is run by their own tests, not word for word.
    let beside = ["guest-plugins", "examples"].map(|folder| documents(&root().join(folder)));
    let beside: Vec<Block> = beside
        .iter()
        .flatten()
        .flat_map(|page| blocks(page))
        .collect();
    let beside = beside.iter().filter(|block| block.language == "sh");
    let (mut not_run, run): (Vec<&Block>, Vec<&Block>) = all
        .iter()
        .filter(|block| block.language == "sh")
        .partition(|block| block.mark("not run:").is_some());
    not_run.extend(beside);
    let run: BTreeSet<String> = run.iter().flat_map(|block| commands(block)).collect();
    let (mut wrong, mut looked) = (Vec::new(), 0);

    for block in not_run {
        let reason = block.mark("not run:");
        for command in commands(block) {
            looked += 1;
            let problem = if let Some(arguments) = command.strip_prefix("nozzle ") {
                misspelt(arguments)
            } else if let Some(rest) = command.strip_prefix("make ") {
                // The second word in quotes names nothing by itself.
                let words = rest.split_whitespace();
                let words = words.filter(|word| word.contains('=') || !word.contains('"'));
                let unknown = words.map(|word| match word.split_once('=') {
                    Some((variable, _)) => format!("$({variable})"),
                    None => format!("\n{word}:"),
                });
                let mut unknown = unknown.filter(|word| {
                    let other = word.replace("$(", "$(or $(");
                    !makefile.contains(word.as_str()) && !makefile.contains(&other)
                });
                unknown
                    .next()
                    .map(|word| format!("the Makefile has no `{word}`"))
            } else if reason == Some("a target of the Makefile") {
                Some(format!("`{command}` is none"))
            } else {
                None
            };
            wrong.extend(problem.map(|problem| format!("{}: {problem}", block.place())));
            if reason == Some("run on another page") && !run.contains(&command) {
                wrong.push(format!("{}: no page has `{command}`", block.place()));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked >= 30, "{looked} commands");
}

/// Words such as `nozzle top --once` in a sentence.
#[test]
fn commands_in_prose_are_spelt_as_the_host_spells_them() {
    let mut found = BTreeSet::new();
    let guests = documents(&root().join("guest-plugins"));
    let examples = documents(&root().join("examples"));
    for page in all_pages().into_iter().chain(guests).chain(examples) {
        for line in super::prose(&read(&page)) {
            let quoted = line.split('`').skip(1).step_by(2);
            let quoted = quoted.filter_map(|words| words.strip_prefix("nozzle "));
            // Not those that stand for several, or leave something out.
            let whole = quoted.filter(|words| !words.contains(['|', '[', '…', '$']));
            found.extend(whole.map(str::to_owned));
        }
    }

    let wrong = found.iter().filter_map(|words| misspelt(words));
    // `nozzle run --admin` leaves out the flag's value, as a sentence may.
    let wrong = wrong.filter(|said| !said.contains("a value is required for"));
    let wrong: Vec<String> = wrong.collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.len() >= 30, "{found:?}");
}

/// Variables that a page names are read by somebody.
#[test]
fn the_variables_that_pages_name_are_there() {
    let known: BTreeSet<String> = ["host", "guest-plugins", "Makefile", ".ci"]
        .iter()
        .flat_map(|place| sources(&root().join(place)))
        .flat_map(|file| variables(&fs::read_to_string(file).unwrap_or_default()))
        .collect();

    for page in all_pages() {
        let named = variables(&read(&page));
        let unknown: Vec<_> = named.difference(&known).collect();

        assert!(unknown.is_empty(), "{}: {unknown:?}", page.display());
    }
    assert!(known.contains("NOZZLE_ADMIN"), "{known:?}");
}

fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let named = words.filter(|word| word.starts_with("NOZZLE_"));
    named.map(str::to_owned).collect()
}

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_built = matches!(&*name, "node_modules" | "target" | "dist");
        if path.is_dir() && !path.is_symlink() && !is_built && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if ["rs", "sh", "toml", "py"]
            .iter()
            .any(|kind| name.ends_with(kind))
        {
            found.push(path);
        }
    }
    found
}

/// The tests that pages name as their proof: `promise_1_…` stands for all that begin so.
#[test]
fn the_tests_that_pages_name_are_there() {
    let files = ["host", "guest-plugins/rust"].map(|place| sources(&root().join(place)));
    let files = files.into_iter().flatten();
    let files: Vec<String> = files
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let mut looked = 0;

    for page in ["promises", "parity", "proof", "grants"] {
        let text = read(&root().join(format!("docs/{page}.md")));
        for line in super::prose(&text).filter(|line| line.starts_with('|')) {
            for word in line.split('`').skip(1).step_by(2) {
                let name = word.rsplit(' ').next().unwrap_or_default();
                let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                let (beginning, end) = match name.strip_suffix('…') {
                    Some(beginning) => (beginning, ""),
                    None => (name, "("),
                };
                // Two words are a name of something else.
                if !beginning.chars().all(is_word) || beginning.matches('_').count() < 2 {
                    continue;
                }
                looked += 1;
                let function = format!("fn {beginning}{end}");
                // Those of the book are the lines of a table.
                let line = format!("\n    {beginning}: \"");
                let found = |text: &String| text.contains(&function) || text.contains(&line);
                let found = files.iter().any(found);
                assert!(
                    found || name.starts_with("nozzle_"),
                    "{page}: no test `{name}`"
                );
            }
        }
    }
    assert!(looked > 80, "{looked} were looked at");
}
