//! `grants.keyvalue`, with a guest that leaves out what it has seen delivered.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;
use nozzle::{
    outcome::Response,
    plugin::{CurrentCall, LoadError, LoadedPlugin, Method, Plugin, ShapedBody, ShapedRequest},
};

use super::{events, granted, host, load, module};

/// The keys that the plugin sends of these.
async fn sent(plugin: &LoadedPlugin, keys: &[&str]) -> Vec<u32> {
    let shaped = plugin.shape(&events(keys)).await.expect("it shapes");
    let requests = shaped.requests.iter();
    requests
        .flat_map(|request| request.events.clone())
        .collect()
}

/// The endpoint has answered `status` to a call of these.
async fn answered(plugin: &LoadedPlugin, keys: &[&str], status: u16) {
    let events = events(keys);
    let request = ShapedRequest {
        endpoint: None,
        method: Method::Post,
        target: String::new(),
        headers: Vec::new(),
        body: ShapedBody::Empty,
        events: (0..events.len() as u32).collect(),
    };
    let call = CurrentCall {
        attempt: 1,
        request: Arc::new(request),
        events: events.into(),
    };
    let response = Response {
        status,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        truncated: false,
    };
    plugin.handle(call, Ok(response)).await.expect("it handles");
}

async fn dedup(folder: &Path, grant: &str) -> LoadedPlugin {
    let rest = format!("    grants: {{ keyvalue: {grant} }}\n");
    granted(folder, "dedup.wasm", "null", &rest).await
}

#[tokio::test]
async fn without_a_grant_wasi_keyvalue_is_refused_with_the_line_to_add() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = module(folder.path(), "dedup.wasm", "null", "");

    let refused = load(&host(&module, None), &module).await;

    let error = refused.expect_err("nothing is granted");
    assert!(
        matches!(&error, LoadError::Ungranted { import, .. } if import.starts_with("wasi:keyvalue/")),
        "{error}"
    );
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("grants: { keyvalue: {} }"), "{hint}");
}

#[tokio::test]
async fn a_plugin_remembers_what_was_delivered_over_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = dedup(folder.path(), "{}").await;

    assert_eq!(sent(&first, &["a", "b"]).await, [0, 1]);
    answered(&first, &["a"], 200).await;
    answered(&first, &["b"], 503).await;
    assert_eq!(sent(&first, &["a", "b", "c"]).await, [1, 2]);
    // Its end makes durable what is written.
    drop(first);
    let second = dedup(folder.path(), "{}").await;

    assert_eq!(sent(&second, &["a", "b", "c"]).await, [1, 2]);
    assert!(folder.path().join("keyvalue/t_sink.redb").is_file());
}

#[tokio::test]
async fn two_versions_of_a_plugin_have_one_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let rest = "    grants: { keyvalue: {} }\n";
    let module = module(folder.path(), "dedup.wasm", "null", rest);
    let host = host(&module, Some(folder.path()));
    let old = load(&host, &module).await.expect("it loads");
    let new = load(&host, &module)
        .await
        .expect("it loads beside the first");

    answered(&old, &["a"], 200).await;

    assert_eq!(sent(&new, &["a", "b"]).await, [1]);
}

#[tokio::test]
async fn what_a_rehearsal_writes_is_its_own_and_gone_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let rest = "    grants: { keyvalue: {} }\n";
    let config = "{ remember: shaped }";
    let plugin = granted(folder.path(), "dedup.wasm", config, rest).await;
    assert_eq!(sent(&plugin, &["a"]).await, [0]);

    let rehearsal = plugin.rehearsal();
    let first = sent(&rehearsal, &["a", "b"]).await;
    let second = sent(&rehearsal, &["a", "b", "c"]).await;
    let other = sent(&plugin.rehearsal(), &["a", "b"]).await;
    drop(rehearsal);

    assert_eq!(first, [1], "it reads what the store holds");
    assert_eq!(second, [2], "it reads what it has written");
    assert_eq!(other, [1], "another one does not");
    assert_eq!(sent(&plugin, &["a", "b", "c"]).await, [1, 2]);
}

#[tokio::test]
async fn a_version_writes_to_the_store_of_its_sink_once_it_is_accepted_and_not_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let rest = "    grants: { keyvalue: {} }\n";
    let old = module(folder.path(), "dedup.wasm", "null", rest);
    let host = host(&old, Some(folder.path()));
    let serving = load(&host, &old).await.expect("it loads");
    answered(&serving, &["a"], 200).await;
    let new = module(folder.path(), "dedup.wasm", "{ remember: shaped }", rest);
    let settings = &new.sinks[0].plugin;
    let binary = host.read(settings).await.expect("it is there");

    let candidate = host.load_version(&serving, settings, &binary).await;
    let candidate = candidate.expect("it loads");
    let rehearsed = sent(candidate.rehearsal(), &["a", "b"]).await;
    let again = sent(candidate.rehearsal(), &["a", "b"]).await;
    let meanwhile = sent(&serving, &["a", "b"]).await;
    let accepted = candidate.accept(&serving).await.expect("it starts");
    let first = sent(&accepted, &["a", "b"]).await;
    let second = sent(&accepted, &["a", "b"]).await;

    assert_eq!((rehearsed, again), (vec![1], vec![]));
    assert_eq!(meanwhile, [1], "nothing of the rehearsal has lasted");
    assert_eq!((first, second), (vec![1], vec![]));
    assert_eq!(serving.stats().versions.get(), 2);
    drop(accepted);
    assert_eq!(serving.stats().versions.get(), 1);
}

#[tokio::test]
async fn a_store_without_a_folder_is_gone_with_the_process_and_no_file_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let rest = "    grants: { keyvalue: {} }\n";
    let module = module(folder.path(), "dedup.wasm", "null", rest);

    let plugin = load(&host(&module, None), &module).await.expect("it loads");
    answered(&plugin, &["a"], 200).await;

    assert_eq!(sent(&plugin, &["a", "b"]).await, [1]);
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        0
    );
}

#[tokio::test]
async fn a_store_has_bounds() {
    // A key of one byte, and no value.
    for bound in ["{ entries: 2 }", "{ bytes: 2 }"] {
        let folder = tempfile::tempdir().expect("a folder");
        let plugin = dedup(folder.path(), bound).await;

        answered(&plugin, &["a", "b", "c"], 200).await;
        assert_eq!(sent(&plugin, &["a", "b", "c"]).await, [2], "{bound}");
        drop(plugin);
        // What is there counts after a restart too.
        let plugin = dedup(folder.path(), bound).await;
        answered(&plugin, &["d", "a"], 200).await;

        assert_eq!(
            sent(&plugin, &["a", "b", "c", "d"]).await,
            [2, 3],
            "{bound}"
        );
    }
}

#[tokio::test]
async fn a_damaged_store_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("keyvalue");
    std::fs::create_dir(&store).expect("created");
    std::fs::write(store.join("t_sink.redb"), [7; 5000]).expect("written");
    let rest = "    grants: { keyvalue: {} }\n";
    let module = module(folder.path(), "dedup.wasm", "null", rest);

    let refused = load(&host(&module, Some(folder.path())), &module).await;

    let text = refused.expect_err("it is no store").to_string();
    assert!(text.contains("t_sink.redb"), "{text}");
}
