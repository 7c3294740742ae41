//! `nozzle dead-letters`: what files of dead letters hold.

use std::path::PathBuf;

use serde_json::json;

use super::{
    error::CliError,
    letters::{FilterArgs, counted, table, to_json},
    speak::{print, say},
};
use crate::{dead_letter::Groups, ingress::dead_letters::LetterFile};

/// Lines that are no dead letters and are named; more are only counted.
const NAMED: usize = 20;

/// What `nozzle dead-letters` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DeadLettersArgs {
    /// Files of dead letters, those that were moved aside too (`failed.ndjson*`); `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Prints JSON in place of a table.
    #[arg(long)]
    json: bool,
}

/// A line that is no dead letter.
struct Unreadable {
    file: String,
    line: u64,
    reason: String,
}

/// Counts the letters by sink, cause and status. A line that is none is named, and the others are counted all the same.
pub(super) async fn dead_letters(args: DeadLettersArgs) -> Result<(), CliError> {
    let filter = args.filter.filter()?;
    let mut groups = Groups::default();
    let mut left_out: u64 = 0;
    let (mut unreadable, mut unread) = (Vec::new(), 0_u64);
    for path in &args.files {
        let mut file = if path.as_os_str() == "-" {
            LetterFile::stdin()
        } else {
            LetterFile::open(path).await.map_err(CliError::Source)?
        };
        while let Some(letter) = file.next().await.map_err(CliError::Source)? {
            match letter {
                Ok(letter) if filter.takes(&letter) => groups.add(&letter),
                Ok(_) => left_out += 1,
                Err(reason) => {
                    unread += 1;
                    if unreadable.len() < NAMED {
                        unreadable.push(Unreadable {
                            file: path.display().to_string(),
                            line: file.line(),
                            reason: reason.to_string(),
                        });
                    }
                }
            }
        }
    }
    if args.json {
        let lines = unreadable.iter().map(|Unreadable { file, line, reason }| {
            json!({ "file": file, "line": line, "reason": reason })
        });
        let lines: Vec<_> = lines.collect();
        let all = json!({
            "groups": to_json(&groups),
            "total": groups.total(),
            "left-out": left_out,
            "unreadable": { "count": unread, "lines": lines },
        });
        return Ok(print(&format!("{all:#}\n"))?);
    }
    if groups.total() > 0 {
        print(&table(&groups))?;
    }
    for Unreadable { file, line, reason } in &unreadable {
        say(&format!("{file}:{line}: {reason}"));
    }
    let mut words = vec![counted(groups.total(), "dead letter")];
    if left_out > 0 {
        words.push(format!("{left_out} left out by the filters"));
    }
    if unread > 0 {
        words.push(format!("{} no dead letters", counted(unread, "line")));
    }
    say(&words.join(", "));
    Ok(())
}
