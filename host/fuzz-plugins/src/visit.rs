//! A component through the loader, and, if it is let in, through its calls.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use nozzle::{
    event::Event,
    outcome::Response,
    plugin::{
        Binary, CurrentCall, LoadError, Method, Plugin, PluginHost, ShapedBody, ShapedRequest,
        settings::{PluginLimits, PluginSettings, PluginSource},
    },
};

use crate::{make, say};

/// Visits the components of the seeds, and says a line for each: how it was made, and what became of it.
pub(crate) fn all(from: u64, until: u64) {
    let names = ["json_batch", "per_record", "template", "hostile"];
    let folder = PathBuf::from("guest-plugins/dist");
    let plugins: Vec<Vec<u8>> = names
        .iter()
        .map(|name| {
            let path = folder.join(format!("{name}.wasm"));
            std::fs::read(&path).unwrap_or_else(|error| {
                panic!("{}: {error}; run `make guests` first", path.display())
            })
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let host = PluginHost::new(None).expect("the host can be set up");
    for seed in from..until {
        let (kind, component) = make::component(seed, &plugins);
        let end = runtime.block_on(visit(&host, component.into()));
        say(&format!("{}: {end}", make::KINDS[kind]));
    }
}

async fn visit(host: &PluginHost, component: Bytes) -> &'static str {
    let settings = PluginSettings {
        source: PluginSource::File(PathBuf::from("fuzzed.wasm")),
        signature: None,
        sha256: None,
        grants: Default::default(),
        config: "null".to_owned(),
        limits: PluginLimits {
            memory: 16 << 20,
            time: Duration::from_millis(100),
            instances: 1,
            output: 4 << 20,
            ..PluginLimits::default()
        },
    };
    let binary = Binary::new(settings.source.label(), component);
    let plugin = match host.load_binary("fuzz/sink", &settings, &binary).await {
        Ok(plugin) => plugin,
        Err(error) => return refused(&error),
    };
    let event = |id: u64| Event {
        id: format!("fuzz/{id}").into(),
        key: None,
        timestamp_ms: id,
        attributes: Vec::new(),
        data: Bytes::from(format!("{{\"id\":{id}}}")),
    };
    let events: Vec<Arc<Event>> = (0..3).map(|id| Arc::new(event(id))).collect();
    let shaped = plugin.shape(&events).await;
    if plugin.handles() {
        let call = CurrentCall {
            attempt: 1,
            request: Arc::new(ShapedRequest {
                method: Method::Post,
                endpoint: None,
                target: String::new(),
                headers: Vec::new(),
                body: ShapedBody::Empty,
                events: vec![0, 1, 2],
            }),
            events: events.into(),
        };
        let response = Response {
            status: 200,
            headers: http::HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            truncated: false,
        };
        // Any answer will do.
        drop(plugin.handle(call, Ok(response)).await);
    }
    match shaped {
        Ok(_) => "loaded, and shapes",
        Err(_) => "loaded, and fails to shape",
    }
}

fn refused(error: &LoadError) -> &'static str {
    match error {
        LoadError::Compile { .. } => "refused: not valid",
        LoadError::MissingExport { .. } | LoadError::Version { .. } => "refused: other exports",
        LoadError::Import { .. } => "refused: an import",
        LoadError::Type { .. } => "refused: other types",
        LoadError::Configure { .. } => "refused: by itself, in configure",
        LoadError::Start(_) => "refused: fails to start",
        _ => "refused: otherwise",
    }
}
