//! The module of a replay: one sink of the user's module, fed with dead letters.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    Destination, EgressConfig, EgressKind, Id, IngressConfig, IngressKind, Mark, Module,
    OnUnrouted, SinkConfig, file_of,
    flags::{egress, is_stdio},
};
use crate::{
    dead_letter::Filter,
    ingress::settings::DeadLetterSettings,
    progress::settings::{ProgressSettings, StoreSettings},
    router::Router,
};

/// What a replay is told.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Files of dead letters, read one after the other.
    pub files: Vec<PathBuf>,
    /// The sink; none where the module has only one.
    pub to: Option<String>,
    /// Which letters are sent.
    pub filter: Filter,
    /// A file for what fails again, in place of what the module says.
    pub dead_letters: Option<PathBuf>,
    /// Where the dead letters of sinks go that name nothing for them.
    pub state_dir: PathBuf,
}

/// Why a replay makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// More than one sink, and none named.
    #[error("the module has more than one sink")]
    WhichSink {
        /// Their ids.
        sinks: Vec<String>,
    },
    /// No such sink.
    #[error("the module has no sink `{to}`")]
    NoSink {
        /// As the user wrote it.
        to: String,
        /// Those that there are.
        sinks: Vec<String>,
    },
    /// A file is named twice.
    #[error("`{}` is named twice", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
    /// What is read would be written.
    #[error("`{}` is written by {writer}: the replay would read what it writes", path.display())]
    OwnFile {
        /// The file.
        path: PathBuf,
        /// What would write it.
        writer: String,
    },
    /// The file for what fails again is another egress's.
    #[error("`{}` is written by {writer}", path.display())]
    SharedFile {
        /// The file.
        path: PathBuf,
        /// What would write it, too.
        writer: String,
    },
}

impl ReplayError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        let listed = |sinks: &[String]| format!("name one with --to: {}", sinks.join(", "));
        match self {
            Self::WhichSink { sinks } | Self::NoSink { sinks, .. } => listed(sinks),
            Self::Twice { .. } => "name it once".to_owned(),
            Self::OwnFile { .. } => {
                "pass --dead-letters PATH for what fails again, or move the file aside first"
                    .to_owned()
            }
            Self::SharedFile { .. } => "pass another path".to_owned(),
        }
    }
}

