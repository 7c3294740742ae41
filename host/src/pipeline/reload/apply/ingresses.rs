//! Ingresses that stop reading, and those that are opened.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
};
use tracing::info;

use super::Change;
use crate::{
    config::{IngressChange, IngressConfig},
    ingress::AnyIngress,
    pipeline::{
        StartError,
        live::{LiveIngress, OpenIngress},
        progress::{Shared, Stored},
        reload::{
            Hurry,
            retire::{Before, store_last},
        },
        start::{Claim, begin_source, open_ingress},
    },
    progress::AnyStore,
};

/// Ingresses that are opened at a time.
const OPENING: usize = 8;

/// An ingress that does not read now.
pub(super) struct Stopped {
    pub(super) live: LiveIngress,
    /// None if it has come to its end.
    pub(super) ingress: Option<AnyIngress>,
}

impl Change<'_> {
    /// Those whose events go elsewhere, that are read otherwise, or that are gone have stopped, each between two reads.
    pub(super) async fn stop_ingresses(&mut self) {
        let stops = self
            .changes
            .ingresses
            .iter()
            .filter_map(|change| match change {
                IngressChange::Restarted(place) | IngressChange::Routed(place) => Some(*place),
                IngressChange::Added | IngressChange::Kept(_) => None,
            });
        for place in stops.chain(self.changes.removed_ingresses.iter().copied()) {
            let Some(mut live) = self.read.get_mut(place).and_then(Option::take) else {
                continue;
            };
            live.stop.cancel();
            let ingress = (&mut live.back).await.ok();
            self.stopped.insert(place, Stopped { live, ingress });
        }
    }

    /// Those that only take another way are read on: first, as they have waited long enough. Those that are gone will not be.
    pub(super) async fn route_ingresses(&mut self) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        for (place, config) in module.ingresses.iter().enumerate() {
            let read = match self.changes.ingresses[place] {
                IngressChange::Kept(before) => self.read[before].take(),
                IngressChange::Routed(before) => match self.stopped.remove(&before) {
                    Some(stopped) => Some(self.read_on(config, stopped).await?),
                    None => None,
                },
                IngressChange::Added | IngressChange::Restarted(_) => None,
            };
            self.ingresses.push(read);
        }
        for place in &self.changes.removed_ingresses {
            if let Some(Stopped { live, .. }) = self.stopped.remove(place) {
                self.live.sources.leaves(&live.source.ledger);
                info!(ingress = %live.source.id, "the ingress is read no more");
            }
        }
        Ok(())
    }

    async fn read_on(
        &mut self,
        config: &IngressConfig,
        stopped: Stopped,
    ) -> Result<LiveIngress, StartError> {
        let Stopped { live, ingress } = stopped;
        let Some(ingress) = ingress else {
            return Ok(ended(live));
        };
        let open = OpenIngress {
            ingress,
            source: live.source,
            stats: live.view.counted,
        };
        self.wiring().ingress(config, live.place, open).await
    }

    /// All ingresses of the module are read: those that are new, or read otherwise, from behind what is settled and stored. If
    /// the host stops first, those before stay in the places of those that are opened no more.
    pub(super) async fn open_ingresses(&mut self) -> Result<(), StartError> {
        let module = Arc::clone(&self.module);
        let mut anew = Vec::new();
        for (place, config) in module.ingresses.iter().enumerate() {
            match self.changes.ingresses[place] {
                IngressChange::Added => {}
                IngressChange::Restarted(before) => {
                    let stopped = self.stopped.remove(&before);
                    self.ingresses[place] = stopped.map(|stopped| ended(stopped.live));
                }
                IngressChange::Routed(_) | IngressChange::Kept(_) => continue,
            }
            let claim = match self.live.claimed.insert(config.id.to_string()) {
                true => Claim::Needed,
                false => Claim::Done,
            };
            anew.push((place, config.clone(), claim));
        }
        let (store, stored) = (&self.live.store, &self.live.stored);
        let mut opening = begin_to_open(anew, store, stored, self.grace, self.hurry);
        while let Some(opened) = opening.join_next().await {
            let (place, Some(open)) = opened.expect("opening does not panic")? else {
                continue;
            };
            if let Some(before) = self.ingresses[place].take() {
                self.live.sources.leaves(&before.source.ledger);
            }
            let source = begin_source(&open, &self.live.sources, &self.live.stored);
            let config = &module.ingresses[place];
            self.ingresses[place] = Some(self.wiring().ingress(config, source, open).await?);
        }
        Ok(())
    }
}

