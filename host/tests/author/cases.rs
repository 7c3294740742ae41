//! `nozzle plugin test`: what passes, what fails and how that is shown, and what `--update` writes.

use std::{fs, path::Path};

use nozzle_testkit::plugin;

use crate::said;

fn cases(cases: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("cases")).expect("made");
    for (name, text) in cases {
        fs::write(folder.path().join("cases").join(name), text).expect("written");
    }
    folder
}

fn test(folder: &Path, name: &str, args: &[&str]) -> String {
    let path = plugin(name).display().to_string();
    said(folder, &[&["test", &path, "cases"], args].concat())
}

const GOOD: &str = "\
about: records become an array
events:
  - json: { n: 1 }
  - data: '[2]'
expect:
  requests:
    - method: post
      target: ''
      headers: { Content-Type: application/json }
      body: '[{\"n\":1},[2]]'
      events: [0, 1]
      responses:
        - status: 200
          verdict: by-status
";

#[test]
fn a_case_that_is_as_expected_passes_and_what_it_leaves_out_is_not_compared() {
    let folder = cases(&[
        ("whole.yaml", GOOD),
        (
            "little.yaml",
            "events: [{ data: x }]\nexpect: { reject: [{ event: 0 }] }\n",
        ),
        (
            "dropped.yml",
            "config: { invalid: string }\nevents: [{ data: x }]\nexpect: { requests: [{}] }\n",
        ),
    ]);

    let all = test(folder.path(), "json_batch.wasm", &[]);
    let some = test(folder.path(), "json_batch.wasm", &["--filter", "whole"]);
    let none = test(folder.path(), "json_batch.wasm", &["--filter", "nowhere"]);

    assert!(
        all.contains("3 cases: 3 passed, 0 failed\nexit code 0"),
        "{all}"
    );
    assert!(
        some.contains("1 case: 1 passed, 0 failed\nexit code 0"),
        "{some}"
    );
    assert!(none.contains("no case has `nowhere` in its name"), "{none}");
}

#[test]
fn every_part_of_an_expectation_is_compared() {
    // Each of them spoils one thing of a case that passes.
    let table = [
        ("method: post", "method: put"),
        ("target: ''", "target: items"),
        ("application/json", "text/plain"),
        ("[2]]'", "[3]]'"),
        ("events: [0, 1]\n", "events: [1, 0]\n"),
        ("verdict: by-status", "verdict: delivered"),
        (
            "verdict: by-status",
            "verdict: by-status\n          results: [{ data: x }]",
        ),
        ("  requests:", "  drop: [1]\n  requests:"),
        ("  requests:", "  reject: [{ event: 0 }]\n  requests:"),
        ("    - method", "    - {}\n    - method"),
        ("    - method", "    - endpoint: eu\n      method"),
    ];
    for (part, spoilt) in table {
        assert!(GOOD.contains(part), "{part}");
        let folder = cases(&[("spoilt.yaml", &GOOD.replace(part, spoilt))]);

        let text = test(folder.path(), "json_batch.wasm", &[]);

        assert!(
            text.contains("1 case: 0 passed, 1 failed") && text.contains("exit code 1"),
            "{spoilt}: {text}"
        );
    }
    let error = GOOD.split("  requests:").next().unwrap_or_default();
    let folder = cases(&[("error.yaml", &format!("{error}  error: no\n"))]);
    assert!(test(folder.path(), "json_batch.wasm", &[]).contains("1 failed"));
}

