//! Records what passes through a sink as cases, without what this host knows as secret.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    admin::{AlreadyRecorded, Ask, Recorded, RecordedCase, RecordedEnd, Records},
    auth::Secret,
    author::{Origin, Secrets, case_of},
    config::{Module, SinkConfig},
    delivery::{
        settings::Order,
        tap::{RecordingEnd, Reeled, Tap},
    },
    event::{now_ms, rfc3339},
};

/// What one recording may hold, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What the files of one recording may hold, in bytes: the client takes 64 MiB, and a quote in JSON is two.
const MAX_TEXT: usize = 24 * 1024 * 1024;

/// The secrets of the module that runs, and of those before it: what these have sent may still be under way.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownSecrets(Arc<Mutex<Vec<Secret>>>);

impl KnownSecrets {
    /// From now on those of this module are known, too.
    pub(super) fn know(&self, module: &Module) {
        let auth = module.endpoints.iter();
        let auth = auth.filter_map(|endpoint| endpoint.settings.auth.as_ref());
        let auth = auth.flat_map(|auth| auth.secrets());
        let admin = module.admin.iter().filter_map(|admin| admin.token.as_ref());
        self.add(module.filled_in.iter().chain(auth).chain(admin));
    }

    fn list(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on those that the files have now are known, too. Blocks, and holds up nobody meanwhile.
    fn look_again(&self) {
        let known = self.list().clone();
        // A file that is gone holds none.
        let of_files = known
            .iter()
            .filter(|secret| secret.files().next().is_some());
        let now: Vec<Secret> = of_files.filter_map(|secret| secret.reread().ok()).collect();
        self.add(now.iter());
    }

    fn add<'a>(&self, secrets: impl Iterator<Item = &'a Secret>) {
        let mut known = self.list();
        for secret in secrets {
            if !known.contains(secret) {
                known.push(secret.clone());
            }
        }
    }

    /// All of them, also as their files have them now. Blocks.
    fn read(&self) -> Secrets {
        self.look_again();
        let known = self.list().clone();
        Secrets::new(known.iter().map(Secret::reveal))
    }
}

/// Records one sink.
#[derive(Debug)]
pub(super) struct Recorder {
    tap: Tap,
    sink: String,
    endpoints: Vec<String>,
    order: Order,
    known: KnownSecrets,
}

impl Recorder {
    pub(super) fn new(config: &SinkConfig, tap: Tap, known: KnownSecrets) -> Self {
        let endpoints = config.endpoints.iter();
        Self {
            tap,
            sink: config.id.to_string(),
            endpoints: endpoints.map(|(name, _)| name.to_string()).collect(),
            order: config.delivery.order,
            known,
        }
    }

    async fn next_batches(&self, ask: Ask) -> Result<Recorded, AlreadyRecorded> {
        let recording = self.tap.record(ask.batches, MAX_BYTES);
        let recording = recording.map_err(|_| AlreadyRecorded)?;
        // One that is replaced until the end is in what passes now.
        let known = self.known.clone();
        drop(tokio::task::spawn_blocking(move || known.look_again()));
        let ended = tokio::time::timeout(ask.within, recording.done()).await;
        let ended = match ended {
            Err(_) => RecordedEnd::Time,
            Ok(RecordingEnd::Complete) => RecordedEnd::Complete,
            Ok(RecordingEnd::Full) => RecordedEnd::Full,
            Ok(RecordingEnd::SinkEnded) => RecordedEnd::SinkEnded,
        };
        let reeled = recording.finish();
        let origin = Origin {
            sink: self.sink.clone(),
            recorded: rfc3339(now_ms()),
            endpoints: self.endpoints.clone(),
            order: self.order,
        };
        let known = self.known.clone();
        // Files are read, and megabytes written.
        let written =
            tokio::task::spawn_blocking(move || write(&reeled, &origin, &known.read())).await;
        let (cases, left_out) = written.unwrap_or_else(|error| {
            let lost = format!("all of it: an internal task failed: {error}");
            (Vec::new(), vec![lost])
        });
        Ok(Recorded {
            sink: self.sink.clone(),
            cases,
            ended,
            left_out,
        })
    }
}

impl Records for Recorder {
    fn record(
        &self,
        ask: Ask,
    ) -> Pin<Box<dyn Future<Output = Result<Recorded, AlreadyRecorded>> + Send + '_>> {
        Box::pin(self.next_batches(ask))
    }
}

/// The cases, and what is not there, in words.
fn write(reeled: &Reeled, origin: &Origin, secrets: &Secrets) -> (Vec<RecordedCase>, Vec<String>) {
    let mut cases = Vec::new();
    let (mut bytes, mut too_large) = (0, reeled.left_out.too_large);
    let mut not_shaped = reeled.left_out.not_shaped;
    for taken in &reeled.batches {
        let Ok(case) = case_of(taken, origin, secrets) else {
            not_shaped += 1;
            continue;
        };
        if bytes + case.text.len() > MAX_TEXT {
            too_large += 1;
            continue;
        }
        bytes += case.text.len();
        cases.push(RecordedCase {
            generation: taken.generation,
            digest: taken.identity.digest.clone(),
            altered: case.is_altered,
            text: case.text,
        });
    }
    let mib = MAX_BYTES / (1024 * 1024);
    let left_out = [
        (
            too_large,
            format!("too large: a recording has room for {mib} MiB"),
        ),
        (
            not_shaped,
            "the plugin failed on it, or broke the contract".to_owned(),
        ),
    ];
    let left_out = left_out.into_iter().filter(|(count, _)| *count > 0);
    let left_out = left_out.map(|(count, why)| match count {
        1 => format!("1 batch: {why}"),
        count => format!("{count} batches: {why}"),
    });
    (cases, left_out.collect())
}
