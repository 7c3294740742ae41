//! What one call of a plugin costs, and one event in the batcher. Run with `make micro`.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use http::HeaderMap;
use nozzle::{
    batch::{BatchSettings, Batcher, Due, KeyUse, Pending},
    event::{Arrival, Event, Ticket},
    outcome::Response,
    plugin::{
        CurrentCall, LoadedPlugin, Method, Plugin, PluginHost, ShapedBody, ShapedRequest,
        settings::{GrantSettings, PluginLimits, PluginSettings, PluginSource},
    },
};
use tokio::{runtime::Runtime, time::Instant};

fn main() {
    divan::main();
}

fn events(count: usize) -> Vec<Arc<Event>> {
    let event = |number: usize| Event {
        id: format!("bench/7:{number}").into(),
        key: Some("user-7".into()),
        timestamp_ms: 0,
        attributes: Vec::new(),
        data: Bytes::from(format!(
            "{{\"id\":{number},\"padding\":\"{}\"}}",
            "x".repeat(170)
        )),
    };
    (0..count).map(|number| Arc::new(event(number))).collect()
}

fn load(name: &str) -> (Runtime, PluginHost, LoadedPlugin) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../guest-plugins/dist")
        .join(name);
    let settings = PluginSettings {
        source: PluginSource::File(path),
        sha256: None,
        signature: None,
        config: "null".to_owned(),
        limits: PluginLimits::default(),
        grants: GrantSettings::default(),
    };
    let host = PluginHost::new(None).expect("a host");
    let plugin = runtime
        .block_on(host.load("bench/sink", &settings))
        .expect("run `make guests` first");
    (runtime, host, plugin)
}

#[divan::bench(args = [1, 100, 500])]
fn shape_a_call_a_batch_without_parsing(bencher: Bencher<'_, '_>, count: usize) {
    shape(bencher, "template.wasm", count);
}

#[divan::bench(args = [1, 100, 500])]
fn shape_json_batch(bencher: Bencher<'_, '_>, count: usize) {
    shape(bencher, "json_batch.wasm", count);
}

#[divan::bench(args = [1, 100, 500])]
fn shape_per_record(bencher: Bencher<'_, '_>, count: usize) {
    shape(bencher, "per_record.wasm", count);
}

fn shape(bencher: Bencher<'_, '_>, name: &str, count: usize) {
    let (runtime, _host, plugin) = load(name);
    let events = events(count);
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| runtime.block_on(plugin.shape(&events)).expect("it shapes"));
}

#[divan::bench]
fn handle_by_status(bencher: Bencher<'_, '_>) {
    let (runtime, _host, plugin) = load("per_record.wasm");
    let request = ShapedRequest {
        method: Method::Post,
        endpoint: None,
        target: String::new(),
        headers: Vec::new(),
        body: ShapedBody::Empty,
        events: vec![0],
    };
    let call = CurrentCall {
        attempt: 1,
        request: Arc::new(request),
        events: events(1).into(),
    };
    let response = Response {
        status: 503,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        truncated: false,
    };
    bencher.bench_local(|| {
        runtime
            .block_on(plugin.handle(call.clone(), Ok(response.clone())))
            .expect("it handles")
    });
}

#[divan::bench]
fn batcher_push_and_pop(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let event = events(1).remove(0);
    bencher.counter(ItemsCount::new(500_usize)).bench_local(|| {
        let mut batcher = Batcher::new(BatchSettings::default(), KeyUse::Shared);
        for seq in 0..500 {
            let ticket = Ticket {
                ingress: 0,
                partition: 0,
                ordinal: seq,
            };
            let arrival = Arrival {
                event: Arc::clone(&event),
                ticket,
            };
            batcher.push(Pending {
                arrival,
                seq,
                arrived: now,
            });
        }
        batcher.pop(now, Due::WhenFull)
    });
}
