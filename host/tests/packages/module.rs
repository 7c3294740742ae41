//! The keys of a module file.

use std::path::PathBuf;

use nozzle::{
    config,
    plugin::settings::{PluginSource, SignatureKey},
};

#[test]
fn help_is_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::new();
    for arguments in [
        &["plugin", "pull"][..],
        &["plugin", "push"],
        &["plugin", "inspect"],
    ] {
        let ended = super::nozzle(folder.path(), &[arguments, &["--help"]].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        text.push_str(&ended.stdout);
        text.push('\n');
    }

    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_plugin_is_not_pushed_and_not_shown_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let bytes = wat::parse_str(text).expect("WebAssembly");
        std::fs::write(folder.path().join(name), bytes).expect("written");
    };
    write("module.wasm", "(module)");
    write(
        "component.wasm",
        r#"(component (import "a:b/c@1.0.0" (instance)))"#,
    );
    write(
        "plugin.wasm",
        r#"(component (import "x" (instance)) (export "nozzle:plugin/shaping@0.1.0" (instance 0)))"#,
    );
    std::fs::write(folder.path().join("text.wasm"), "no WebAssembly").expect("written");
    let tag = "oci://localhost:1/acme/score:1.0";
    let pinned = "oci://localhost:1/score@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    let mut text = String::new();
    for (arguments, code) in [
        (&["push", "module.wasm", tag][..], 3),
        (&["push", "component.wasm", tag], 3),
        (&["push", "missing.wasm", tag], 3),
        (&["push", "component.wasm", pinned], 2),
        (&["push", "component.wasm", "score"], 2),
        (
            &[
                "push",
                "component.wasm",
                tag,
                "--annotation",
                "dev.nozzle.plugin.minisign=x",
            ],
            2,
        ),
        (
            &["push", "plugin.wasm", tag, "--minisig", "component.wasm"],
            3,
        ),
        (&["inspect", "text.wasm"], 3),
        (&["pull", tag, "--user", "me"], 2),
        (&["inspect", "component.wasm"], 0),
        (&["inspect", "component.wasm", "--json"], 0),
        (&["inspect", "oci://localhost:1/x"], 2),
    ] {
        let ended = super::nozzle(folder.path(), &[&["plugin"], arguments].concat());
        assert_eq!(ended.code(), code, "{arguments:?}: {}", ended.stderr);
        text.push_str(&format!(
            "{}\n{}{}\n",
            arguments.join(" "),
            ended.stdout,
            ended.stderr
        ));
    }

    insta::assert_snapshot!(text);
}

#[test]
fn the_keys_of_a_package_are_read_and_show_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDBEVFxP/DYdlC7+MQlcdZu6XvbA4\n\
        n3nEwSyMBLRAkxTuTGExjw+Ez8l0sHYhd0tGRNsJTMMPSGnjBNLm+6STBQ==\n\
        -----END PUBLIC KEY-----\n";
    std::fs::write(folder.path().join("cosign.pub"), key).expect("written");
    std::fs::write(folder.path().join("password"), "canary\n").expect("written");
    let pin = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let module = format!(
        "version: \"1\"\n\
         ingresses: [{{ id: t/in, datagen: {{ count: 7 }}, routers: [{{ to: [t/out] }}] }}]\n\
         sinks:\n  - id: t/out\n    endpoint: {{ url: \"http://localhost\" }}\n    plugin:\n      \
         path: oci://registry.test:5000/acme/score:1.0@{pin}\n      \
         registry: {{ user: me, password: \"${{file:password}}\", ca-file: ca.pem, plain-http: false }}\n      \
         signature: {{ cosign: \"${{file:cosign.pub}}\" }}\n"
    );
    let path = folder.path().join("module.yaml");
    std::fs::write(&path, module).expect("written");

    let module = config::load(&path, None).expect("it is valid");

    let plugin = &module.sinks[0].plugin;
    let PluginSource::Package(package) = &plugin.source else {
        panic!("{plugin:?}");
    };
    let name = format!("oci://registry.test:5000/acme/score:1.0@{pin}");
    assert_eq!(package.reference.to_string(), name);
    assert_eq!(plugin.source.label(), PathBuf::from(name));
    let login = package.registry.login.as_ref().expect("a login");
    assert_eq!(login.user.reveal(), "me");
    assert_eq!(login.password.reveal(), "canary");
    assert_eq!(
        login.password.files().collect::<Vec<_>>(),
        [folder.path().join("password")]
    );
    assert_eq!(package.registry.plain_http, Some(false));
    let ca_file = package.registry.ca_file.as_ref().expect("a root");
    assert_eq!(ca_file.path, folder.path().join("ca.pem"));
    assert!(matches!(plugin.signature, Some(SignatureKey::Cosign(_))));
    let shown = format!("{module:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
