//! Every plugin of `guest-plugins/dist` does what the vectors of its job say, in whatever language it is written.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use nozzle::{
    author::{Case, CaseEnd, Update, Workshop, case_files},
    plugin::settings::PluginLimits,
};
use nozzle_testkit::plugins;
use tokio::sync::Semaphore;

/// Their components are called `LANGUAGE_NAME.wasm`; those in Rust `NAME.wasm`.
const LANGUAGES: [&str; 4] = ["typescript", "python", "go", "c"];

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-plugins")
}

/// The plugins that do a job. One that should be there and is not is an error.
fn plugins_of(job: &str) -> Result<Vec<PathBuf>, String> {
    let missing = |path: &Path| format!("{} is missing: run `make guests`", path.display());
    let rust = plugins().join(format!("{job}.wasm"));
    let mut all: Vec<PathBuf> = Some(rust.clone())
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    for language in LANGUAGES {
        let path = plugins().join(format!("{language}_{job}.wasm"));
        let source = guests().join(language).join(job.replace('_', "-"));
        match path.is_file() {
            true => all.push(path),
            false if source.is_dir() => return Err(missing(&path)),
            false => {}
        }
    }
    match all.is_empty() {
        true => Err(missing(&rust)),
        false => Ok(all),
    }
}

/// What is wrong with a plugin, case by case.
async fn failures(plugin: &Path, cases: &[PathBuf]) -> Vec<String> {
    let limits = PluginLimits {
        // A busy machine must not fail a case.
        time: Duration::from_secs(60),
        instances: 1,
        ..PluginLimits::default()
    };
    // Compiling a guest with an engine of its own takes long: it is done once for each build of it.
    let name = plugin.file_stem().expect("a name");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("guests")
        .join(name);
    let workshop = match Workshop::open(plugin, limits, Some(cache)).await {
        Ok(workshop) => workshop,
        Err(error) => return vec![error.to_string()],
    };
    let mut failures = Vec::new();
    for path in cases {
        let case = match Case::read(path) {
            Ok(case) => case,
            Err(problems) => {
                failures.push(problems.to_string());
                continue;
            }
        };
        match workshop.run(&case, Update::Never).await {
            Ok(CaseEnd::Passed) => {}
            Ok(CaseEnd::Failed { reason, diff, .. }) => {
                let lines = diff
                    .iter()
                    .map(|line| format!("\n      {:?}: {}", line.kind, line.text));
                let name = path.file_name().expect("a name").to_string_lossy();
                failures.push(format!("{name}: {reason}{}", lines.collect::<String>()));
            }
            Ok(other) => failures.push(format!("{}: {other:?}", case.name)),
            Err(error) => return vec![error.to_string()],
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_does_what_the_vectors_of_its_job_say() {
    let mut jobs: Vec<PathBuf> = fs::read_dir(guests().join("vectors"))
        .expect("guest-plugins/vectors is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    jobs.sort();
    let slots = Arc::new(Semaphore::new(
        available_parallelism().map_or(2, usize::from),
    ));
    let mut runs = Vec::new();
    let (mut wrong, mut report) = (0, String::new());

    for folder in &jobs {
        let job = folder.file_name().expect("a name").to_string_lossy();
        let cases = case_files(folder, std::slice::from_ref(folder)).expect("it has cases");
        let plugins = plugins_of(&job).unwrap_or_else(|missing| {
            wrong += 1;
            report.push_str(&format!("FAIL  {job}: {missing}\n"));
            Vec::new()
        });
        for plugin in plugins {
            let name = plugin.file_name().expect("a name").to_string_lossy();
            let title = format!("{job} × {name}: {} cases\n", cases.len());
            let (slots, cases) = (Arc::clone(&slots), cases.clone());
            let run = tokio::spawn(async move {
                let _slot = slots.acquire().await.expect("nobody closes it");
                failures(&plugin, &cases).await
            });
            runs.push((title, run));
        }
    }
    for (title, run) in runs {
        let failures = run.await.expect("no panic");
        let sign = if failures.is_empty() { "pass" } else { "FAIL" };
        report.push_str(&format!("{sign}  {title}"));
        report.extend(failures.iter().map(|failure| format!("    {failure}\n")));
        wrong += failures.len();
    }

    assert!(jobs.len() >= 2 && wrong == 0, "\n{report}");
    print!("{report}");
}
