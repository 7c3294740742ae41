//! A module from flags alone: one source, one sink.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Destination, EgressConfig, EgressKind, EndpointConfig, Id, IngressConfig, IngressKind, Mark,
    Module, OnUnrouted, Places, SinkConfig,
    check::{check_header, check_url, default_fields},
    file_of,
    interpolate::{Sources, fill_pieces},
    shape::delivery::{MAX_BATCH_RECORDS, MAX_CALLS},
    units::LONGEST,
};
use crate::{
    auth::{AuthSettings, Secret},
    aws::settings::StreamName,
    delivery::{DEFAULT, gate::settings::GateSettings, settings::DeliverySettings},
    egress::settings::FileEgressSettings,
    http::settings::{EndpointSettings, Environment, ProxyRule},
    ingress::settings::{
        DatagenSettings, FileIngressSettings, FilePath, KinesisIngressSettings, StreamStart,
    },
    network::{AddressRules, Allowed},
    oci::{Reference, settings::RegistrySettings},
    plugin::settings::{
        GrantSettings, PackageSettings, PluginLimits, PluginSettings, PluginSource,
    },
    progress::settings::ProgressSettings,
    router::Router,
};

/// The ids that the ingress of a run without a module file may have.
pub const RUN_INGRESSES: [&str; 3] = ["run/file", "run/kinesis", "run/datagen"];

/// `nozzle run` without a module file.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are the flags of `nozzle run`, documented there"
)]
pub struct Flags {
    pub plugin: PathBuf,
    pub plugin_config: Option<String>,
    pub url: String,
    /// `name: value`; references are filled in.
    pub auth_header: Option<String>,
    pub source: Source,
    pub max_records: Option<usize>,
    pub max_wait: Option<Duration>,
    pub max_calls: Option<usize>,
    pub dead_letters: Option<PathBuf>,
    pub results: Option<PathBuf>,
    /// As the entries of `network.allow`.
    pub allow: Vec<String>,
}

/// Where the events of a run without a module file come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// NDJSON from a file, `-` for standard input.
    File(PathBuf),
    /// A Kinesis stream, by name or ARN.
    Kinesis {
        /// The name or ARN.
        stream: String,
        /// Where a stream begins of which nothing is stored.
        start: StreamStart,
    },
    /// Made-up records.
    Datagen {
        /// Records a second.
        rate: Option<u64>,
        /// Records in all.
        count: Option<u64>,
        /// The same seed gives the same records.
        seed: u64,
    },
}

/// Makes the module: one of [`RUN_INGRESSES`], sink `run/sink`.
///
/// # Errors
/// A flag that makes no sense, in words.
pub fn from_flags(flags: Flags, sources: &Sources) -> Result<Module, String> {
    let delivery = delivery(&flags)?;
    let allow = flags.allow.iter().map(|text| {
        let parsed = text.parse::<Allowed>();
        parsed.map_err(|hint| format!("--allow `{text}` names no addresses: {hint}"))
    });
    let network = Arc::new(AddressRules::new(allow.collect::<Result<_, _>>()?));
    let (endpoint, filled_in) = endpoint(&flags, sources, &network)?;
    different_files(&flags)?;
    let mut egresses = Vec::new();
    let mut egress = |name, path: Option<PathBuf>| {
        egresses.push(egress(name, path?));
        Some(egresses.len() - 1)
    };
    let results = egress("run/results", flags.results);
    let dead_letters = egress("run/dead-letters", flags.dead_letters);
    let (name, kind) = ingress(flags.source)?;
    Ok(Module {
        ingresses: vec![IngressConfig {
            id: id(name),
            kind,
            to: vec![0],
            router: Router::to_all(1),
            on_unrouted: OnUnrouted::File,
            place: Mark::default(),
        }],
        endpoints: vec![EndpointConfig {
            name: "endpoint of `--url`".to_owned(),
            settings: endpoint,
            gate: GateSettings::default(),
            places: Places::default(),
        }],
        sinks: vec![SinkConfig {
            id: id("run/sink"),
            plugin: plugin(&flags.plugin, flags.plugin_config)?,
            endpoints: vec![(DEFAULT.into(), 0)],
            delivery,
            results,
            dead_letters: dead_letters.map(Destination::Egress),
            places: Places::default(),
        }],
        egresses,
        network,
        progress: ProgressSettings::default(),
        admin: None,
        telemetry: None,
        filled_in,
    })
}

fn id(text: &str) -> Id {
    Id::parse(text).expect("a namespace and a name")
}

