//! The module file: loaded, checked as a whole, and turned into the settings of the parts that use them.

mod check;
mod compare;
mod document;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod interpolate;
mod places;
mod problem;
mod properties;
mod replay;
mod schema;
mod shape;
mod tree;
mod units;
mod walk;

pub use compare::{Changes, Fixed, IngressChange, SinkChange};
pub use document::Document;
pub use flags::{Flags, RUN_INGRESSES, Source, from_flags};
pub use interpolate::Sources;
pub use places::Places;
pub use problem::{Mark, Problem, Problems};
pub use properties::{Groups, load_properties, parse_properties};
pub use replay::{Replay, ReplayError};
pub use schema::schema;
pub use units::parse_duration;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{check::Checker, shape::ModuleYaml, tree::Node};
use crate::{
    admin::settings::AdminSettings,
    auth::Secret,
    delivery::{gate::settings::GateSettings, settings::DeliverySettings},
    egress::settings::{FileEgressSettings, KinesisEgressSettings},
    http::settings::EndpointSettings,
    ingress::{
        paths,
        settings::{
            DatagenSettings, DeadLetterSettings, FileIngressSettings, KinesisIngressSettings,
        },
    },
    network::AddressRules,
    plugin::settings::PluginSettings,
    progress::settings::ProgressSettings,
    router::Router,
    trace::settings::OtlpSettings,
};

/// The largest module file, file of property groups, or file of a `${file:…}`, in bytes.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

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
pub struct Id(String);

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

/// Loads and checks a module file. `properties` is a file of property groups.
///
/// # Errors
/// Every problem that was found.
pub fn load(path: &Path, properties: Option<&Path>) -> Result<Module, Problems> {
    let file = path.display().to_string();
    let text = read(path, "the module file")?;
    let groups = match properties {
        None => Groups::new(),
        Some(properties) => load_properties(properties)?,
    };
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let sources = Sources {
        groups,
        env: |name| std::env::var(name).ok(),
        folder,
    };
    parse(&text, &sources).map_err(|mut problems| {
        problems.sort_by_key(|problem| problem.mark);
        Problems {
            file,
            text,
            problems,
        }
    })
}

/// Problems of a module file that were found behind its check, each with its place.
pub fn problems_in(path: &Path, found: impl IntoIterator<Item = (Mark, String)>) -> Problems {
    let problems = found.into_iter();
    let mut problems: Vec<_> = problems
        .map(|(mark, message)| Problem::new(mark, message))
        .collect();
    problems.sort_by_key(|problem| problem.mark);
    Problems {
        file: path.display().to_string(),
        // It was read before: without it, no line is shown.
        text: read_text(path).unwrap_or_default(),
        problems,
    }
}

fn read(path: &Path, what: &str) -> Result<String, Problems> {
    read_text(path).map_err(|error| {
        let problem = Problem::new(Mark::default(), format!("{what} cannot be read: {error}"));
        Problems::whole(path.display().to_string(), problem)
    })
}

/// Reads a text that a person or a program wrote for this; a device that never ends is none.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(MAX_TEXT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT {
        return Err(io::Error::other(format!(
            "it has more than {MAX_TEXT} bytes"
        )));
    }
    Ok(text)
}

/// Parses and checks a module's text.
///
/// # Errors
/// Every problem that was found.
pub fn parse(text: &str, sources: &Sources) -> Result<Module, Vec<Problem>> {
    checked(text, sources).map_err(|mut problems| {
        for problem in &mut problems {
            problem.mark = problem.mark.within(text);
        }
        problems
    })
}

fn checked(text: &str, sources: &Sources) -> Result<Module, Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(root) = Node::parse(text, sources, &mut problems) else {
        return Err(problems);
    };
    let walked = walk::walk(&root, &schema(), &mut problems);
    if walked.is_shifted {
        return Err(problems);
    }
    let yaml: ModuleYaml = match serde_json::from_value(walked.json) {
        Ok(yaml) => yaml,
        Err(error) if problems.is_empty() => {
            let message = format!("the module cannot be read: {error}");
            return Err(vec![Problem::new(Mark::default(), message)]);
        }
        Err(_) => return Err(problems),
    };
    let checked = Checker::new(&root, sources, problems.is_empty()).module(yaml);
    if problems.is_empty() {
        return checked;
    }
    // What else is wrong is said at once, but for what may follow from the problems before.
    let more = checked.err().unwrap_or_default().into_iter();
    problems.extend(more.filter(|problem| !walked.beside.contains(&problem.mark)));
    Err(problems)
}

/// A path of the file, relative to its folder.
fn relative(folder: &Path, path: &str) -> PathBuf {
    folder.join(path)
}

/// The file that a path names, however it is written. None for a device, such as
/// `/dev/null`, which may have many users.
fn file_of(path: &Path) -> Option<PathBuf> {
    // What cannot be found is refused when it is opened.
    let path = paths::absolute(path)
        .or_else(|_| std::path::absolute(path))
        .ok()?;
    (!path.starts_with("/dev")).then_some(path)
}