impl Module {
    /// The module that sends dead letters again: the sink, those that its own dead letters go to, and the egresses
    /// that these write.
    ///
    /// # Errors
    /// When the sink or a file makes no sense.
    pub fn replay(self, replay: Replay) -> Result<Self, ReplayError> {
        let first = self.sink_of(replay.to)?;
        let mut kept: Vec<usize> = vec![first];
        let mut sinks: Vec<SinkConfig> = Vec::new();
        let mut egresses: Vec<EgressConfig> = Vec::new();
        let mut old_egresses: Vec<usize> = Vec::new();
        let mut keep = |egress: usize, egresses: &mut Vec<EgressConfig>| {
            let known = old_egresses.iter().position(|old| *old == egress);
            known.or_else(|| {
                egresses.push(self.egresses.get(egress)?.clone());
                old_egresses.push(egress);
                Some(egresses.len() - 1)
            })
        };
        while let Some(sink) = kept.last().and_then(|sink| self.sinks.get(*sink)) {
            let mut sink = sink.clone();
            sink.results = sink.results.and_then(|index| keep(index, &mut egresses));
            let mut next = None;
            sink.dead_letters = match sink.dead_letters {
                // The file takes their place, below.
                _ if replay.dead_letters.is_some() => None,
                Some(Destination::Egress(index)) => {
                    keep(index, &mut egresses).map(Destination::Egress)
                }
                Some(Destination::Sink(index)) => {
                    next = Some(index);
                    Some(Destination::Sink(kept.len()))
                }
                None => None,
            };
            sinks.push(sink);
            match next {
                Some(next) => kept.push(next),
                None => break,
            }
        }
        let to = sinks.first().map(|sink| sink.id.to_string());
        let to = to.unwrap_or_default();
        let mut written = files_of(&egresses);
        let defaults = sinks.iter().filter(|sink| sink.dead_letters.is_none());
        if replay.dead_letters.is_none() {
            written.extend(defaults.map(|sink| {
                let path = replay.state_dir.join(sink.default_letters());
                (path, format!("the sink `{}`", sink.id))
            }));
        }
        if let Some(path) = replay.dead_letters {
            if let Some((_, writer)) = written.iter().find(|(other, _)| same_file(other, &path)) {
                let writer = writer.clone();
                return Err(ReplayError::SharedFile { path, writer });
            }
            if !is_stdio(&path) {
                written.push((path.clone(), "--dead-letters".to_owned()));
            }
            egresses.push(egress("replay/dead-letters", path));
            if let Some(sink) = sinks.first_mut() {
                sink.dead_letters = Some(Destination::Egress(egresses.len() - 1));
            }
        }
        for (index, path) in replay.files.iter().enumerate() {
            let path = path.clone();
            if let Some((_, writer)) = written.iter().find(|(other, _)| same_file(other, &path)) {
                let writer = writer.clone();
                return Err(ReplayError::OwnFile { path, writer });
            }
            let mut before = replay.files.iter().take(index);
            if before.any(|other| same_file(other, &path)) {
                return Err(ReplayError::Twice { path });
            }
        }
        Ok(Self {
            ingresses: vec![IngressConfig {
                id: Id("nozzle/replay".to_owned()),
                kind: IngressKind::DeadLetters(DeadLetterSettings {
                    files: replay.files,
                    to,
                    filter: replay.filter,
                }),
                to: vec![0],
                router: Router::to_all(1),
                on_unrouted: OnUnrouted::File,
                place: Mark::default(),
            }],
            // Their places stay the same.
            endpoints: self.endpoints,
            sinks,
            egresses,
            // The address may be that of a host which runs.
            admin: None,
            network: self.network,
            telemetry: self.telemetry,
            filled_in: self.filled_in,
            progress: ProgressSettings {
                store: StoreSettings::Embedded,
                ..self.progress
            },
        })
    }

    fn sink_of(&self, to: Option<String>) -> Result<usize, ReplayError> {
        let ids = || self.sinks.iter().map(|sink| sink.id.to_string()).collect();
        match to {
            None if self.sinks.len() == 1 => Ok(0),
            None => Err(ReplayError::WhichSink { sinks: ids() }),
            Some(to) => {
                let found = self.sinks.iter().position(|sink| sink.id.0 == to);
                found.ok_or_else(|| ReplayError::NoSink { to, sinks: ids() })
            }
        }
    }
}

/// The files that egresses write, and how to name these.
fn files_of(egresses: &[EgressConfig]) -> Vec<(PathBuf, String)> {
    let file = |egress: &EgressConfig| match &egress.kind {
        EgressKind::File(file) => Some((file.path.clone(), format!("the egress `{}`", egress.id))),
        EgressKind::Kinesis(_) | EgressKind::Stdout => None,
    };
    egresses.iter().filter_map(file).collect()
}

