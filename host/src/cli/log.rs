//! Logs: to standard error, as text for people or as a line of JSON each for programs.

use std::{fmt, io::IsTerminal};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber, error,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{error::CliError, view};
use crate::{
    admin::AUDIT,
    event::{now_ms, rfc3339},
};

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line, the summary and the last error too.
    Json,
}

/// What a bare level such as `debug` does not reach: libraries that log addresses and what the other side wrote, which
/// may be or hold secrets, or that complain of what the host then says better. They are logged when they are named.
const QUIET: [(&str, &str); 7] = [
    ("hyper", "warn"),
    ("hyper_util", "warn"),
    ("h2", "warn"),
    ("rustls", "warn"),
    ("aws_config", "error"),
    ("aws_smithy_runtime", "warn"),
    ("aws_smithy_runtime_api", "warn"),
];

/// Sends what is logged to standard error.
pub(super) fn to_stderr(filter: &str, format: LogFormat) -> Result<(), CliError> {
    let quiet: Vec<String> = QUIET
        .iter()
        .filter(|(library, _)| !filter.contains(library))
        .map(|(library, level)| format!("{library}={level}"))
        .collect();
    // Who changed what is to be seen whatever else is.
    let audit = match filter.contains(AUDIT) {
        true => String::new(),
        false => format!(",{AUDIT}=info"),
    };
    let directives = format!("{},{filter}{audit}", quiet.join(","));
    let directives = EnvFilter::try_new(directives).map_err(|source| CliError::LogFilter {
        filter: filter.to_owned(),
        source,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(directives)
        .with_writer(view::LogWriter::default);
    match format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        LogFormat::Json => {
            lines.with_ansi(false).event_format(JsonLines).init();
            std::panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(ToString::to_string);
                let said = panic.payload_as_str().unwrap_or_default();
                error!(place, said, "an internal task panicked");
            }));
        }
    }
    Ok(())
}

/// `timestamp`, `level`, `target`, `message`, and `fields` if there are any.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = json!({
            "timestamp": rfc3339(now_ms()),
            "level": metadata.level().as_str().to_ascii_lowercase(),
            "target": metadata.target(),
            "message": fields.message,
        });
        if !fields.others.is_empty() {
            line["fields"] = Value::Object(fields.others);
        }
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => {
                // What libraries write with the `log` crate says again where it was.
                if !name.starts_with("log.") {
                    self.others.insert(name.to_owned(), value);
                }
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}
