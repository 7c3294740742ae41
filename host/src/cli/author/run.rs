//! `nozzle plugin run`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};

use super::{AuthorError, LimitArgs, config, workshop};
use crate::{
    author::{Call, Preview, events_of},
    cli::speak::{print, say},
};

/// What `nozzle plugin run` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// The component.
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// Records, one on each line; `-` is standard input. They are one batch.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// `plugin.config`.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = config)]
    config: String,
    /// The default endpoint's URL.
    #[arg(long, value_name = "URL", default_value = "https://endpoint.test/")]
    url: String,
    /// A further endpoint, such as `eu=https://eu.example.com/`; may stand several times.
    #[arg(long = "endpoint", value_name = "NAME=URL", value_parser = endpoint)]
    endpoints: Vec<(String, String)>,
    /// Prints the requests as commands of curl. What the endpoint's configuration adds, such as its secrets, is not there.
    #[arg(long)]
    curl: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

fn endpoint(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

/// The most that is read: a batch of a sink is smaller.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// Shapes one batch, and prints what would be sent.
pub(super) async fn run(args: RunArgs) -> Result<(), AuthorError> {
    let input = read(&args.file).map_err(|source| AuthorError::Read {
        path: args.file.clone(),
        source,
    })?;
    let events = events_of(&input);
    if events.is_empty() {
        return Err(AuthorError::NoRecords { path: args.file });
    }
    let workshop = workshop(&args.plugin, &args.limits).await?;
    let preview = workshop
        .preview(&args.config, &events, &args.url, &args.endpoints)
        .await;
    let preview = preview.map_err(AuthorError::Preview)?;
    print(&shown(&preview, args.curl))?;
    for mistake in preview.mistakes() {
        say(&format!("warning: {mistake}"));
        if let Some(hint) = mistake.hint() {
            say(&format!("  hint: {hint}"));
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    match path.as_os_str() == "-" {
        true => io::stdin().take(MAX_INPUT + 1).read_to_end(&mut bytes)?,
        false => File::open(path)?
            .take(MAX_INPUT + 1)
            .read_to_end(&mut bytes)?,
    };
    if bytes.len() as u64 > MAX_INPUT {
        return Err(io::Error::other(format!(
            "it has more than {MAX_INPUT} bytes"
        )));
    }
    Ok(bytes.into())
}

fn shown(preview: &Preview, as_curl: bool) -> String {
    let mut out = String::new();
    let all = preview.calls.len();
    for (number, call) in preview.calls.iter().enumerate() {
        let events = call.events.iter().map(|index| index.to_string());
        let events = events.collect::<Vec<_>>().join(", ");
        out.push_str(&format!(
            "# request {} of {all}, events {events}\n",
            number + 1
        ));
        out.push_str(&match as_curl {
            true => curl(call),
            false => text(call),
        });
        out.push('\n');
    }
    for index in &preview.drop {
        out.push_str(&format!("# event {index} is dropped\n"));
    }
    for (index, reason) in &preview.reject {
        out.push_str(&format!("# event {index} is rejected: {reason}\n"));
    }
    out
}

fn text(call: &Call) -> String {
    let mut out = format!("{} {}\n", call.method, call.uri);
    for (name, value) in &call.headers {
        out.push_str(&format!("{name}: {}\n", plain(value.as_bytes())));
    }
    match call.body.as_deref().map(std::str::from_utf8) {
        None => {}
        Some(Ok(body)) => {
            out.push('\n');
            out.push_str(&plain(body.as_bytes()));
            if !body.ends_with('\n') {
                out.push('\n');
            }
        }
        Some(Err(_)) => {
            let bytes = call.body.as_ref().map_or(0, Bytes::len);
            out.push_str(&format!("\n({bytes} bytes that are no UTF-8)\n"));
        }
    }
    out
}

/// What a terminal cannot take for anything but text.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            character if character.is_control() => out.extend(character.escape_default()),
            character => out.push(character),
        }
    }
    out
}

/// A command for a shell as POSIX has it.
fn curl(call: &Call) -> String {
    let mut command = String::from("curl --globoff --path-as-is");
    match call.method {
        // With a body, `--head` would not do.
        Method::HEAD if call.body.is_none() => command.push_str(" --head"),
        ref method => command.push_str(&format!(" -X {method}")),
    }
    command.push_str(&format!(" {}", quoted(&call.uri.to_string())));
    for (name, value) in &call.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let header = match value.is_empty() {
            true => format!("{name};"),
            false => format!("{name}: {value}"),
        };
        command.push_str(&format!(" \\\n  -H {}", quoted(&header)));
    }
    let Some(body) = &call.body else {
        return format!("{command}\n");
    };
    if !call.headers.contains_key(CONTENT_TYPE) {
        // Otherwise it would say that the body is a form.
        command.push_str(" \\\n  -H 'content-type:'");
    }
    match std::str::from_utf8(body) {
        Ok(body) if !body.contains('\0') => {
            format!("{command} \\\n  --data-raw {}\n", quoted(body))
        }
        _ => format!(
            "printf %s {} | base64 -d | {command} \\\n  --data-binary @-\n",
            STANDARD.encode(body)
        ),
    }
}

/// One word for a shell, whatever stands in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