fn delivery(flags: &Flags) -> Result<DeliverySettings, String> {
    let mut delivery = DeliverySettings::default();
    let batch = &mut delivery.batch;
    if let Some(max_records) = flags.max_records {
        batch.max_records = within("--max-records", max_records, 1..=MAX_BATCH_RECORDS)?;
    }
    if let Some(max_wait) = flags.max_wait {
        batch.max_wait = max_wait;
    }
    if batch.max_wait > LONGEST {
        return Err("--max-wait must be at most `365days`".to_owned());
    }
    delivery.buffer.max_records = delivery.buffer.max_records.max(2 * batch.max_records);
    if let Some(max_calls) = flags.max_calls {
        delivery.in_flight.max_calls = within("--max-calls", max_calls, 1..=MAX_CALLS)?;
    }
    Ok(delivery)
}

/// The endpoint, and what was filled into its flags.
fn endpoint(
    flags: &Flags,
    sources: &Sources,
    network: &Arc<AddressRules>,
) -> Result<(EndpointSettings, Vec<Secret>), String> {
    let filled = |flag: &str, text: &str| {
        fill_pieces(text, sources)
            .map_err(|unfilled| format!("{flag}: {}; {}", unfilled.message, unfilled.hint))
    };
    let (url, pieces) = filled("--url", &flags.url)?;
    let mut filled_in = pieces.filled_in;
    let url = check_url(&url.text).map_err(|reason| format!("--url `{}`: {reason}", flags.url))?;
    let mut endpoint = EndpointSettings::new(url, flags.url.clone());
    network.check_url(&endpoint.url).map_err(|refused| {
        let (url, kind) = (&flags.url, refused.kind);
        format!("--url `{url}` has an address ({kind}) that is not dialled: if it is meant, add `--allow {kind}`")
    })?;
    endpoint.network = Arc::clone(network);
    endpoint.proxy = ProxyRule::Environment(Environment::read(sources.env));
    endpoint
        .proxy
        .before(&endpoint.url)
        .map_err(|error| format!("--url: {error}"))?;
    if let Some(header) = &flags.auth_header {
        let (name, value) = header
            .split_once(':')
            .ok_or("--auth-header is written `name: value`")?;
        let (value, pieces) = filled("--auth-header", value.trim())?;
        filled_in.extend(pieces.filled_in);
        let (name, _) = check_header(name.trim(), &value.text)
            .map_err(|reason| format!("--auth-header: {reason}"))?;
        endpoint.auth = Some(AuthSettings::Header {
            name,
            value: Secret::new(&value.text, pieces.all),
        });
    }
    Ok((endpoint, filled_in))
}

/// Nothing is written over.
fn different_files(flags: &Flags) -> Result<(), String> {
    if shared(&flags.results, &flags.dead_letters) {
        return Err("--results and --dead-letters must not be the same file".to_owned());
    }
    let file = match &flags.source {
        Source::File(path) if !is_stdio(path) => Some(path.clone()),
        _ => None,
    };
    if shared(&file, &flags.results) || shared(&file, &flags.dead_letters) {
        return Err("--file must not be the file of --results or --dead-letters".to_owned());
    }
    Ok(())
}

/// Whether a path of the command line is standard input or output.
pub(super) fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a path of the command line writes to.
pub(super) fn egress(name: &str, path: PathBuf) -> EgressConfig {
    let kind = match is_stdio(&path) {
        true => EgressKind::Stdout,
        false => EgressKind::File(FileEgressSettings {
            path,
            max_bytes: None,
            keep: None,
        }),
    };
    EgressConfig {
        id: id(name),
        kind,
        place: Mark::default(),
    }
}

/// The source, and its id.
fn ingress(source: Source) -> Result<(&'static str, IngressKind), String> {
    let [file, kinesis, datagen] = RUN_INGRESSES;
    Ok(match source {
        Source::File(path) => {
            let path = match is_stdio(&path) {
                true => FilePath::Stdin,
                false => FilePath::Path(path),
            };
            (file, IngressKind::File(FileIngressSettings { path }))
        }
        Source::Kinesis { stream, start } => {
            let name = StreamName::parse(&stream)
                .map_err(|reason| format!("--kinesis `{stream}`: {reason}"))?;
            let settings = KinesisIngressSettings::new(name, start);
            (kinesis, IngressKind::Kinesis(settings))
        }
        Source::Datagen { rate, count, seed } => {
            let rate = rate.map(|rate| within("--rate", rate, 1..=u64::MAX));
            let settings = DatagenSettings {
                rate: rate.transpose()?,
                count,
                seed,
                key: None,
                size: None,
                fields: default_fields(),
            };
            (datagen, IngressKind::Datagen(settings))
        }
    })
}

fn plugin(path: &Path, config: Option<String>) -> Result<PluginSettings, String> {
    if let Some(text) = &config {
        // It stays as it is written: a parsed number might be rounded.
        serde_json::from_str::<serde_json::Value>(text)
            .map_err(|error| format!("--config is no JSON: {error}"))?;
    }
    Ok(PluginSettings {
        source: plugin_source(path)?,
        sha256: None,
        signature: None,
        config: config.unwrap_or_else(|| "null".to_owned()),
        limits: PluginLimits::default(),
        grants: GrantSettings {
            sink: "run/sink".to_owned(),
            ..GrantSettings::default()
        },
    })
}

