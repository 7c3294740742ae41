//! Every example is checked and run, as a reader would: its modules and scripts are what stands in `examples/`, with
//! another port in place of the endpoint's.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use nix::sys::signal::Signal;
use nozzle::endpoint::{Endpoint, EndpointOptions};
use nozzle_testkit::{Boto, Child, DEADLINE, Ended, Server, credentials};
use serde_json::{Value, json};

/// The property groups of an example that has some.
const PROPERTIES: &str = "flink-application-properties-dev.json";
/// The endpoint of all examples.
const ENDPOINT: &str = "127.0.0.1:8080";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn kinesis_local() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::kinesis_local).url()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.collect()
}

/// A folder laid out as the repository is, with an example whose endpoint is at `address`: what a run leaves behind
/// is not in the repository.
fn copy(example: &str, address: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let binary = copy.path().join("target/debug");
    std::fs::create_dir_all(&binary).expect("made");
    let link = |to: &Path, at: &Path| std::os::unix::fs::symlink(to, at).expect("linked");
    link(
        Path::new(env!("CARGO_BIN_EXE_nozzle")),
        &binary.join("nozzle"),
    );
    for shared in ["guest-plugins", ".servers"] {
        link(&repository().join(shared), &copy.path().join(shared));
    }
    for folder in [example, "local"] {
        let to = copy.path().join("examples").join(folder);
        std::fs::create_dir_all(&to).expect("made");
        for file in files(&repository().join("examples").join(folder)) {
            if !file.is_file() {
                continue;
            }
            // The copy keeps the file's mode: a script stays one.
            let target = to.join(file.file_name().expect("a name"));
            std::fs::copy(&file, &target).expect("copied");
            let text = std::fs::read_to_string(&target).expect("text");
            std::fs::write(&target, text.replace(ENDPOINT, address)).expect("written");
        }
    }
    copy
}

