//! `nozzle plugin test`.

use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{AuthorError, LimitArgs, workshop};
use crate::{
    author::{Case, CaseEnd, Line, LineKind, Update, case_files},
    cli::{letters::counted, speak::print},
};

/// What `nozzle plugin test` can be told.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit codes:
  0  every case passed
  1  a case failed
  2  usage, or a file that is no case
  3  the plugin is none")]
pub(in crate::cli) struct TestArgs {
    /// The component.
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// Case files, and folders of them. Default: the folder `cases` beside the plugin, or above it.
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// Writes what is found into the files of the cases that fail: look at what has changed before you keep it.
    #[arg(long)]
    update: bool,
    /// Only cases whose path contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Prints one JSON document: of each case its name, its file, whether it passed, and what differs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Runs the cases.
pub(super) async fn test(args: TestArgs) -> Result<(), AuthorError> {
    let cases = read(&args)?;
    let workshop = workshop(&args.plugin, &args.limits).await?;
    let update = match args.update {
        true => Update::Expectations,
        false => Update::Never,
    };
    let is_terminal = stdout().is_terminal();
    let (mut updated, mut failed) = (0, 0);
    let mut said = Vec::new();
    for case in &cases {
        let end = workshop.run(case, update).await;
        let end = end.map_err(AuthorError::Plugin)?;
        match &end {
            CaseEnd::Passed => {}
            CaseEnd::Failed { .. } => failed += 1,
            CaseEnd::Updated(text) => {
                case.write(text).map_err(|source| AuthorError::Write {
                    path: PathBuf::from(&case.name),
                    source,
                })?;
                updated += 1;
            }
        }
        match args.json {
            true => said.push(to_json(case, &end)),
            false => print(&line(case, &end, is_terminal))?,
        }
    }
    let all = cases.len();
    let also = match updated {
        0 => String::new(),
        updated => format!(", {updated} updated"),
    };
    let passed = all - failed - updated;
    let text = match args.json {
        true => {
            let document =
                json!({ "passed": passed, "failed": failed, "updated": updated, "cases": said });
            format!("{document:#}\n")
        }
        false => format!(
            "\n{}: {passed} passed, {failed} failed{also}\n",
            counted(all as u64, "case")
        ),
    };
    print(&text)?;
    match failed {
        0 => Ok(()),
        failed => Err(AuthorError::Failed { failed, all }),
    }
}

/// All cases, or all that is wrong with their files.
fn read(args: &TestArgs) -> Result<Vec<Case>, AuthorError> {
    let files = case_files(&args.plugin, &args.cases).map_err(AuthorError::Cases)?;
    let filter = args.filter.clone().unwrap_or_default();
    let is_meant = |path: &&PathBuf| path.to_string_lossy().contains(&filter);
    let read = files.iter().filter(is_meant).map(|path| Case::read(path));
    let (cases, wrong): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
    let wrong: Vec<_> = wrong.into_iter().filter_map(Result::err).collect();
    if !wrong.is_empty() {
        return Err(AuthorError::CaseFiles(wrong));
    }
    if cases.is_empty() {
        return Err(AuthorError::NoSuchCase { filter });
    }
    Ok(cases.into_iter().filter_map(Result::ok).collect())
}

fn line(case: &Case, end: &CaseEnd, is_terminal: bool) -> String {
    match end {
        CaseEnd::Passed => format!("pass    {}\n", case.name),
        CaseEnd::Updated(_) => format!("update  {}\n", case.name),
        CaseEnd::Failed {
            reason, hint, diff, ..
        } => failure(case, reason, hint.as_deref(), diff, is_terminal),
    }
}

fn to_json(case: &Case, end: &CaseEnd) -> Value {
    let file = Path::new(&case.name);
    let mut said = json!({
        "name": file.file_stem().unwrap_or_default().to_string_lossy(),
        "file": case.name,
        "about": case.about,
        "passed": *end == CaseEnd::Passed,
        "updated": matches!(end, CaseEnd::Updated(_)),
    });
    if let CaseEnd::Failed {
        reason,
        hint,
        differences,
        ..
    } = end
    {
        said["reason"] = json!(reason);
        said["hint"] = json!(hint);
        said["differences"] = json!(differences);
    }
    said
}

/// Red was expected, green was found.
fn failure(
    case: &Case,
    reason: &str,
    hint: Option<&str>,
    diff: &[Line],
    is_terminal: bool,
) -> String {
    let about = case.about.as_deref().unwrap_or_default();
    let mut text = format!("FAIL    {}\n", case.name);
    if !about.is_empty() {
        text.push_str(&format!("        {about}\n"));
    }
    text.push_str(&format!("        {reason}\n"));
    if !diff.is_empty() {
        text.push_str("        - expected, + found\n");
    }
    for line in diff {
        let (sign, colour) = match line.kind {
            LineKind::Same => (' ', ""),
            LineKind::Expected => ('-', "\x1b[31m"),
            LineKind::Found => ('+', "\x1b[32m"),
            LineKind::Gap => (' ', "\x1b[2m"),
        };
        let shown = format!("{sign} {}", line.text);
        let shown = shown.trim_end();
        match is_terminal && !colour.is_empty() {
            true => text.push_str(&format!("        {colour}{shown}\x1b[0m\n")),
            false => text.push_str(&format!("        {shown}\n")),
        }
    }
    if let Some(hint) = hint {
        text.push_str(&format!("        hint: {hint}\n"));
    }
    text
}
