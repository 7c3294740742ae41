//! Egresses, and who else uses their files.

use std::path::PathBuf;

use super::Checker;
use crate::{
    config::{
        EgressConfig, EgressKind, IngressConfig, IngressKind, file_of, problem::Problem, relative,
        shape::EgressYaml,
    },
    egress::settings::FileEgressSettings,
    ingress::settings::{FileIngressSettings, FilePath},
};

impl Checker<'_> {
    pub(super) fn egress(&mut self, index: usize, yaml: EgressYaml) -> Option<EgressConfig> {
        let index = index.to_string();
        let id = self.id(&["egresses", &index, "id"], &yaml.id);
        let kind = match (yaml.file, yaml.kinesis, yaml.stdout) {
            (Some(file), None, None) if file.path == "-" => {
                let mark = self.mark(&["egresses", &index, "file", "path"]);
                let problem = Problem::new(mark, "`-` is no file");
                self.problems
                    .push(problem.hint("write `stdout: {}` for standard output"));
                return None;
            }
            (Some(file), None, None) => {
                let at = ["egresses", &*index, "file"];
                if file.keep.is_some() && file.max_bytes.is_none() {
                    let message = "`keep` has no effect without `max-bytes`".to_owned();
                    let hint = "say with `max-bytes` when a new file is begun, or remove `keep`";
                    self.wrong(&at, &["keep"], message, Some(hint));
                }
                let path = relative(&self.folder, &file.path);
                if file.path.ends_with('/') || path.is_dir() {
                    let message = format!("`{}` is a folder", file.path);
                    self.wrong(&at, &["path"], message, Some("name a file in it"));
                }
                EgressKind::File(FileEgressSettings {
                    path,
                    max_bytes: file.max_bytes.map(|size| size.0),
                    keep: file.keep,
                })
            }
            (None, Some(kinesis), None) => {
                EgressKind::Kinesis(self.kinesis_egress(&index, kinesis)?)
            }
            (None, None, Some(_)) => EgressKind::Stdout,
            _ => {
                self.exactly_one(
                    &["egresses", &index],
                    &yaml.id,
                    "`file`, `kinesis` and `stdout`",
                );
                return None;
            }
        };
        let way: &[&str] = match kind {
            EgressKind::File(_) => &["file", "path"],
            EgressKind::Kinesis(_) => &["kinesis", "stream"],
            EgressKind::Stdout => &["stdout"],
        };
        Some(EgressConfig {
            id: id?,
            place: self.mark(&[&["egresses", &index], way].concat()),
            kind,
        })
    }

    /// A file has one writer, which alone knows its length, and no reader: that would never come to its end.
    /// Standard input has one reader.
    pub(super) fn one_user_each(&mut self, ingresses: &[IngressConfig], egresses: &[EgressConfig]) {
        let mut stdin = 0;
        let mut used: Vec<(PathBuf, String)> = Vec::new();
        for IngressConfig { id, kind, .. } in ingresses {
            match kind {
                IngressKind::File(FileIngressSettings {
                    path: FilePath::Stdin,
                }) => stdin += 1,
                IngressKind::File(FileIngressSettings {
                    path: FilePath::Path(path),
                }) => used.extend(file_of(path).map(|path| (path, format!("the ingress `{id}`")))),
                IngressKind::Datagen(_) | IngressKind::Kinesis(_) | IngressKind::DeadLetters(_) => {
                }
            }
        }
        if stdin > 1 {
            let message = "standard input (`-`) is read by more than one ingress";
            self.problems
                .push(Problem::new(self.mark(&["ingresses"]), message));
        }
        for (index, EgressConfig { id, kind, .. }) in egresses.iter().enumerate() {
            let EgressKind::File(file) = kind else {
                continue;
            };
            let Some(path) = file_of(&file.path) else {
                continue;
            };
            if let Some((_, user)) = used.iter().find(|(other, _)| *other == path) {
                let mark = self.mark(&["egresses", &index.to_string(), "file", "path"]);
                let message = format!("`{id}` would write the file of {user}");
                self.problems.push(Problem::new(mark, message));
            }
            used.push((path, format!("the egress `{id}`")));
        }
    }
}
