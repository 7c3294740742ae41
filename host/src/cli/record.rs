//! `nozzle plugin record`: what passes through a running host, as cases.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::CliError,
    host::HostArgs,
    letters::counted,
    speak::{print, say},
    steer::id,
};
use crate::{
    admin::{Recorded, RecordedEnd},
    config::Id,
};

/// What `nozzle plugin record` can be told.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_long_help = "The files hold the records that passed, requests and responses: whatever your users' data are, they are in there. Their owner alone can \
read them (mode 0600). Secrets that the host knows (`${…}`, `auth`) and headers of responses that let in (cookies, tokens, keys) are \
taken out; a case in which something was says so, as it may not pass then.

Exit codes:
  0  at least one batch was recorded
  1  none was, or a file cannot be written
  2  usage, nobody answers, or the host refuses"
)]
pub(super) struct RecordArgs {
    /// The sink's id.
    #[arg(value_name = "SINK", value_parser = id)]
    sink: Id,
    /// Batches to record: each becomes a case.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    batches: u32,
    /// How long it may take, at most 20 minutes: until the batches have come, and all of their calls have their end.
    #[arg(long = "for", value_name = "DURATION", default_value = "1min", value_parser = duration)]
    within: Duration,
    /// The folder that the cases are written to; it is made. Files in it stay as they are.
    #[arg(long, value_name = "FOLDER", default_value = "cases")]
    out: PathBuf,
    #[command(flatten)]
    host: HostArgs,
}

const LONGEST: Duration = Duration::from_secs(20 * 60);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = crate::config::parse_duration(text).map_err(|error| error.to_string())?;
    match (Duration::from_secs(1)..=LONGEST).contains(&duration) {
        true => Ok(duration),
        false => Err("a recording takes `1s` to `20min`".to_owned()),
    }
}

/// Why there are no cases.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("nothing was recorded of `{sink}`: {why}")]
    Nothing { sink: String, why: String },
    #[error("could not write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl RecordError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing { .. } => Some(
                "see `nozzle sinks` for what the sink does, and wait longer with `--for`; a batch counts when its sink's plugin is given it"
                    .to_owned(),
            ),
            Self::Write { .. } => Some("name another folder with `--out`".to_owned()),
        }
    }
}

/// Records, and writes a file for each batch.
pub(super) async fn record(args: RecordArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    let RecordArgs {
        sink, within, out, ..
    } = &args;
    let made = fs::create_dir_all(out);
    made.map_err(|source| failed(out, source))?;
    // A part of a second is one, to the host.
    let seconds = within.as_millis().div_ceil(1000);
    let path = format!(
        "/v1/sinks/{sink}/record?batches={}&seconds={seconds}",
        args.batches
    );
    let recorded: Recorded = client
        .post_within(*within, &path)
        .await
        .map_err(CliError::Fetch)?;
    for missing in &recorded.left_out {
        say(&format!("left out: {missing}"));
    }
    if recorded.cases.is_empty() {
        return Err(CliError::Record(RecordError::Nothing {
            sink: sink.to_string(),
            why: why_nothing(&recorded, *within),
        }));
    }
    let stem = sink.to_string().replace('/', "-");
    let mut number = last_number(out, &stem).map_err(|source| failed(out, source))?;
    for case in &recorded.cases {
        let (path, used) = write(out, &stem, number + 1, &case.text)?;
        number = used;
        print(&format!("{}\n", path.display()))?;
    }
    say(&summary(&recorded, out));
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> CliError {
    CliError::Record(RecordError::Write {
        path: path.to_owned(),
        source,
    })
}

fn why_nothing(recorded: &Recorded, within: Duration) -> String {
    match (recorded.left_out.is_empty(), recorded.ended) {
        (false, _) => "all that passed was left out".to_owned(),
        (true, RecordedEnd::SinkEnded) => "the sink ended before a batch passed".to_owned(),
        (true, _) => {
            let within = humantime::format_duration(within);
            format!("no batch passed within {within}")
        }
    }
}

/// The highest number of a case of this sink in the folder; 0 if there is none.
fn last_number(folder: &Path, stem: &str) -> io::Result<u32> {
    let mut last = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix(stem).and_then(|rest| {
            let digits = rest.strip_prefix('-')?.strip_suffix(".yaml")?;
            digits.parse().ok()
        });
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// Writes a file that was not there, with this number or the next that is free. Gives the number, too.
fn write(folder: &Path, stem: &str, first: u32, text: &str) -> Result<(PathBuf, u32), CliError> {
    let mut number = first;
    loop {
        let path = folder.join(format!("{stem}-{number:03}.yaml"));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => return Ok((path, number)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(failed(&path, source)),
        }
    }
}

fn summary(recorded: &Recorded, folder: &Path) -> String {
    let Recorded { sink, cases, .. } = recorded;
    let batches = cases.len() as u64;
    let plural = if batches == 1 { "" } else { "es" };
    let mut text = format!("{batches} batch{plural} of `{sink}`");
    text.push_str(match recorded.ended {
        RecordedEnd::Complete => "",
        RecordedEnd::Full => ": there was no room for more",
        RecordedEnd::Time => ": then the time was over",
        RecordedEnd::SinkEnded => ": then the sink ended",
    });
    let altered = cases.iter().filter(|case| case.altered).count() as u64;
    if altered > 0 {
        let altered = counted(altered, "case");
        text.push_str(&format!(
            "\nsomething was taken out of {altered}, and `about` says what: as it is, such a case may not pass"
        ));
    }
    text.push_str(&format!(
        "\nrun them with `nozzle plugin test PLUGIN.wasm {}`",
        folder.display()
    ));
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn numbers_go_on_and_no_file_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        for name in [
            "t-sink-002.yaml",
            "t-sink-x.yaml",
            "t-sinks-900.yaml",
            "other",
        ] {
            fs::write(folder.join(name), "old").expect("written");
        }

        let last = last_number(folder, "t-sink").expect("a folder");
        let (_, taken) = write(folder, "t-sink", 2, "new").expect("written");
        let (path, number) = write(folder, "t-sink", 1000, "new").expect("written");

        assert_eq!((last, taken, number), (2, 3, 1000));
        assert!(path.ends_with("t-sink-1000.yaml"), "{}", path.display());
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let old = fs::read_to_string(folder.join("t-sink-002.yaml"));
        assert_eq!(old.expect("it is there"), "old");
    }
}
