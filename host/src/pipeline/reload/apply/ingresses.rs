//! Ingresses that stop reading, and those that are opened.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    config::IngressConfig,
    ingress::AnyIngress,
    pipeline::{
        StartError,
        live::{LiveIngress, OpenIngress},
        progress::{Shared, Stored},
        reload::{Hurry, retire::store_last},
        start::{Claim, open_ingress},
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

/// Stops those at these places, between two reads.
pub(super) async fn stop(
    read: &mut [Option<LiveIngress>],
    places: impl Iterator<Item = usize>,
) -> HashMap<usize, Stopped> {
    let mut stopped = HashMap::new();
    for place in places {
        let Some(mut live) = read.get_mut(place).and_then(Option::take) else {
            continue;
        };
        live.stop.cancel();
        let ingress = (&mut live.back).await.ok();
        stopped.insert(place, Stopped { live, ingress });
    }
    stopped
}

/// Opens ingresses behind their stored progress, each when the events of those before it are settled; none waits for another
/// one's. They are given by their numbers.
pub(super) fn begin_to_open(
    ingresses: Vec<(usize, IngressConfig, Claim)>,
    store: &Shared<AnyStore>,
    stored: &Stored,
    grace: Duration,
    hurry: &Hurry,
) -> JoinSet<Result<(usize, OpenIngress), StartError>> {
    let slots = Arc::new(Semaphore::new(OPENING));
    let mut opening = JoinSet::new();
    for (number, config, claim) in ingresses {
        let (store, stored) = (Arc::clone(store), Arc::clone(stored));
        let (hurry, slots) = (hurry.clone(), Arc::clone(&slots));
        opening.spawn(async move {
            let id = config.id.to_string();
            store_last(&id, &stored, &store, grace, &hurry).await?;
            let _slot = slots.acquire().await.expect("nobody closes it");
            Ok((number, open_ingress(&config, &store, claim).await?))
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
        assert_eq!(opened.into_iter().filter(Result::is_ok).count(), 20);
        assert!(waited >= grace && waited < 2 * grace, "{waited:?}");
        assert!(stored.lock().expect("no panic").is_empty());
    }
}