/// One that is read no more.
fn ended(live: LiveIngress) -> LiveIngress {
    LiveIngress {
        back: oneshot::channel().1,
        ..live
    }
}

/// Opens ingresses behind their stored progress, each when the events of those before it are settled; none waits for another
/// one's. They are given by their numbers; none is open if the host stops before that.
fn begin_to_open(
    ingresses: Vec<(usize, IngressConfig, Claim)>,
    store: &Shared<AnyStore>,
    stored: &Stored,
    grace: Duration,
    hurry: &Hurry,
) -> JoinSet<Result<(usize, Option<OpenIngress>), StartError>> {
    let slots = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for (number, config, claim) in ingresses {
        let (store, stored) = (Arc::clone(store), Arc::clone(stored));
        let (hurry, slots) = (hurry.clone(), Arc::clone(&slots));
        opening.spawn(async move {
            let id = config.id.to_string();
            let before = store_last(&id, &stored, &store, grace, &hurry).await?;
            if before == Before::Unsettled {
                return Ok((number, None));
            }
            let _slot = slots.acquire().await.expect("nobody closes it");
            let open = open_ingress(&config, &store, claim).await?;
            Ok((number, Some(open)))
        });
    }
    opening
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        config::{Groups, Sources, parse},
        delivery::Source,
        event::Position,
        progress::{Ledger, settings::StoreSettings},
    };

    /// Twenty ingresses that read nothing of a file.
    fn ingresses() -> Vec<(usize, IngressConfig, Claim)> {
        let ingresses: String = (0..20)
            .map(|number| {
                format!("  - {{ id: t/in{number}, datagen: {{ rate: 1 }}, routers: [{{ to: [t/a] }}] }}\n")
            })
            .collect();
        let text = format!(
            "version: \"1\"\ningresses:\n{ingresses}sinks:\n  - {{ id: t/a, plugin: {{ path: a.wasm }}, endpoint: {{ url: \"http://127.0.0.1:1/\" }} }}\n"
        );
        let sources = Sources {
            groups: Groups::new(),
            env: |_| None,
            folder: PathBuf::new(),
        };
        let module = parse(&text, &sources).unwrap_or_else(|problems| panic!("{problems:?}"));
        let ingresses = module.ingresses.into_iter().enumerate();
        ingresses
            .map(|(number, config)| (number, config, Claim::Needed))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_ingress_waits_for_the_events_of_another_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = AnyStore::open(&StoreSettings::Embedded, folder.path()).await;
        let store: Shared<_> = Arc::new(tokio::sync::Mutex::new(store.expect("it opens")));
        let ingresses = ingresses();
        // Each has an event that nobody settles.
        let source = |(_, config, _): &(usize, IngressConfig, Claim)| {
            let ledger = Arc::new(Ledger::default());
            ledger.begin([(0, Position::Count(1))].into_iter(), 1);
            Source {
                id: config.id.to_string().into(),
                ledger,
                relays: false,
            }
        };
        let stored = Stored::default();
        (stored.lock().expect("no panic")).extend(ingresses.iter().map(source));
        let hurry = Hurry {
            stops: CancellationToken::new(),
            is_over: CancellationToken::new(),
        };
        let (grace, started) = (Duration::from_secs(30), Instant::now());

        let opening = begin_to_open(ingresses, &store, &stored, grace, &hurry);
        let opened = opening.join_all().await;

        let waited = started.elapsed();
        let is_open = |(_, open): &(usize, Option<OpenIngress>)| open.is_some();
        assert_eq!(opened.into_iter().flatten().filter(is_open).count(), 20);
        assert!(waited >= grace && waited < 2 * grace, "{waited:?}");
        assert!(stored.lock().expect("no panic").is_empty());
    }
}
