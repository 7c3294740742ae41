//! The module that a proof runs: one ingress, and a sink for each plugin.

use std::{fmt::Write, path::Path};

use nozzle_testkit::{Framing, Promise, plugin};

/// What a proof reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of NDJSON.
    File,
    /// A stream of two shards.
    Kinesis,
}

/// Every ingress: a new one is a line here.
pub(crate) const INGRESSES: [Source; 2] = [Source::File, Source::Kinesis];

/// A plugin, and what its sink promises.
#[derive(Debug)]
pub(crate) struct PluginCase {
    pub(crate) name: &'static str,
    file: &'static str,
    pub(crate) framing: Framing,
    /// Whether each delivery has a result.
    pub(crate) results: bool,
    /// Lines below the sink.
    settings: &'static [&'static str],
    /// Whether the sink keeps order: of all records of a file, of each key of a stream.
    ordered: bool,
}

/// Every plugin: a new one is a line here.
#[rustfmt::skip]
pub(crate) static PLUGINS: [PluginCase; 3] = [
    PluginCase { name: "json-batch", file: "json_batch.wasm", framing: Framing::Array, results: false, ordered: true, settings: &[] },
    PluginCase { name: "per-record", file: "per_record.wasm", framing: Framing::Single, results: true, ordered: false, settings: &["results: { to: t/results }"] },
    PluginCase { name: "bulk", file: "bulk.wasm", framing: Framing::Bulk, results: false, ordered: false, settings: &[] },
];

impl PluginCase {
    /// What its sink promises of the order of calls.
    pub(crate) fn promise(&self, source: Source) -> Promise {
        match source {
            _ if !self.ordered => Promise::None,
            Source::File => Promise::Strict,
            Source::Kinesis => Promise::Key,
        }
    }

    /// Writes another version of it into `folder`: the same code with another digest.
    pub(crate) fn write_other_version(&self, folder: &Path) {
        // A custom section: its number, its size, the length of its name, the name, the content.
        const SECTION: [u8; 6] = [0, 4, 2, b'n', b'o', 2];
        let built = std::fs::read(plugin(self.file)).expect("it is built");
        std::fs::write(folder.join(self.file), [&built[..], &SECTION].concat()).expect("written");
    }

    /// The file of its dead letters.
    pub(crate) fn letters(&self) -> String {
        format!("dead-{}.ndjson", self.name)
    }
}

/// Where the records are.
#[derive(Debug)]
pub(crate) enum Place {
    File,
    Stream { name: String, server: String },
}

/// What differs between the incarnations of a host.
#[derive(Debug, Default)]
pub(crate) struct Endpoints<'a> {
    /// A URL for each plugin, and the root to trust.
    pub(crate) urls: Vec<(String, Option<&'a Path>)>,
    /// `timeout.attempt`.
    pub(crate) timeout: &'a str,
    /// `batch.max-records`.
    pub(crate) batch: usize,
    /// Where the components are, if they are not those that were built.
    pub(crate) plugins: Option<&'a Path>,
    /// Lines of every sink.
    pub(crate) sink: &'static str,
    /// What dead letters go to first, if anything.
    pub(crate) second: Option<String>,
}

/// The module file.
pub(crate) fn module(place: &Place, endpoints: &Endpoints<'_>) -> String {
    let mut text = String::from("version: \"1\"\ningresses:\n  - id: t/in\n");
    let sinks: Vec<String> = PLUGINS
        .iter()
        .map(|case| format!("t/{}", case.name))
        .collect();
    let sinks = sinks.join(", ");
    let source = match place {
        Place::File => "    file: { path: in.ndjson }\n".to_owned(),
        Place::Stream { name, server } => format!(
            "    kinesis: {{ stream: {name}, endpoint-url: {server}, start: earliest, poll-interval: 20ms, discovery-interval: 100ms }}\n"
        ),
    };
    write!(text, "{source}    routers: [{{ to: [{sinks}] }}]\nsinks:\n")
        .expect("a string takes all");
    for (case, (url, ca_file)) in PLUGINS.iter().zip(&endpoints.urls) {
        let wasm = match endpoints.plugins {
            None => plugin(case.file),
            Some(folder) => folder.join(case.file),
        };
        let ca_file = ca_file
            .map(|path| format!(", tls: {{ ca-file: {} }}", path.display()))
            .unwrap_or_default();
        let order = match (case.ordered, place) {
            (false, _) => "none",
            (true, Place::File) => "strict",
            (true, Place::Stream { .. }) => "key",
        };
        let (name, wasm) = (case.name, wasm.display());
        let Endpoints {
            timeout,
            batch,
            sink,
            second,
            ..
        } = endpoints;
        let letters = match second {
            None => "dead",
            Some(_) => "second",
        };
        write!(
            text,
            "  - id: t/{name}\n    \
             plugin: {{ path: {wasm}, limits: {{ time: 10s }} }}\n    \
             endpoint: {{ url: \"{url}\"{ca_file} }}\n    \
             batch: {{ max-records: {batch}, max-wait: 20ms }}\n    \
             in-flight: {{ max-calls: 16 }}\n    \
             timeout: {{ attempt: {timeout} }}\n    \
             {sink}\n    order: {order}\n    dead-letters: t/{letters}-{name}\n"
        )
        .expect("a string takes all");
        for line in case.settings {
            writeln!(text, "    {line}").expect("a string takes all");
        }
        if let Some(url) = second {
            let wasm = plugin("json_batch.wasm").display().to_string();
            write!(
                text,
                "  - id: t/second-{name}\n    \
                 plugin: {{ path: {wasm}, config: {{ invalid: string }}, limits: {{ time: 10s }} }}\n    \
                 endpoint: {{ url: \"{url}\" }}\n    \
                 batch: {{ max-wait: 20ms }}\n    dead-letters: t/dead-{name}\n"
            )
            .expect("a string takes all");
        }
    }
    text.push_str("egresses:\n  - id: t/results\n    file: { path: results.ndjson }\n");
    for case in &PLUGINS {
        let (name, letters) = (case.name, case.letters());
        write!(
            text,
            "  - id: t/dead-{name}\n    file: {{ path: {letters} }}\n"
        )
        .expect("a string takes all");
    }
    text.push_str("progress: { interval: 100ms }\n");
    text
}