/// `nozzle` in the copy's root, with what the READMEs set.
fn nozzle(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nozzle"));
    command
        .current_dir(root)
        .args(args)
        .env("WEATHER_API_KEY", "secret")
        .env("HTTP_SINK_API_KEY", "secret")
        .env("EVENTS_TOKEN", "secret")
        .env("WEBHOOK_SECRET", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        .env("SLACK_HOOK", "T00000000/B00000000/XXXXXXXX")
        .env("FIREHOSE_KEY", "secret");
    credentials(&mut command);
    command
}

async fn endpoint(statuses: Vec<(u16, f64)>, latency: (u64, u64)) -> Endpoint {
    let options = EndpointOptions {
        statuses,
        resets: 1.0,
        latency: (
            Duration::from_millis(latency.0),
            Duration::from_millis(latency.1),
        ),
        api_key: Some("secret".to_owned()),
        ..EndpointOptions::default()
    };
    let bound = Endpoint::bind("127.0.0.1:0", options).await;
    bound.expect("a free port")
}

#[test]
fn every_example_passes_check() {
    let mut checked = 0;
    for example in files(&repository().join("examples")) {
        for path in files(&example) {
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let mut command = nozzle(&repository(), &["check"]);
            command.arg(&path);
            let properties = example.join(PROPERTIES);
            if properties.is_file() {
                command.arg("--properties").arg(properties);
            }

            let ended = Child::start(&mut command).finish();

            assert_eq!(ended.code(), 0, "{}: {}", path.display(), ended.stderr);
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked} modules were checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn async_io_kinesis_puts_a_result_into_the_stream_for_each_event_that_is_not_given_up_on() {
    let endpoint = endpoint(vec![(500, 10.0), (400, 2.0)], (10, 2_100)).await;
    let root = copy("async-io-kinesis", &endpoint.address().to_string());
    let mut boto = Boto::start(&[("kinesis", kinesis_local())]);
    boto.create_stream("async-io-results", 2);
    let example = root.path().join("examples/async-io-kinesis");
    let properties = example.join(PROPERTIES).display().to_string();
    let module = example.join("module.yaml").display().to_string();
    let mut command = nozzle(root.path(), &["run", &module, "--properties", &properties]);
    // The stream's region is in its ARN.
    command
        .env("AWS_ENDPOINT_URL_KINESIS", kinesis_local())
        .env_remove("AWS_REGION");

    let ended = Child::start(&mut command).finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let found = boto.kinesis("read_all", json!({ "stream": "async-io-results" }));
    let results = found.as_array().expect("a list").iter().map(|record| {
        let data = record["data"].as_str().expect("text");
        let result: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(result["status"], 200, "{data}");
        number(&result["id"])
    });
    let results: BTreeSet<u64> = results.collect();
    let letters = std::fs::read_to_string(example.join("out/failed.ndjson")).unwrap_or_default();
    let given_up: BTreeSet<u64> = letters
        .lines()
        .map(|line| {
            let letter: Value = serde_json::from_str(line).expect("JSON");
            number(&letter["event"]["id"])
        })
        .collect();
    assert!(results.is_disjoint(&given_up));
    let all: BTreeSet<u64> = results.union(&given_up).copied().collect();
    assert_eq!(all, (1..=200).collect(), "each event has its end");
    assert!(given_up.len() < 20, "{given_up:?} were given up on");
    let counts = endpoint.counts();
    assert!(counts.statuses[&500] > 0, "{counts:?}");
    assert!(
        !counts.statuses.contains_key(&401),
        "the key of the properties is sent: {counts:?}"
    );
}

/// The number in a datagen event's id.
fn number(id: &Value) -> u64 {
    let id = id.as_str().expect("an id");
    let number = id.strip_prefix("async-io/events/1:");
    number.expect("of this source").parse().expect("a number")
}

#[test]
fn http_sink_has_two_modules_that_differ_in_one_line() {
    let read = |name: &str| {
        let path = repository().join("examples/http-sink").join(name);
        std::fs::read_to_string(path).expect("it is there")
    };
    let (datagen, kinesis) = (read("datagen.yaml"), read("kinesis.yaml"));

    let pairs = datagen.lines().zip(kinesis.lines());
    let differ: Vec<_> = pairs.filter(|(one, other)| one != other).collect();

    assert_eq!(datagen.lines().count(), kinesis.lines().count());
    assert!(
        matches!(&*differ, [(one, other)] if one.starts_with("    datagen:") && other.starts_with("    kinesis:")),
        "{differ:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_sink_delivers_what_is_made_up_and_what_is_in_a_stream() {
    let mut boto = Boto::start(&[("kinesis", kinesis_local())]);
    boto.create_stream("http-sink-orders", 2);
    boto.put("http-sink-orders", 0, 500, 20);
    for (source, count) in [("datagen", 2_000), ("kinesis", 500)] {
        let endpoint = endpoint(vec![(503, 8.0), (429, 4.0)], (5, 40)).await;
        let root = copy("http-sink", &endpoint.address().to_string());
        let module = format!("examples/http-sink/{source}.yaml");
        let mut command = nozzle(root.path(), &["run", &module]);
        command.env("AWS_ENDPOINT_URL_KINESIS", kinesis_local());

        let run = Child::start(&mut command);
        let waited = tokio::time::timeout(DEADLINE, endpoint.accepted(count)).await;
        // Made-up records have an end, which may have come already; a stream has none.
        if source == "kinesis" {
            run.signal(Signal::SIGTERM);
        }
        let ended = run.finish();

        assert!(waited.is_ok(), "{source}: {}", ended.stderr);
        assert_eq!(ended.code(), 0, "{source}: {}", ended.stderr);
        assert_eq!(endpoint.counts().unique, count, "{source}");
        let letters = root.path().join("examples/http-sink/out/failed.ndjson");
        let letters = std::fs::read_to_string(letters).unwrap_or_default();
        assert_eq!(letters, "", "{source}: nothing is given up on");
    }
}

/// Runs an example's script in a copy of the repository.
fn script(example: &str, args: &[&str]) -> Ended {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let root = copy(example, &port.expect("a free port").to_string());
    let mut command = Command::new(root.path().join("examples").join(example).join("run.sh"));
    command.args(args).env_remove("CARGO_TARGET_DIR");
    Child::start(&mut command).finish()
}

#[test]
fn the_scripts_run_as_the_readmes_say() {
    let async_io = script("async-io-kinesis", &[]);
    let datagen = script("http-sink", &["datagen"]);
    let kinesis = script("http-sink", &["kinesis"]);

    for ended in [&async_io, &datagen, &kinesis] {
        assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    }
    let results = async_io.stdout.lines().find_map(|line| {
        let count = line.strip_suffix(" results are in the stream, such as:")?;
        count.parse::<u64>().ok()
    });
    assert!(
        results.is_some_and(|count| (180..=200).contains(&count)),
        "{}",
        async_io.stdout
    );
    for (ended, unique) in [
        (&datagen, "\"unique\":2000,"),
        (&kinesis, "\"unique\":500,"),
    ] {
        assert!(ended.stdout.contains(unique), "{}", ended.stdout);
    }
}
