//! The module file: loaded, checked as a whole, and turned into the settings of the parts that use them.

mod check;
mod compare;
mod document;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod interpolate;
mod module;
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
pub use module::{
    Destination, EgressConfig, EgressKind, EndpointConfig, Id, IngressConfig, IngressKind, Module,
    OnUnrouted, SinkConfig,
};
pub use places::Places;
pub use problem::{Mark, Problem, Problems};
pub use properties::{Groups, load_properties, parse_properties};
pub use replay::{Replay, ReplayError};
pub use schema::schema;
pub use units::parse_duration;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use self::{check::Checker, shape::ModuleYaml, tree::Node};
use crate::ingress::paths;

/// The largest module file, file of property groups, or file of a `${file:…}`, in bytes.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

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
pub fn problems_in(path: &Path, mut problems: Vec<Problem>) -> Problems {
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
