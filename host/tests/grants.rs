//! What plugins are granted: with a grant it works, without one it is refused, and beyond it it is denied. Promise 4.

#[path = "grants/http.rs"]
mod http;
#[path = "grants/keyvalue.rs"]
mod keyvalue;
#[path = "grants/machine.rs"]
mod machine;
#[path = "grants/run.rs"]
mod run;

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use nozzle::{
    config::{self, Groups, Module, Sources},
    event::Event,
    pipeline,
    plugin::{LoadError, LoadedPlugin, Plugin, PluginHost, ShapedBody},
};
use nozzle_testkit::plugins;
use serde_json::Value;

/// A module with one sink, whose plugin and grants are these; the folder is that of its files.
fn module(folder: &Path, plugin: &str, config: &str, rest: &str) -> Module {
    let path = plugins().join(plugin);
    let path = path.display();
    let text = format!(
        "version: \"1\"\n\
         ingresses:\n  - id: t/in\n    datagen: {{ count: 1 }}\n    routers: [{{ to: [t/sink] }}]\n\
         sinks:\n  - id: t/sink\n    plugin: {{ path: {path}, config: {config}, limits: {{ time: 20s, instances: 2 }} }}\n    \
         endpoint: {{ url: \"http://127.0.0.1:9/\" }}\n{rest}"
    );
    let sources = Sources {
        groups: Groups::new(),
        env: |name| (name == "REGION").then(|| "eu".to_owned()),
        folder: folder.to_owned(),
    };
    config::parse(&text, &sources).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

/// Loads the plugin of a module; its state is in `folder`.
async fn load(host: &PluginHost, module: &Module) -> Result<LoadedPlugin, LoadError> {
    host.load("t/sink", &module.sinks[0].plugin).await
}

fn host(module: &Module, state: Option<&Path>) -> PluginHost {
    let host = PluginHost::new(None).expect("the host can be set up");
    host.offering(pipeline::services(module, state))
}

/// A plugin that loads.
async fn granted(folder: &Path, plugin: &str, config: &str, rest: &str) -> LoadedPlugin {
    let module = module(folder, plugin, config, rest);
    let host = host(&module, Some(folder));
    load(&host, &module).await.expect("it loads")
}

/// Events whose keys are their data.
fn events(data: &[&str]) -> Vec<Arc<Event>> {
    let event = |data: &&str| Event {
        id: format!("t/{data}").into(),
        key: Some((*data).into()),
        timestamp_ms: 7,
        attributes: Vec::new(),
        data: Bytes::copy_from_slice(data.as_bytes()),
    };
    data.iter().map(|data| Arc::new(event(data))).collect()
}

/// The body of the one request that a plugin makes of these events.
async fn shaped(plugin: &LoadedPlugin, data: &[&str]) -> Value {
    let shaped = plugin.shape(&events(data)).await.expect("it shapes");
    let ShapedBody::Bytes(body) = &shaped.requests[0].body else {
        panic!("{shaped:?}");
    };
    serde_json::from_slice(body).expect("JSON")
}
