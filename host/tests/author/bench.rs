//! `nozzle plugin bench`: figures, and how they compare with a baseline.

use nozzle_testkit::plugin;

use crate::said;

#[test]
fn a_plugin_is_measured_and_compared_with_a_baseline() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let path = plugin("bulk.wasm").display().to_string();
    let bytes = std::fs::metadata(plugin("bulk.wasm"))
        .expect("a file")
        .len();
    let bench = |args: &[&str]| {
        let limits = ["--limit-time", "60s"];
        said(folder, &[&["bench", &path], args, &limits].concat())
    };

    let saved = bench(&["--save", "base.json", "--batch", "10"]);
    let text = std::fs::read_to_string(folder.join("base.json")).expect("it was saved");
    let compared = bench(&["--baseline", "base.json"]);
    let longer = bench(&["--baseline", "base.json", "--batch", "20"]);
    std::fs::write(folder.join("other.json"), "{}").expect("written");
    let other = bench(&["--baseline", "other.json"]);

    assert!(saved.contains("exit code 0"), "{saved}");
    let base: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(base["bytes"], bytes);
    assert_eq!(base["batch"], 10);
    for figure in ["compile-ms", "memory-bytes", "call-us", "record-us"] {
        assert!(base[figure].as_f64() > Some(0.0), "{figure}: {text}");
    }
    assert!(compared.contains("baseline  change"), "{compared}");
    assert!(compared.starts_with("10 a batch"), "{compared}");
    assert!(longer.contains("with batches of 10"), "{longer}");
    assert!(longer.contains("exit code 2"), "{longer}");
    let size = compared.lines().find(|line| line.starts_with("size"));
    assert!(size.is_some_and(|line| line.ends_with("+0%")), "{compared}");
    assert!(other.contains("`other.json` is no baseline"), "{other}");
    assert!(other.contains("exit code 2"), "{other}");
}