#[test]
fn differences_are_shown_line_by_line_and_json_value_by_value() {
    let json = "\
about: the answer says what became of each record
events:
  - data: '{\"n\":1}'
  - data: '{\"n\":2}'
  - data: 'x'
expect:
  requests:
    - target: bulk
      headers: { content-type: application/json }
      body: |
        {\"index\":{\"_id\":\"0\"}}
        {\"n\":1}
        {\"index\":{\"_id\":\"2\"}}
        {\"n\":2}
      responses:
        - status: 200
          json: { items: [{ status: 201 }, { status: 400, error: no such field }] }
          verdict: delivered
        - status: 503
          verdict: retry
  reject:
    - { event: 2, reason: { exactly: no } }
";
    let array = "\
events: [{ data: '{\"n\":1,\"deep\":{\"a\":[1,2]}}' }]
expect:
  requests:
    - body: '[{\"deep\":{\"a\":[1,3]},\"n\":1}]'
";
    let first = cases(&[("bulk.yaml", json)]);
    let second = cases(&[
        ("array.yaml", array),
        ("nothing.yaml", "events: [{ data: '1' }]\n"),
    ]);
    let sinner = "config: { shape: omit }\nevents: [{ data: a }, { data: poison }]\nexpect: { requests: [{}] }\n";
    let judge = "config: { handle: wrong-count }\nevents: [{ data: a }]\nexpect: { requests: [{ responses: [{ status: 200 }] }] }\n";
    let loads =
        "config: { shape: panic }\nevents: [{ data: poison }]\nexpect: { requests: [{}] }\n";
    let third = cases(&[
        ("answer.yaml", sinner),
        ("judge.yaml", judge),
        ("panic.yaml", loads),
    ]);

    let found = [
        test(first.path(), "bulk.wasm", &[]),
        test(second.path(), "json_batch.wasm", &[]),
        test(third.path(), "hostile.wasm", &["--limit-time", "60s"]),
    ];

    insta::assert_snapshot!(found.join("\n=====\n"));
}

#[test]
fn files_that_are_no_cases_are_told_what_is_wrong_with_places() {
    let folder = cases(&[
        (
            "a-key.yaml",
            "abuot: x\nevents: [{ data: 1 }]\nexpect: {}\n",
        ),
        (
            "b-values.yaml",
            "events:\n  - data: a\n    base64: YQ==\n  - base64: '?'\nexpect:\n  requests:\n    - body: x\n      empty: true\n      events: [0, 7]\n      responses:\n        - verdict: done\n        - status: 200\n          failure: timeout\n        - failure: lost\n        - status: 200\n          verdict: { each: [delivered, gone, { reject: x }] }\n",
        ),
        (
            "b-status.yaml",
            "events: [{}]\nexpect: { requests: [{ responses: [{ status: 99 }] }] }\n",
        ),
        ("c-both.yaml", "configure-error: x\nexpect: {}\n"),
        ("d-empty.yaml", "about: nothing\nexpect: {}\n"),
        ("e-no.yaml", "expect: [\n"),
    ]);

    let text = test(folder.path(), "json_batch.wasm", &[]);
    let none = said(folder.path(), &["test", "nowhere.wasm", "nowhere"]);
    let beside = said(folder.path(), &["test", "deep/plugin.wasm"]);

    insta::assert_snapshot!(format!("{text}\n=====\n{none}\n=====\n{beside}"));
}

#[test]
fn an_update_writes_what_is_found_and_leaves_the_rest_of_the_file_alone() {
    let text = "\
# What this is about.
about: an update   # stays as it is
expect:
  requests:
    # gone with what it belongs to
    - target: wrong
      json: [1]
      responses:
        - status: 200
          json: { items: [{ status: 201 }, { status: 400, error: 'no such field, at all' }] }
        - failure: { connect: refused }
          verdict: delivered
  reject:
    - { event: 2, reason: JSON }

# Below it.
events:
  - data: '{\"n\":1}'
  - data: '{\"n\":2}' # two
  - data: x
  - data: ''
";
    let folder = cases(&[
        ("update.yaml", text),
        ("new.yaml", "events: [{ data: '{\"n\": 1}' }]\n# The end."),
        (
            "refused.yaml",
            "config: { actoin: x }\nconfigure-error: no such thing\n",
        ),
        (
            "sound.yaml",
            "events: [{ data: x }]   # untouched\nexpect: { reject: [{ event: 0 }] }",
        ),
    ]);

    let before = test(folder.path(), "bulk.wasm", &[]);
    let updated = test(folder.path(), "bulk.wasm", &["--update"]);
    let after = test(folder.path(), "bulk.wasm", &[]);
    let again = test(folder.path(), "bulk.wasm", &["--update"]);

    assert!(before.contains("1 passed, 3 failed"), "{before}");
    assert!(
        updated.contains("1 passed, 0 failed, 3 updated"),
        "{updated}"
    );
    assert!(after.contains("4 passed, 0 failed\nexit code 0"), "{after}");
    assert!(again.contains("4 passed, 0 failed\nexit code 0"), "{again}");
    let read = |name: &str| fs::read_to_string(folder.path().join("cases").join(name));
    let files = ["update.yaml", "new.yaml", "refused.yaml", "sound.yaml"];
    let files = files.map(|name| read(name).expect("it is there"));
    insta::assert_snapshot!(files.join("\n=====\n"));
}

#[test]
fn what_cannot_run_is_never_written_as_an_expectation() {
    let text = "config: { shape: panic }\nevents: [{ data: poison }]\n";
    let folder = cases(&[("panic.yaml", text)]);

    let said = test(folder.path(), "hostile.wasm", &["--update"]);

    assert!(
        said.contains("`shape` failed: the plugin trapped"),
        "{said}"
    );
    assert!(said.contains("exit code 1"), "{said}");
    let file = fs::read_to_string(folder.path().join("cases/panic.yaml"));
    assert_eq!(file.expect("it is there"), text);
}

#[test]
fn one_document_says_of_each_case_whether_it_passed_and_what_differs() {
    let spoilt = GOOD
        .replace("method: post", "method: put")
        .replace("[2]]'", "[3],4]'")
        .replace("verdict: by-status", "verdict: delivered");
    let both = cases(&[
        ("good.yaml", GOOD),
        ("spoilt.yaml", &spoilt),
        (
            "drop.yaml",
            "events: [{ data: '1' }]\nexpect: { drop: [0] }\n",
        ),
    ]);
    let good = cases(&[("good.yaml", GOOD)]);

    let failed = test(both.path(), "json_batch.wasm", &["--json"]);
    let passed = test(good.path(), "json_batch.wasm", &["--json"]);
    let updated = test(both.path(), "json_batch.wasm", &["--json", "--update"]);

    let (document, rest) = failed.split_once("\n}\n").expect("a document");
    let document = format!("{document}\n}}");
    assert!(rest.starts_with("error: 2 of 3 cases failed"), "{rest}");
    assert!(rest.ends_with("exit code 1\n"), "{rest}");
    let read: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!((&read["passed"], &read["failed"]), (&1.into(), &2.into()));
    insta::assert_snapshot!(document);
    assert!(passed.ends_with("\n}\nexit code 0\n"), "{passed}");
    assert!(updated.contains("\"updated\": 2"), "{updated}");
}

#[test]
fn a_case_grants_what_the_sink_would() {
    let text = "\
grants: { keyvalue: true }
events:
  - { data: '{\"n\":1}', key: a }
expect:
  requests:
    - events: [0]
";
    let granted = cases(&[("granted.yaml", text)]);
    let refused = cases(&[(
        "refused.yaml",
        &text.replace("grants: { keyvalue: true }\n", ""),
    )]);

    let with = test(granted.path(), "dedup.wasm", &[]);
    let without = test(refused.path(), "dedup.wasm", &[]);
    // It is granted to ask, and there is nobody to be asked.
    let text = "config: { url: 'https://nobody.test/' }\ngrants: { http: true }\nevents: [{ data: x }]\nexpect: { requests: [{ json: [{ error: 'ErrorCode::HttpRequestDenied' }] }] }\n";
    let asked = cases(&[("asked.yaml", text)]);
    let asked = test(asked.path(), "lookup.wasm", &[]);

    let hint = "in a case: `grants: { keyvalue: true }`";
    assert!(
        without.contains("which the sink does not grant"),
        "{without}"
    );
    assert!(without.contains(hint), "{without}");
    assert!(with.contains("1 passed"), "{with}");
    assert!(asked.contains("1 passed"), "{asked}");
}
