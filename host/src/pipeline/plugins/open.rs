//! Which version of a plugin serves when its sink starts.
//!
//! The module's file, but for two cases. A version that was swapped in by hand, or rolled back to, serves on as long as the
//! module's file is what it was then. And after a crash, a file that is refused does not keep the host down: the version
//! that served comes back. A start by hand, after an orderly end, says that the file is refused.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::{Kept, Record, Setup, SinkPlugin, State, version};
use crate::{
    config::SinkConfig,
    delivery::Endpoints,
    oci::Digest,
    plugin::{Binary, LoadError, LoadedPlugin, PluginHost, Slot, SourceError, Version},
};

/// Loads the plugin of a sink; `crashed` says whether the host before came to no orderly end. Nothing is written until it
/// [begins](SinkPlugin::begins).
pub(in crate::pipeline) async fn open(
    host: &Arc<PluginHost>,
    state_dir: &Path,
    crashed: bool,
    config: &SinkConfig,
    endpoints: Endpoints,
) -> Result<Arc<SinkPlugin>, LoadError> {
    let sink = config.id.to_string();
    let setup = Setup::of(config, endpoints);
    let kept = Kept::of(state_dir, &sink);
    let pin = config.plugin.sha256.map(|pin| Digest::new(pin).hex());
    let remembered = kept.record().unwrap_or_else(|error| {
        warn!(%sink, %error, "what the state directory remembers of the plugin cannot be read; the module's file serves");
        None
    });
    // A pin says what must serve; the signature of the module's own component is verified when it is read.
    let key = config.plugin.signature.as_ref();
    let remembered = remembered.filter(|record| {
        let serving = &record.serving;
        pin.is_none_or(|pin| pin == serving.digest)
            && (serving.is_let_in_by(key) || serving.digest == record.configured)
    });
    let before = remembered.clone();
    let (plugin, record, binary) = load(host, &kept, config, remembered, crashed).await?;
    let number = record.serving.generation;
    let unwritten = (before.as_ref() != Some(&record)).then_some(binary);
    let stats = Arc::clone(plugin.stats());
    stats
        .generation
        .set(usize::try_from(number).unwrap_or(usize::MAX));
    Ok(Arc::new(SinkPlugin {
        sink: sink.into(),
        host: Arc::clone(host),
        setup: Mutex::new(Arc::new(setup)),
        slot: Slot::with(number, plugin),
        kept,
        stats,
        loading: Arc::default(),
        state: Mutex::new(State {
            record,
            unwritten,
            last_number: number,
            trial: None,
            verdict: None,
        }),
        changed: Notify::new(),
    }))
}

async fn load(
    host: &PluginHost,
    kept: &Kept,
    config: &SinkConfig,
    remembered: Option<Record>,
    crashed: bool,
) -> Result<(LoadedPlugin, Record, Binary), LoadError> {
    let (sink, settings) = (config.id.to_string(), &config.plugin);
    let configured = host.read(settings).await;
    let is_known = |binary: &Binary| {
        let remembered = remembered.as_ref();
        remembered.is_some_and(|record| record.configured == binary.hex_digest())
    };
    let (own, refused) = match configured {
        Ok(binary) if is_known(&binary) => (Some(binary), None),
        Ok(binary) => match host.load_binary(&sink, settings, &binary).await {
            Ok(plugin) => return Ok((plugin, record_of(&binary, remembered), binary)),
            Err(error) => (None, Some(error)),
        },
        Err(error) => (None, Some(error)),
    };
    let record = match (refused, remembered) {
        (None, Some(record)) => record,
        (Some(error), Some(record))
            if crashed && record.serving.is_let_in_by(settings.signature.as_ref()) =>
        {
            error!(%sink, %error, "the plugin's file is refused; the version that served before the crash comes back");
            record
        }
        (Some(error), _) => return Err(error),
        (None, None) => unreachable!("what is not remembered is loaded or refused"),
    };
    let mut record = record;
    let serving = &mut record.serving;
    let binary = match own {
        Some(binary) if binary.hex_digest() == serving.digest => {
            serving.signed_by = binary.signed_by.clone();
            binary
        }
        _ => kept
            .component(serving)
            .map_err(|source| SourceError::Kept {
                path: kept.component_path(&serving.digest),
                source,
            })?,
    };
    if serving.digest != record.configured {
        let (generation, digest) = (serving.generation, &serving.digest);
        info!(%sink, generation, %digest, origin = %serving.origin.display(), "a version that was swapped in serves, not the module's file, which has not changed since");
    }
    let plugin = host.load_binary(&sink, settings, &binary).await?;
    Ok((plugin, record, binary))
}

/// That the module's file serves.
fn record_of(binary: &Binary, remembered: Option<Record>) -> Record {
    let digest = binary.hex_digest();
    match remembered {
        Some(record) if record.serving.digest == digest => Record {
            serving: Version {
                signed_by: binary.signed_by.clone(),
                ..record.serving
            },
            previous: record.previous,
            configured: digest,
        },
        Some(record) => Record {
            serving: version(record.serving.generation + 1, binary),
            previous: Some(record.serving),
            configured: digest,
        },
        None => Record {
            serving: version(1, binary),
            previous: None,
            configured: digest,
        },
    }
}
