//! Module files that are wrong, and exactly what is said about each: `tests/config/invalid/*.yaml` beside `.err`.
//! `BLESS=1` writes the expected texts.

use std::{fmt::Write as _, path::Path};

use nozzle::config;
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn every_wrong_module_has_its_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/invalid");
    let properties = folder.join("properties.json");
    let bless = std::env::var_os("BLESS").is_some();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let problems =
            config::load(&path, Some(&properties)).expect_err(&path.display().to_string());
        let found = format!("{problems}\n").replace(&format!("{}/", folder.display()), "");
        let expected = path.with_extension("err");
        if bless {
            std::fs::write(&expected, &found).expect("written");
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
        assert!(!found.contains("canary"), "a secret is shown: {found}");
    }
    assert!(cases >= 20, "only {cases} cases");
    assert!(
        wrong.is_empty(),
        "{}\n(`make bless` accepts this)",
        wrong.join("\n")
    );
}

#[test]
fn a_full_module_is_read_as_it_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/full.yaml");
    let properties = path.with_file_name("properties.json");

    let module = config::load(&path, Some(&properties)).expect("it is valid");

    let sink = format!("{:#?}", module.sinks[0]);
    assert!(!sink.contains("canary"), "a secret is shown: {sink}");
    let folder = path.parent().expect("a folder").display().to_string();
    insta::assert_snapshot!(format!("{module:#?}").replace(&folder, "DIR"));
}

#[test]
fn every_way_to_authenticate_is_read_and_shows_no_secret() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/auth.yaml");
    let properties = path.with_file_name("properties.json");

    let module = config::load(&path, Some(&properties)).expect("it is valid");

    let sinks = module.sinks.iter();
    let auth = sinks.map(|sink| {
        let auth = &module.endpoints[sink.endpoints[0].1].settings.auth;
        format!("{}: {auth:#?}\n", sink.id)
    });
    let auth: String = auth.collect();
    let folder = path.parent().expect("a folder").display().to_string();
    let shown = auth.replace(&folder, "DIR");
    assert!(!shown.contains("canary"), "a secret is shown: {shown}");
    insta::assert_snapshot!(shown);
}

/// `docs/configuration.md` is made from the schema, which is made from the code.
#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let schema = config::schema();
    let mut text = String::from(
        "# The module file\n\n<!-- Made from the code by `make bless`; edit the comments in host/src/config/shape/. -->\n\n\
         One YAML file. Durations are written `200ms`, `5s`, `10min`; sizes `64MiB` or as a number of bytes. No\n\
         duration is longer than `365days`. Unknown keys, dangling ids and impossible sizes are errors; `nozzle check` prints\n\
         all of them. `nozzle schema` prints the JSON Schema (`docs/module.schema.json`) for editors.\n\n\
         In a value that is no name, `${Group:key}` is filled in from the property groups of `--properties`, `${env:NAME}`\n\
         from the environment and `${file:PATH}` from a file; `$${` stands for `${`. What was filled in is a secret: it is in\n\
         no log, error or dead letter, and never reaches a plugin.\n",
    );
    section(&mut text, "module", &schema);
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        section(&mut text, name.trim_end_matches("Yaml"), definition);
    }

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }

    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/configuration.md is out of date: run `make bless`"
    );
}

fn section(text: &mut String, name: &str, schema: &Value) {
    let describe = |schema: &Value| {
        schema["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ")
    };
    let wrote = writeln!(text, "\n## {name}\n\n{}\n", describe(schema));
    wrote.expect("memory");
    if let Some(properties) = schema["properties"].as_object() {
        text.push_str("| key | meaning |\n| --- | --- |\n");
        for (key, value) in properties {
            let required = schema["required"]
                .as_array()
                .is_some_and(|all| all.contains(&key.as_str().into()));
            let mark = if required { " (required)" } else { "" };
            let reference = value["$ref"]
                .as_str()
                .or_else(|| value["anyOf"][0]["$ref"].as_str());
            let reference = reference.or_else(|| value["items"]["$ref"].as_str());
            let see = reference
                .and_then(|name| name.rsplit('/').next())
                .map(|name| name.trim_end_matches("Yaml"));
            let see = see
                .map(|name| format!(" See [{name}](#{}).", name.to_lowercase()))
                .unwrap_or_default();
            let bounds = bounds(value);
            writeln!(text, "| `{key}`{mark} | {}{bounds}{see} |", describe(value)).expect("memory");
        }
    }
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        if let Some(value) = one["const"].as_str() {
            writeln!(text, "- `{value}`: {}", describe(one)).expect("memory");
        }
    }
}

/// The smallest and the largest value, in words.
fn bounds(schema: &Value) -> String {
    let bound = |word: &str, key: &str| match &schema[key] {
        Value::Null => String::new(),
        Value::String(text) => format!(" At {word} `{text}`."),
        // Numbers are not negative anyway.
        number if word == "least" && number.as_i64() <= Some(0) => String::new(),
        number => format!(" At {word} {number}."),
    };
    ["x-shortest", "minimum"]
        .map(|key| bound("least", key))
        .concat()
        + &["x-largest", "maximum"]
            .map(|key| bound("most", key))
            .concat()
}

proptest! {
    /// Whatever a file holds, it is answered with a module or with problems, never with a panic.
    #[test]
    fn no_text_panics(text in "[ -~\n]{0,200}|version: \"1\"\n(ingresses|sinks|egresses): [\\[\\]{}a-z:, -]{0,40}\n") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("module.yaml");
        std::fs::write(&path, text).expect("written");

        drop(config::load(&path, None));
    }
}