/// Whether both are the same file.
fn shared(one: &Option<PathBuf>, other: &Option<PathBuf>) -> bool {
    let one = one.as_deref().and_then(file_of);
    one.is_some() && one == other.as_deref().and_then(file_of)
}

/// `value`, if it is in the range that the module file allows.
fn within<T: PartialOrd + Display>(
    flag: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    if value < *range.start() {
        return Err(format!("{flag} must be at least {}", range.start()));
    }
    if value > *range.end() {
        return Err(format!("{flag} must be at most {}", range.end()));
    }
    Ok(value)
}

/// A file, or a package: a reference is no name that a file is likely to have.
fn plugin_source(plugin: &Path) -> Result<PluginSource, String> {
    let Some(text) = plugin.to_str().filter(|text| Reference::is_meant(text)) else {
        return Ok(PluginSource::File(plugin.to_owned()));
    };
    let reference = Reference::parse(text);
    let reference = reference.map_err(|error| format!("--plugin `{text}`: {error}"))?;
    Ok(PluginSource::Package(Box::new(PackageSettings {
        reference,
        registry: RegistrySettings::default(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags {
            plugin: "p.wasm".into(),
            plugin_config: None,
            url: "http://t.test/".to_owned(),
            auth_header: None,
            source: Source::File("-".into()),
            max_records: None,
            max_wait: None,
            max_calls: None,
            dead_letters: None,
            results: None,
            allow: Vec::new(),
        }
    }

    /// What is wrong with the flags, in words.
    fn wrong(flags: Flags) -> String {
        from_flags(flags, &sources()).err().unwrap_or_default()
    }

    fn sources() -> Sources {
        Sources {
            groups: Default::default(),
            env: |_| None,
            folder: PathBuf::new(),
        }
    }

    fn datagen(rate: u64) -> Source {
        Source::Datagen {
            rate: Some(rate),
            count: None,
            seed: 1,
        }
    }

    #[test]
    fn flags_are_held_to_the_bounds_of_the_module_file() {
        #[rustfmt::skip]
        let table = [
            (Flags { source: datagen(0), ..flags() }, "--rate must be at least 1"),
            (Flags { source: datagen(1), ..flags() }, ""),
            (Flags { max_records: Some(0), ..flags() }, "--max-records must be at least 1"),
            (Flags { max_records: Some(usize::MAX), ..flags() }, "--max-records must be at most 1000000"),
            (Flags { max_records: Some(MAX_BATCH_RECORDS), ..flags() }, ""),
            (Flags { max_calls: Some(0), ..flags() }, "--max-calls must be at least 1"),
            (Flags { max_calls: Some(usize::MAX), ..flags() }, "--max-calls must be at most 100000"),
            (Flags { max_wait: Some(Duration::MAX), ..flags() }, "--max-wait must be at most `365days`"),
            (Flags { max_wait: Some(LONGEST), ..flags() }, ""),
            (Flags { auth_header: Some("a b: c".to_owned()), ..flags() }, "--auth-header: `a b` is no header name"),
            (
                Flags { results: Some("out".into()), dead_letters: Some("./out".into()), ..flags() },
                "--results and --dead-letters must not be the same file",
            ),
            (
                Flags { source: Source::File("in".into()), results: Some("in".into()), ..flags() },
                "--file must not be the file of --results or --dead-letters",
            ),
            (Flags { results: Some("-".into()), ..flags() }, ""),
            (Flags { url: "http://10.0.0.1/".to_owned(), ..flags() }, ""),
            (
                Flags { url: "http://169.254.169.254/".to_owned(), ..flags() },
                "--url `http://169.254.169.254/` has an address (metadata) that is not dialled: if it is meant, add `--allow metadata`",
            ),
            (
                Flags { url: "http://169.254.169.254/".to_owned(), allow: vec!["metadata".to_owned()], ..flags() },
                "",
            ),
            (
                Flags { allow: vec!["10.0.0.1/8".to_owned()], ..flags() },
                "--allow `10.0.0.1/8` names no addresses: write the network's first address: `10.0.0.0/8`",
            ),
            (Flags { results: Some("/dev/null".into()), dead_letters: Some("/dev/null".into()), ..flags() }, ""),
            (
                Flags { url: "http://${env:X}/".to_owned(), ..flags() },
                "--url: the environment variable `X` is not set; set it before the start",
            ),
        ];

        for (flags, expected) in table {
            assert_eq!(wrong(flags), expected);
        }
    }

    #[test]
    fn the_plugin_is_given_its_configuration_as_it_is_written() {
        let text = r#"{"id": 18446744073709551616, "of": 1.0e2}"#;
        let flags = Flags {
            plugin_config: Some(text.to_owned()),
            ..flags()
        };

        let module = from_flags(flags, &sources()).expect("it makes sense");

        assert_eq!(module.sinks[0].plugin.config, text);
    }
}
