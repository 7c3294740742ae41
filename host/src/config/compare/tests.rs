use std::path::PathBuf;

use super::*;
use crate::config::{Groups, Sources, parse};

const MODULE: &str = r#"
version: "1"
network: { allow: [loopback] }
progress: { interval: 1s }
ingresses:
  - id: t/in
    datagen: { rate: 5 }
    unrouted: t/lost
    routers:
      - { to: [t/a, t/b], when: { key: { matches: "^x" } } }
      - { to: [t/b], when: { key: { matches: "^z" } } }
  - { id: t/file, file: { path: in.ndjson }, routers: [{ to: [t/a] }] }
endpoints:
  - { id: t/shared, url: "http://127.0.0.1:1/", headers: { x-key: "${env:KEY}" } }
sinks:
  - id: t/a
    plugin: { path: a.wasm, config: { n: 1 } }
    endpoint: t/shared
    results: { to: t/out }
    dead-letters: t/b
  - id: t/b
    plugin: { path: b.wasm }
    endpoint: { url: "http://127.0.0.1:2/" }
    batch: { max-records: 5 }
egresses:
  - { id: t/out, file: { path: out.ndjson } }
  - { id: t/lost, file: { path: lost.ndjson } }
"#;

fn module(text: &str, key: &str) -> Module {
    let text = text.replace("${env:KEY}", &format!("${{env:{key}}}"));
    let sources = Sources {
        groups: Groups::new(),
        env: |name| Some(name.to_owned()),
        folder: PathBuf::new(),
    };
    parse(&text, &sources).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What is said of sinks `t/a` and `t/b`, and of ingresses `t/in` and `t/file`, when `from` becomes `to`.
fn changed(from: &str, to: &str) -> (Vec<SinkChange>, Vec<IngressChange>) {
    assert!(MODULE.contains(from), "{from}");
    let changes = module(&MODULE.replace(from, to), "k").changes_from(&module(MODULE, "k"));
    let changes = changes.expect("it can be changed");
    (changes.sinks, changes.ingresses)
}

#[test]
fn what_is_equal_goes_on_and_what_differs_does_not() {
    use IngressChange as I;
    use SinkChange as S;
    let (kept_sinks, kept) = ([S::Kept(0), S::Kept(1)], [I::Kept(0), I::Kept(1)]);
    let first = [S::Restarted(0), S::Kept(1)];
    let second = [S::Kept(0), S::Restarted(1)];
    let routed = [I::Routed(0), I::Kept(1)];
    let table: [(&str, &str, [S; 2], [I; 2]); 12] = [
        ("KEY", "KEY", kept_sinks, kept),
        ("config: { n: 1 }", "config: { n: 2 }", kept_sinks, kept),
        ("a.wasm", "c.wasm", kept_sinks, kept),
        ("127.0.0.1:1", "127.0.0.1:3", first, kept),
        ("127.0.0.1:2", "127.0.0.1:3", second, kept),
        ("max-records: 5", "max-records: 6", second, kept),
        ("out.ndjson", "other.ndjson", first, kept),
        ("dead-letters: t/b", "dead-letters: t/lost", first, kept),
        ("lost.ndjson", "other.ndjson", kept_sinks, routed),
        ("^x", "^y", kept_sinks, routed),
        (
            "rate: 5",
            "rate: 6",
            kept_sinks,
            [I::Restarted(0), I::Kept(1)],
        ),
        (
            "file: { path: in.",
            "file: { path: other.",
            kept_sinks,
            [I::Kept(0), I::Restarted(1)],
        ),
    ];
    for (from, to, sinks, ingresses) in table {
        assert_eq!(
            changed(from, to),
            (sinks.to_vec(), ingresses.to_vec()),
            "{from} to {to}"
        );
    }
}

#[test]
fn a_buffer_is_that_of_its_sink_and_of_the_reads_that_fill_it() {
    let to = "batch: { max-records: 5 }\n    buffer: { max-records: 6 }";

    let (sinks, ingresses) = changed("batch: { max-records: 5 }", to);

    assert_eq!(sinks, [SinkChange::Kept(0), SinkChange::Restarted(1)]);
    assert_eq!(
        ingresses,
        [IngressChange::Routed(0), IngressChange::Kept(1)]
    );
}

#[test]
fn another_secret_is_a_change_and_a_part_that_moved_in_the_file_is_none() {
    let old = module(MODULE, "one");
    let secret = module(MODULE, "two").changes_from(&old).expect("possible");
    let mut moved = module(MODULE, "one");
    moved.egresses.swap(0, 1);
    moved.sinks[0].results = Some(1);
    moved.ingresses[0].on_unrouted = OnUnrouted::To(Destination::Egress(0));

    let moved = moved.changes_from(&old).expect("possible");

    assert_eq!(
        secret.sinks,
        [SinkChange::Restarted(0), SinkChange::Kept(1)]
    );
    assert_eq!(moved.sinks, [SinkChange::Kept(0), SinkChange::Kept(1)]);
    assert_eq!(moved.egresses, [Some(1), Some(0)]);
    assert_eq!(moved.ingresses, [0, 1].map(IngressChange::Kept));
}

#[test]
fn parts_come_and_go() {
    let old = module(MODULE, "k");
    let mut new = old.clone();
    new.ingresses.remove(1);
    new.ingresses[0].to = vec![1];
    new.sinks.remove(0);
    new.ingresses[0].to = vec![0];

    let less = new.changes_from(&old).expect("possible");
    let more = old.changes_from(&new).expect("possible");

    assert_eq!(less.removed_sinks, [0]);
    assert_eq!(less.removed_ingresses, [1]);
    assert_eq!(less.sinks, [SinkChange::Kept(1)]);
    assert_eq!(less.ingresses, [IngressChange::Routed(0)]);
    assert_eq!(more.sinks, [SinkChange::Added, SinkChange::Kept(0)]);
    assert_eq!(
        more.ingresses,
        [IngressChange::Routed(0), IngressChange::Added]
    );
    assert!(more.removed_sinks.is_empty() && more.removed_ingresses.is_empty());
}

#[test]
fn a_token_that_was_replaced_in_its_file_is_no_change_and_another_token_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let with = |token: &str, text: &str| {
        std::fs::write(&path, text).expect("written");
        module(&format!("{MODULE}admin: {{ token: \"{token}\" }}\n"), "k")
    };
    let file = format!("${{file:{}}}", path.display());
    let (old, new) = ("a".repeat(20), "b".repeat(20));

    let before = with(&file, &old);
    let rotated = with(&file, &new).changes_from(&before).map(drop);
    let other = with(&new, &new).changes_from(&before).map(drop);

    assert_eq!(rotated, Ok(()));
    let key = "admin".to_owned();
    assert_eq!(other, Err(vec![Fixed { key }]));
}

#[test]
fn what_a_running_host_cannot_change_is_named() {
    let old = module(&MODULE.replace("in.ndjson", "\"-\""), "k");
    let text = MODULE
        .replace("loopback", "private, loopback")
        .replace("interval: 1s", "interval: 2s");

    let fixed = module(&text, "k").changes_from(&old);

    let fixed = fixed.expect_err("it cannot be changed");
    let keys: Vec<&str> = fixed.iter().map(|fixed| &*fixed.key).collect();
    assert_eq!(keys, ["network", "progress", "t/file: file.path"]);
    assert_eq!(
        fixed[0].to_string(),
        "`network` cannot be changed while the host runs"
    );
}
