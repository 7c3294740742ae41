//! A checked module: settings alone, with places in lists for what the file names by id.

use std::{fmt, sync::Arc};

use super::{Mark, Places};
use crate::{
    admin::settings::AdminSettings,
    auth::Secret,
    delivery::{gate::settings::GateSettings, settings::DeliverySettings},
    egress::settings::{FileEgressSettings, KinesisEgressSettings},
    http::settings::EndpointSettings,
    ingress::settings::{
        DatagenSettings, DeadLetterSettings, FileIngressSettings, KinesisIngressSettings,
    },
    network::AddressRules,
    plugin::settings::PluginSettings,
    progress::settings::ProgressSettings,
    router::Router,
    trace::settings::OtlpSettings,
};

/// A checked module.
#[derive(Debug, Clone)]
pub struct Module {
    /// Where events come from.
    pub ingresses: Vec<IngressConfig>,
    /// Where calls go: those with a name, then the sinks' own.
    pub endpoints: Vec<EndpointConfig>,
    /// What delivers them.
    pub sinks: Vec<SinkConfig>,
    /// Where results and dead letters go.
    pub egresses: Vec<EgressConfig>,
    /// Which addresses may be dialled.
    pub network: Arc<AddressRules>,
    /// Where and how often progress is stored.
    pub progress: ProgressSettings,
    /// Where metrics, health and status are served, if anywhere.
    pub admin: Option<AdminSettings>,
    /// Where traces go, beside what the environment says.
    pub telemetry: Option<OtlpSettings>,
    /// What was filled in for each `${…}`.
    pub filled_in: Vec<Secret>,
}

/// `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub(super) String);

impl Id {
    /// Checks the form: lower-case letters, digits and `-` on both sides of one slash.
    pub fn parse(text: &str) -> Option<Self> {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let (namespace, name) = text.split_once('/')?;
        (part(namespace) && part(name)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One ingress.
#[derive(Debug, Clone)]
pub struct IngressConfig {
    /// Unique among ingresses.
    pub id: Id,
    /// What it reads.
    pub kind: IngressKind,
    /// The sinks that its routers name, each once: indices into [`Module::sinks`].
    pub to: Vec<usize>,
    /// Which of them an event goes to; its places are those of `to`.
    pub router: Router,
    /// Where events go that no router takes.
    pub on_unrouted: OnUnrouted,
    /// Where the file names what it reads.
    pub place: Mark,
}

impl IngressConfig {
    /// Whether events may go to this one of [`Module::sinks`].
    pub fn leads_to(&self, sink: usize) -> bool {
        self.to.contains(&sink) || self.on_unrouted == OnUnrouted::To(Destination::Sink(sink))
    }
}

/// Where events go that no router takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnrouted {
    /// To a file in the state directory.
    File,
    /// Nowhere: they are counted.
    Drop,
    /// Nowhere: the ingress stops in front of the first.
    Halt,
    /// There.
    To(Destination),
}

/// A sink or an egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// An index into [`Module::egresses`].
    Egress(usize),
    /// An index into [`Module::sinks`].
    Sink(usize),
}

/// What an ingress reads.
#[derive(Debug, Clone, PartialEq)]
pub enum IngressKind {
    /// Made-up records.
    Datagen(DatagenSettings),
    /// Lines.
    File(FileIngressSettings),
    /// A Kinesis stream.
    Kinesis(KinesisIngressSettings),
    /// Dead letters; no module file names them, but `nozzle replay` does.
    DeadLetters(DeadLetterSettings),
}

/// One endpoint.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// For messages: the endpoint `shop/api`, or the endpoint of the sink `shop/score`.
    pub name: String,
    /// How it is reached.
    pub settings: EndpointSettings,
    /// How much it is given at a time.
    pub gate: GateSettings,
    /// Where it stands in the file.
    pub places: Places,
}

/// One sink.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Unique among sinks.
    pub id: Id,
    /// Its plugin.
    pub plugin: PluginSettings,
    /// Its endpoints, at least one, by the names that its plugin knows, that of [`DEFAULT`](crate::delivery::DEFAULT) first: indices into
    /// [`Module::endpoints`].
    pub endpoints: Vec<(Arc<str>, usize)>,
    /// How it delivers.
    pub delivery: DeliverySettings,
    /// Its result egress: an index into [`Module::egresses`].
    pub results: Option<usize>,
    /// Where its dead letters go; without it, to a file in the state directory.
    pub dead_letters: Option<Destination>,
    /// Where it stands in the file.
    pub places: Places,
}

impl SinkConfig {
    /// Whether its dead letters go to this one of [`Module::sinks`].
    pub fn leads_to(&self, sink: usize) -> bool {
        self.dead_letters == Some(Destination::Sink(sink))
    }

    /// Whether calls may go to this one of [`Module::endpoints`].
    pub fn uses(&self, endpoint: usize) -> bool {
        self.endpoints.iter().any(|(_, index)| *index == endpoint)
    }

    /// The file in the state directory that its dead letters go to, if they go nowhere else.
    pub fn default_letters(&self) -> String {
        format!("dead-letters-{}.ndjson", self.id.0.replace('/', "_"))
    }
}

/// One egress.
#[derive(Debug, Clone)]
pub struct EgressConfig {
    /// Unique among egresses.
    pub id: Id,
    /// Where it writes.
    pub kind: EgressKind,
    /// Where the file says so.
    pub place: Mark,
}

/// Where an egress writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressKind {
    /// NDJSON in a file.
    File(FileEgressSettings),
    /// A Kinesis stream.
    Kinesis(KinesisEgressSettings),
    /// NDJSON on standard output.
    Stdout,
}
