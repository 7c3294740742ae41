//! Plugins that must not hurt the host: what is refused at the start, and what is contained while it runs.

use std::{
    future::poll_fn,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use nozzle::{
    event::Event,
    outcome::Response,
    plugin::{
        CurrentCall, LoadError, LoadedPlugin, Method, Plugin, PluginError, PluginHost,
        PluginVerdict, Shaped, ShapedBody, ShapedRequest,
        settings::{GrantSettings, PluginLimits, PluginSettings, PluginSource},
    },
};
use nozzle_testkit::{DEADLINE, plugin};

fn settings(path: PathBuf, config: &str) -> PluginSettings {
    // Whoever runs into its time shall do so soon; a busy machine must not end the others.
    let ends_by_time = ["loop", "sleep"].iter().any(|sin| config.contains(sin));
    let time = if ends_by_time {
        Duration::from_millis(200)
    } else {
        DEADLINE
    };
    let limits = PluginLimits {
        time,
        instances: 2,
        output: 16 << 20,
        ..PluginLimits::default()
    };
    PluginSettings {
        source: PluginSource::File(path),
        sha256: None,
        signature: None,
        config: config.to_owned(),
        limits,
        grants: GrantSettings::default(),
    }
}

fn host() -> PluginHost {
    PluginHost::new(None).expect("the host can be set up")
}

async fn load(host: &PluginHost, name: &str, config: &str) -> Result<LoadedPlugin, LoadError> {
    host.load("t/sink", &settings(plugin(name), config)).await
}

async fn hostile(host: &PluginHost, config: &str) -> LoadedPlugin {
    load(host, "hostile.wasm", config).await.expect("it loads")
}

fn events(data: &[&str]) -> Vec<Arc<Event>> {
    let event = |data: &&str| Event {
        id: format!("t/{data}").into(),
        key: Some("k\u{e9}y".into()),
        timestamp_ms: 7,
        attributes: vec![("region".into(), "eu".into())],
        data: Bytes::copy_from_slice(data.as_bytes()),
    };
    data.iter().map(|data| Arc::new(event(data))).collect()
}

fn response(status: u16, body: &'static str) -> Response {
    let body = Bytes::from_static(body.as_bytes());
    Response {
        status,
        headers: HeaderMap::new(),
        body,
        truncated: false,
    }
}

fn call(events: Vec<Arc<Event>>) -> CurrentCall {
    let request = ShapedRequest {
        method: Method::Post,
        endpoint: None,
        target: String::new(),
        headers: Vec::new(),
        body: ShapedBody::Empty,
        events: (0..events.len() as u32).collect(),
    };
    CurrentCall {
        attempt: 1,
        request: Arc::new(request),
        events: events.into(),
    }
}

#[tokio::test]
async fn a_plugin_reads_every_part_of_an_event() {
    let host = host();
    let config = r#"{"target":"{id}/{key}","headers":{"x-region":"{attribute:region}"},"body":"{timestamp-ms} {data}"}"#;
    let plugin = load(&host, "per_record.wasm", config)
        .await
        .expect("it loads");

    let shaped = plugin
        .shape(&events(&["one", "two"]))
        .await
        .expect("it shapes");

    let second = &shaped.requests[1];
    assert_eq!(second.target, "t%2Ftwo/k%C3%A9y");
    assert_eq!(second.headers, [("x-region".to_owned(), "eu".to_owned())]);
    assert_eq!(second.body, ShapedBody::Bytes(Bytes::from_static(b"7 two")));
    assert_eq!(second.events, [1]);
}

#[tokio::test]
async fn a_handler_reads_its_call_and_emits_results() {
    let host = host();
    let plugin = load(&host, "per_record.wasm", "null")
        .await
        .expect("it loads");

    let outcome = Ok(response(200, "fine"));
    let handled = plugin
        .handle(call(events(&["one"])), outcome)
        .await
        .expect("it handles");

    assert_eq!(handled.verdict, PluginVerdict::ByStatus);
    assert_eq!(handled.results[0].key.as_deref(), Some("k\u{e9}y"));
    assert_eq!(
        handled.results[0].data,
        r#"{"body":"fine","id":"t/one","status":200}"#
    );
}

#[tokio::test]
async fn the_world_shaper_leaves_responses_to_the_host() {
    let host = host();

    let shaper = load(&host, "json_batch.wasm", "null")
        .await
        .expect("it loads");
    let sink = load(&host, "bulk.wasm", "null").await.expect("it loads");

    assert!(!shaper.handles() && sink.handles());
}

/// What a hostile plugin does, and how it must be named.
type Sin = (&'static str, fn(&PluginError) -> bool);

#[tokio::test]
async fn promise_5_a_plugin_cannot_take_the_host_down() {
    let host = host();
    let sins: [Sin; 5] = [
        (
            "panic",
            |error| matches!(error, PluginError::Trapped(text) if text.contains("it panics")),
        ),
        ("loop", |error| matches!(error, PluginError::TimedOut(_))),
        ("recurse", |error| matches!(error, PluginError::Trapped(_))),
        (
            "memory",
            |error| matches!(error, PluginError::Limit(text) if text.contains("limits.memory")),
        ),
        (
            "refuse",
            |error| matches!(error, PluginError::Refused(text) if text == "it refuses"),
        ),
    ];
    for (sin, expected) in sins {
        let plugin = hostile(&host, &format!(r#"{{"shape":"{sin}"}}"#)).await;

        let poisoned = plugin.shape(&events(&["ok", "poison"])).await;
        let neighbour = plugin.shape(&events(&["ok"])).await;

        let error = poisoned.expect_err(sin);
        assert!(expected(&error), "{sin}: {error:?}");
        assert!(neighbour.is_ok(), "{sin}: the next call has a new instance");
    }
}

#[tokio::test]
async fn a_guest_cannot_pass_more_than_its_share_to_the_host() {
    let host = host();
    let plugin = hostile(&host, r#"{"shape":"output"}"#).await;

    let shaped = plugin.shape(&events(&["poison"])).await;

    assert!(matches!(shaped, Err(PluginError::Limit(_))), "{shaped:?}");
}

#[tokio::test]
async fn a_flood_of_output_and_current_call_outside_handle_are_contained() {
    let host = host();

    let flooding = hostile(&host, r#"{"shape":"flood"}"#).await;
    let curious = hostile(&host, r#"{"shape":"current-call"}"#).await;

    assert!(flooding.shape(&events(&["poison"])).await.is_ok());
    let error = curious
        .shape(&events(&["poison"]))
        .await
        .expect_err("it must trap");
    assert!(error.to_string().contains("outside `handle`"), "{error}");
}

#[tokio::test]
async fn a_handler_that_traps_or_loops_is_contained() {
    let host = host();
    for sin in ["panic", "loop"] {
        let plugin = hostile(&host, &format!(r#"{{"handle":"{sin}"}}"#)).await;

        let handled = plugin
            .handle(call(events(&["one"])), Ok(response(200, "")))
            .await;

        assert!(handled.is_err(), "{sin}");
        assert!(plugin.shape(&events(&["ok"])).await.is_ok(), "{sin}");
    }
}

/// A loop must give way to other tasks even where there is a single worker.
/// Goes on with a call until so many have said what they have to say; each waits then.
async fn until_murmured(
    plugin: &LoadedPlugin,
    calls: u64,
    mut call: Pin<&mut impl Future<Output = Result<Shaped, PluginError>>>,
) {
    poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending(), "it waits first");
        match plugin.counters() == [("murmured".to_owned(), calls)] {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_instance_said_last_explains_its_own_trap_alone() {
    let host = host();
    let plugin = hostile(&host, r#"{"shape":"murmur"}"#).await;
    let (one, other) = (events(&["poison one"]), events(&["poison other"]));

    // Both have spoken before either traps.
    let (mut first, mut second) = (pin!(plugin.shape(&one)), pin!(plugin.shape(&other)));
    until_murmured(&plugin, 1, first.as_mut()).await;
    until_murmured(&plugin, 2, second.as_mut()).await;
    let failed = [first.await, second.await];

    let said = failed.map(|failed| failed.expect_err("it traps").to_string());
    assert!(said[0].ends_with("it said: poison one"), "{said:?}");
    assert!(said[1].ends_with("it said: poison other"), "{said:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_plugin_that_loops_does_not_block_the_runtime() {
    let host = host();
    let plugin = hostile(&host, r#"{"shape":"loop"}"#).await;
    let poisoned = events(&["poison"]);
    let others = async {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    };

    tokio::select! {
        biased;
        looped = plugin.shape(&poisoned) => panic!("others had no turn before {looped:?}"),
        () = others => {}
    }

    let next = plugin.shape(&events(&["ok"])).await;
    assert!(next.is_ok(), "a dropped call takes its instance along");
}

/// No epoch passes while a guest waits in the host, so another clock must end it.
#[tokio::test(start_paused = true)]
async fn promise_5_a_plugin_that_waits_is_ended_like_one_that_loops() {
    let host = host();
    let shaping = hostile(&host, r#"{"shape":"sleep"}"#).await;
    let handling = hostile(&host, r#"{"handle":"sleep"}"#).await;

    let started = tokio::time::Instant::now();
    let shaped = shaping.shape(&events(&["poison"])).await;
    let handled = handling
        .handle(call(events(&["one"])), Ok(response(200, "")))
        .await;
    let configured = load(&host, "hostile.wasm", r#"{"configure":"sleep"}"#).await;
    let waited = started.elapsed();

    assert!(
        matches!(shaped, Err(PluginError::TimedOut(_))),
        "{shaped:?}"
    );
    assert!(
        matches!(handled, Err(PluginError::TimedOut(_))),
        "{handled:?}"
    );
    assert!(
        matches!(configured, Err(LoadError::Start(PluginError::TimedOut(_)))),
        "{configured:?}"
    );
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert!(shaping.shape(&events(&["ok"])).await.is_ok());
}

/// On threads of its own: if the epochs stopped with the host, the guest would hold its thread for ever.
#[test]
fn a_loaded_plugin_is_still_interrupted_when_its_host_is_dropped() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let plugin = runtime.block_on(async {
        let host = host();
        hostile(&host, r#"{"shape":"loop"}"#).await
    });

    let looping = runtime.spawn(async move { plugin.shape(&events(&["poison"])).await });
    let ended = runtime.block_on(async { tokio::time::timeout(DEADLINE, looping).await });
    runtime.shutdown_background();

    let shaped = ended.expect("it is interrupted").expect("no panic");
    assert!(
        matches!(shaped, Err(PluginError::TimedOut(_))),
        "{shaped:?}"
    );
}

/// A component that exports an interface of `configure` and `shape`, both `func()`.
fn exporting(interface: &str, imports: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {imports}
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $shaping (export "configure" (func $f)) (export "shape" (func $f)))
            (export "{interface}" (instance $shaping)))"#
    );
    wat::parse_str(text).expect("a component")
}

#[tokio::test]
async fn promise_6_a_component_of_another_contract_is_told_what_differs() {
    let host = host();
    let folder = tempfile::tempdir().expect("a folder");
    let ours = "nozzle:plugin/shaping@0.1.0";
    let components = [
        ("newer", exporting("nozzle:plugin/shaping@0.2.0", "")),
        ("other", exporting("acme:tools/shaping@1.0.0", "")),
        ("types", exporting(ours, "")),
        (
            "http",
            exporting(
                ours,
                r#"(import "wasi:http/outgoing-handler@0.2.0" (instance))"#,
            ),
        ),
        (
            "store",
            exporting(ours, r#"(import "wasi:keyvalue/store@0.2.0" (instance))"#),
        ),
    ];

    let mut found = Vec::new();
    for (name, component) in components {
        let path = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, component).expect("written");
        let error = host
            .load("t/sink", &settings(path, "null"))
            .await
            .expect_err(name);
        let folder = folder.path().display().to_string();
        let hint = error.hint().unwrap_or_default();
        found.push(format!("{error}\n  hint: {hint}").replace(&folder, "DIR"));
    }

    insta::assert_snapshot!(found.join("\n"));
}

#[tokio::test]
async fn promise_6_what_cannot_be_a_plugin_is_refused_before_anything_runs() {
    let host = host();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    };
    let module = write("module.wasm", b"\0asm\x01\0\0\0");
    let empty = write("empty.wasm", b"\0asm\x0d\0\x01\0");
    let text = write("text.wasm", b"#!/bin/sh");
    let broken = write("broken.wasm", b"\0asm\x0d\0\x01\0\xff\xff\xff");
    let missing = folder.path().join("missing.wasm");

    let mut found = Vec::new();
    for path in [missing, text, module, empty, broken] {
        let error = host
            .load("t/sink", &settings(path, "null"))
            .await
            .expect_err("refused");
        let folder = folder.path().display().to_string();
        let hint = error.hint().unwrap_or_default();
        found.push(format!("{error}\n  hint: {hint}").replace(&folder, "DIR"));
    }
    // The engine's words on a damaged file are its own.
    let broken = found.pop().expect("five errors");
    assert!(
        broken.starts_with("`DIR/broken.wasm` cannot be compiled"),
        "{broken}"
    );
    insta::assert_snapshot!(found.join("\n"));
}

#[tokio::test]
async fn a_pinned_digest_is_held() {
    let host = host();
    let mut pinned = settings(plugin("json_batch.wasm"), "null");
    pinned.sha256 = Some([7; 32]);

    let error = host
        .load("t/sink", &pinned)
        .await
        .expect_err("another digest");

    assert!(matches!(error, LoadError::Digest { .. }));
}

#[tokio::test]
async fn a_configuration_that_the_plugin_refuses_says_why() {
    let host = host();

    let refused = async |name, config| load(&host, name, config).await.expect_err(config);
    let unknown = refused("json_batch.wasm", r#"{"targt":"x"}"#)
        .await
        .to_string();
    let template = refused("per_record.wasm", r#"{"target":"{uuid}"}"#)
        .await
        .to_string();
    let traps = refused("hostile.wasm", r#"{"configure":"panic"}"#).await;
    let loops = refused("hostile.wasm", r#"{"configure":"loop"}"#).await;

    assert!(
        unknown.contains("unknown field `targt`, expected one of `target`"),
        "{unknown}"
    );
    assert!(
        template.contains("`target`: `{uuid}` is none of"),
        "{template}"
    );
    assert!(
        matches!(traps, LoadError::Start(PluginError::Trapped(_))),
        "{traps:?}"
    );
    assert!(
        matches!(loops, LoadError::Start(PluginError::TimedOut(_))),
        "{loops:?}"
    );
}

#[tokio::test]
async fn compiled_code_is_kept_for_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");

    let host = PluginHost::new(Some(cache.clone())).expect("the host can be set up");
    load(&host, "json_batch.wasm", "null")
        .await
        .expect("it loads");

    assert!(files(&cache) > 0, "nothing was kept in {}", cache.display());
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}
