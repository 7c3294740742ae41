//! Every example's module is checked by the binary, as a reader would.

use std::{path::Path, process::Command};

use nozzle_testkit::Child;

#[test]
fn every_example_passes_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut checked = 0;
    for example in std::fs::read_dir(folder).expect("examples/") {
        for file in std::fs::read_dir(example.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
            command.arg("check").arg(&path).env("WEATHER_API_KEY", "x");

            let ended = Child::start(&mut command).finish();

            assert_eq!(ended.code(), 0, "{}: {}", path.display(), ended.stderr);
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked} modules were checked");
}