/// Whether two paths name one file, by links too.
fn same_file(one: &Path, other: &Path) -> bool {
    let on_disk = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
    };
    match (on_disk(one), on_disk(other)) {
        (Some(one), Some(other)) => one == other,
        _ => file_of(one).is_some_and(|one| file_of(other).is_some_and(|other| one == other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, parse};

    const MODULE: &str = r#"
version: "1"
ingresses:
  - id: t/in
    file: { path: in.ndjson }
    routers: [{ to: [t/a, t/c] }]
sinks:
  - { id: t/a, plugin: { path: p.wasm }, endpoint: { url: "http://a.test/" }, results: { to: t/results }, dead-letters: t/b }
  - { id: t/b, plugin: { path: p.wasm }, endpoint: { url: "http://b.test/" }, dead-letters: t/failed }
  - { id: t/c, plugin: { path: p.wasm }, endpoint: { url: "http://c.test/" } }
egresses:
  - { id: t/other, stdout: {} }
  - { id: t/failed, file: { path: failed.ndjson } }
  - { id: t/results, file: { path: results.ndjson } }
"#;

    fn module(folder: &Path) -> Module {
        let sources = Sources {
            groups: Default::default(),
            env: |_| None,
            folder: folder.to_owned(),
        };
        parse(MODULE, &sources).expect("it is valid")
    }

    fn replay(folder: &Path, to: Option<&str>, files: &[&str]) -> Replay {
        Replay {
            files: files.iter().map(|file| folder.join(file)).collect(),
            to: to.map(str::to_owned),
            filter: Filter::default(),
            dead_letters: None,
            state_dir: folder.join("state"),
        }
    }

    #[test]
    fn a_replay_has_the_sink_and_what_its_letters_go_to_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();

        let all = module(folder)
            .replay(replay(folder, Some("t/a"), &["x"]))
            .expect("it makes sense");
        let own = Replay {
            dead_letters: Some(folder.join("again.ndjson")),
            ..replay(folder, Some("t/a"), &["failed.ndjson"])
        };
        let own = module(folder).replay(own).expect("it makes sense");

        let ids = |module: &Module| -> (Vec<String>, Vec<String>) {
            let sinks = module.sinks.iter().map(|sink| sink.id.to_string());
            let egresses = module.egresses.iter().map(|egress| egress.id.to_string());
            (sinks.collect(), egresses.collect())
        };
        let strings =
            |all: &[&str]| -> Vec<String> { all.iter().map(|&text| text.into()).collect() };
        assert_eq!(
            ids(&all),
            (
                strings(&["t/a", "t/b"]),
                strings(&["t/results", "t/failed"])
            )
        );
        assert_eq!(all.sinks[0].dead_letters, Some(Destination::Sink(1)));
        assert_eq!(all.sinks[0].results, Some(0));
        assert_eq!(all.sinks[1].dead_letters, Some(Destination::Egress(1)));
        assert_eq!(
            ids(&own),
            (
                strings(&["t/a"]),
                strings(&["t/results", "replay/dead-letters"])
            )
        );
        assert_eq!(own.sinks[0].dead_letters, Some(Destination::Egress(1)));
    }

    #[test]
    fn a_dash_is_standard_output() {
        let folder = tempfile::tempdir().expect("a folder");
        let replay = Replay {
            dead_letters: Some("-".into()),
            ..replay(folder.path(), Some("t/b"), &["x"])
        };

        let module = module(folder.path()).replay(replay);

        let module = module.expect("it makes sense");
        let last = module.egresses.last().map(|egress| &egress.kind);
        assert!(matches!(last, Some(EgressKind::Stdout)), "{last:?}");
    }

    #[test]
    fn what_is_written_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        std::fs::write(folder.join("failed.ndjson"), "").expect("written");
        std::os::unix::fs::symlink(folder.join("failed.ndjson"), folder.join("link"))
            .expect("linked");
        let refused = |to, files: &[&str]| {
            let error = module(folder)
                .replay(replay(folder, to, files))
                .expect_err("refused");
            error
                .to_string()
                .replace(&folder.display().to_string(), "DIR")
        };

        let own = "is written by the egress `t/failed`: the replay would read what it writes";
        assert_eq!(
            refused(Some("t/b"), &["failed.ndjson"]),
            format!("`DIR/failed.ndjson` {own}")
        );
        assert_eq!(
            refused(Some("t/a"), &["x", "link"]),
            format!("`DIR/link` {own}")
        );
        assert_eq!(
            refused(Some("t/c"), &["state/dead-letters-t_c.ndjson"]),
            "`DIR/state/dead-letters-t_c.ndjson` is written by the sink `t/c`: the replay would read what it writes"
        );
        assert_eq!(
            refused(Some("t/c"), &["link", "failed.ndjson"]),
            "`DIR/failed.ndjson` is named twice"
        );
        assert_eq!(refused(None, &["x"]), "the module has more than one sink");
        assert_eq!(refused(Some("t/d"), &["x"]), "the module has no sink `t/d`");
        let shared = Replay {
            dead_letters: Some(folder.join("results.ndjson")),
            ..replay(folder, Some("t/a"), &["x"])
        };
        let shared = module(folder).replay(shared).expect_err("refused");
        assert!(matches!(shared, ReplayError::SharedFile { .. }));
    }
}
