//! `grants.env`, `files`, `clock` and `random`, with a guest that looks for all it can find.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::net::TcpListener;

use super::{granted, host, load, module, shaped};

#[tokio::test]
async fn promise_4_without_grants_a_plugin_finds_nothing_and_all_instances_find_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "canary").expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let path = folder.path().join("secret").display().to_string();
    let address = listener.local_addr().expect("an address");
    let config = format!(
        "{{ read: [{path}, secret, /etc/passwd], write: [/x, x], connect: \"{address}\" }}"
    );

    let one = granted(folder.path(), "probe.wasm", &config, "").await;
    let other = granted(folder.path(), "probe.wasm", &config, "").await;
    let (one, other) = (shaped(&one, &["x"]).await, shaped(&other, &["x"]).await);

    assert_eq!(one, other);
    assert_eq!(one["env"], json!({}));
    for read in one["read"].as_array().expect("an array") {
        assert!(read.as_str().expect("text").starts_with("error: "), "{one}");
    }
    assert_eq!(one["written"], json!([false, false]));
    assert_eq!(one["connected"], false);
    assert_eq!((&one["seconds"], &one["passed"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn what_random_is_depends_on_the_sink() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut module = module(folder.path(), "probe.wasm", "{}", "");
    let host = host(&module, None);

    let one = load(&host, &module).await.expect("it loads");
    module.sinks[0].plugin.grants.sink = "t/other".to_owned();
    let other = load(&host, &module).await.expect("it loads");

    let (one, other) = (shaped(&one, &["x"]).await, shaped(&other, &["x"]).await);
    assert_ne!(one["random"], other["random"]);
}

#[tokio::test]
async fn the_clock_and_random_numbers_are_the_machines_where_they_are_granted() {
    let folder = tempfile::tempdir().expect("a folder");
    let grants = "    grants: { clock: true, random: true }\n";
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("it is past 1970").as_secs()
    };

    let before = now();
    let one = granted(folder.path(), "probe.wasm", "{}", grants).await;
    let other = granted(folder.path(), "probe.wasm", "{}", grants).await;
    let (one, other) = (shaped(&one, &["x"]).await, shaped(&other, &["x"]).await);
    let after = now();

    let seconds = one["seconds"].as_u64().expect("a number");
    assert!((before..=after).contains(&seconds), "{one}");
    assert_ne!(one["passed"], 0);
    assert_ne!(one["random"], other["random"]);
}

#[tokio::test]
async fn a_granted_variable_is_seen_and_no_other_one() {
    let folder = tempfile::tempdir().expect("a folder");

    let plugin = granted(
        folder.path(),
        "probe.wasm",
        "{}",
        "    grants: { env: [REGION] }\n",
    )
    .await;

    assert_eq!(
        shaped(&plugin, &["x"]).await["env"],
        json!({ "REGION": "eu" })
    );
}

#[tokio::test]
async fn a_granted_folder_is_read_and_neither_left_nor_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = folder.path().join("tables");
    std::fs::create_dir_all(tables.join("deep")).expect("created");
    std::fs::write(tables.join("prices"), "12").expect("written");
    std::fs::write(tables.join("deep/more"), "13").expect("written");
    std::fs::write(folder.path().join("secret"), "canary").expect("written");
    std::os::unix::fs::symlink("../secret", tables.join("link")).expect("linked");
    std::os::unix::fs::symlink(folder.path().join("secret"), tables.join("absolute"))
        .expect("linked");
    let config = "{ read: [/tables/prices, /tables/deep/more, /tables/link, /tables/absolute, /tables/../secret, /tables/deep/../../secret, /secret], \
                  write: [/tables/prices, /tables/new] }";
    let grants = "    grants: { files: [{ path: tables, as: /tables }] }\n";

    let plugin = granted(folder.path(), "probe.wasm", config, grants).await;
    let found = shaped(&plugin, &["x"]).await;

    let read = found["read"].as_array().expect("an array");
    assert_eq!(read[..2], [json!("12"), json!("13")]);
    for outside in &read[2..] {
        assert!(
            outside.as_str().expect("text").starts_with("error: "),
            "{found}"
        );
    }
    assert_eq!(found["written"], json!([false, false]));
    assert_eq!(
        std::fs::read_to_string(tables.join("prices")).expect("read"),
        "12"
    );
    assert!(!found.to_string().contains("canary"));
}
