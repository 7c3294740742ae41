//! What pages name is called so: commands that are not run, variables, and tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    blocks::{Block, all_pages, blocks},
    documents, prose, read, root,
};

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
        for line in prose(&read(&page)) {
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
        for line in prose(&text).filter(|line| line.starts_with('|')) {
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
