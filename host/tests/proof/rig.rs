//! A host under proof: its files, its endpoints, and the oracles that judge it, over all of its incarnations.

use std::{
    fmt::Write,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use nix::sys::signal::Signal;
use nozzle_testkit::{
    Boto, Child, Ended, Enough, Oracle, OsFaults, Records, Report, Server, Violation, credentials,
    fault_endpoint::{FaultEndpoint, Wire},
};

use crate::{
    module::{Endpoints, PLUGINS, Place, Source, module},
    world::{Mood, Shared, World},
};

/// Keys of the records.
const KEYS: u64 = 17;
/// Records that go to Kinesis in one go.
const CHUNK: u64 = 2_000;

/// Between two looks at files or at a process, and how often is looked before a proof is stuck.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
pub(crate) const LOOKS: usize = 6_000;

/// What a proof is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) source: Source,
    pub(crate) wire: Wire,
    pub(crate) records: u64,
    pub(crate) seed: u64,
    /// `timeout.attempt`.
    pub(crate) timeout: Duration,
    /// `batch.max-records`.
    pub(crate) batch: usize,
    /// Further lines of every sink.
    pub(crate) sink: &'static str,
    /// What endpoints are called, without TLS.
    pub(crate) host: &'static str,
    /// Writes fail in the middle: see [`Oracle::with_rewrites`].
    pub(crate) rewrites: bool,
}

impl Setup {
    /// So many records over plain HTTP, and no attempt that times out by itself.
    pub(crate) fn new(source: Source, records: u64) -> Self {
        Self {
            source,
            wire: Wire::Http,
            records,
            seed: number("NOZZLE_PROOF_SEED").unwrap_or(1),
            timeout: Duration::from_secs(60),
            batch: 50,
            sink: "buffer: { max-records: 2000 }\n    retry: { initial-delay: 2ms, max-delay: 40ms, max-attempts: 30 }",
            host: "127.0.0.1",
            rewrites: false,
        }
    }
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// How an incarnation is started, beside its module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// `NOZZLE_FAIL_POINT`.
    pub(crate) fail_point: Option<String>,
    /// `ulimit -n`.
    pub(crate) max_files: Option<u64>,
}

pub(crate) struct Rig {
    setup: Setup,
    folder: tempfile::TempDir,
    records: Records,
    issued: u64,
    place: Place,
    boto: Option<Boto>,
    oracles: Vec<Arc<Oracle>>,
    worlds: Vec<Arc<World>>,
    endpoints: Vec<FaultEndpoint>,
    faults: OsFaults,
    incarnation: u16,
    /// How far each file of dead letters, and the results, are read.
    letters_read: Vec<u64>,
    results_read: u64,
}

impl Rig {
    /// Issues the records; no host runs yet.
    pub(crate) async fn new(setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("host");
        std::fs::create_dir(&inside).expect("a folder");
        let records = Records::new(setup.seed, KEYS);
        let (mut oracles, mut worlds, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
        for case in &PLUGINS {
            let promise = case.promise(setup.source);
            // Who cuts an HTTP/2 connection takes answers with it that were on their way.
            let timeout = if setup.wire == Wire::Http2 {
                Duration::ZERO
            } else {
                setup.timeout
            };
            let mut oracle = Oracle::new(case.name, records, case.framing, promise, timeout);
            if setup.rewrites {
                oracle = oracle.with_rewrites();
            }
            if case.results {
                oracle = oracle.with_results();
            }
            let oracle = Arc::new(oracle);
            let world = Arc::new(World::new(case, Arc::clone(&oracle), setup.seed));
            endpoints.push(FaultEndpoint::start(setup.wire, Shared(Arc::clone(&world))).await);
            oracles.push(oracle);
            worlds.push(world);
        }
        let (place, boto) = match setup.source {
            Source::File => (Place::File, None),
            Source::Kinesis => {
                let mut boto = Boto::start(&[("kinesis", kinesis())]);
                let name = format!("proof-{:x}", fastrand::u64(..));
                boto.create_stream(&name, 2);
                let server = kinesis().to_owned();
                (Place::Stream { name, server }, Some(boto))
            }
        };
        let faults = OsFaults::new(&inside);
        let mut rig = Self {
            setup,
            records,
            issued: 0,
            place,
            boto,
            oracles,
            worlds,
            endpoints,
            faults,
            incarnation: 0,
            letters_read: vec![0; PLUGINS.len()],
            results_read: 0,
            folder,
        };
        rig.issue(setup.records);
        rig
    }

    /// Issues so many more records.
    pub(crate) fn issue(&mut self, count: u64) {
        let (first, last) = (self.issued, self.issued + count);
        self.issued = last;
        self.oracles.iter().for_each(|oracle| oracle.issue(last));
        let numbers: Vec<u64> = (first..last).collect();
        for chunk in numbers.chunks(CHUNK as usize) {
            match (&self.place, &mut self.boto) {
                (Place::Stream { name, .. }, Some(boto)) => {
                    let of = |number: &u64| {
                        (
                            format!("k-{}", self.records.key(*number)),
                            self.records.text(*number),
                        )
                    };
                    boto.put_texts(name, &chunk.iter().map(of).collect::<Vec<_>>());
                }
                _ => {
                    let mut lines = String::new();
                    for number in chunk {
                        writeln!(lines, "{}", self.records.text(*number))
                            .expect("a string takes all");
                    }
                    append(&self.path("in.ndjson"), lines.as_bytes());
                }
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("host").join(name)
    }

    pub(crate) fn faults(&self) -> &OsFaults {
        &self.faults
    }

    pub(crate) fn oracles(&self) -> &[Arc<Oracle>] {
        &self.oracles
    }

    pub(crate) fn worlds(&self) -> &[Arc<World>] {
        &self.worlds
    }

    pub(crate) fn seed(&self) -> u64 {
        self.setup.seed
    }

    pub(crate) fn wire(&self) -> Wire {
        self.setup.wire
    }

    /// Dead letters of records whose attempts or time were over.
    pub(crate) fn given_up(&self) -> usize {
        let letters = |file: String| std::fs::read_to_string(self.path(&file)).unwrap_or_default();
        let given_up = |line: &&str| {
            line.contains("\"cause\":\"attempts-exhausted\"")
                || line.contains("\"cause\":\"timed-out\"")
        };
        PLUGINS
            .iter()
            .map(|case| letters(case.letters()).lines().filter(given_up).count())
            .sum()
    }

    /// Whether every sink has sent every record.
    pub(crate) fn is_all_sent(&self) -> bool {
        self.oracles
            .iter()
            .all(|oracle| oracle.sent_once() == self.issued)
    }

    /// Waits until so many faults of the operating system were met.
    pub(crate) async fn met(&self, count: i64) {
        for _ in 0..LOOKS {
            if self.faults.fired() >= count {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let what = format!("only {} faults were met", self.faults.fired());
        self.oracles[0].violated(Violation::Stuck(what));
    }

    /// The end of an incarnation that was told to stop.
    pub(crate) fn stopped_well(&mut self, child: Child) -> Ended {
        let ended = child.finish();
        self.collect();
        self.expect_code(&ended, 0);
        ended
    }

    /// Waits until every sink has sent so many more records for the first time; false where the host has ended before.
    pub(crate) async fn came(&self, count: u64, child: &mut Child) -> bool {
        self.sent_more(&self.oracles, count, child).await
    }

    /// The same, of all sinks but the first.
    pub(crate) async fn others_came(&self, count: u64, child: &mut Child) -> bool {
        self.sent_more(&self.oracles[1..], count, child).await
    }

    async fn sent_more(&self, oracles: &[Arc<Oracle>], count: u64, child: &mut Child) -> bool {
        let goals: Vec<u64> = oracles
            .iter()
            .map(|oracle| (oracle.sent_once() + count).min(self.issued))
            .collect();
        for _ in 0..LOOKS {
            if child.has_ended() {
                return false;
            }
            let mut behind = oracles.iter().zip(&goals);
            match behind.find(|(oracle, goal)| oracle.sent_once() < **goal) {
                None => return true,
                Some((oracle, _)) => oracle.changed(LOOK).await,
            }
        }
        let what = format!("not every sink has sent {count} more records");
        self.oracles[0].violated(Violation::Stuck(what));
        true
    }

    /// What all endpoints do from now on.
    pub(crate) fn set(&self, mood: &Mood) {
        self.worlds.iter().for_each(|world| world.set(mood.clone()));
    }

    /// Starts the next incarnation.
    pub(crate) fn start(&mut self, start: &Start) -> Child {
        self.incarnation += 1;
        for (oracle, world) in self.oracles.iter().zip(&self.worlds) {
            let begun = oracle.begin();
            assert_eq!(begun, self.incarnation);
            world.begin(begun);
        }
        let url = |endpoint: &FaultEndpoint| endpoint.url().replace("127.0.0.1", self.setup.host);
        let urls = self.endpoints.iter().map(|endpoint| {
            (
                format!("{}{}/", url(endpoint), self.incarnation),
                endpoint.ca_file(),
            )
        });
        let timeout = format!("{}ms", self.setup.timeout.as_millis());
        let endpoints = Endpoints {
            urls: urls.collect(),
            timeout: &timeout,
            batch: self.setup.batch,
            sink: self.setup.sink,
        };
        std::fs::write(self.path("module.yaml"), module(&self.place, &endpoints)).expect("written");
        let nozzle = env!("CARGO_BIN_EXE_nozzle");
        let mut command = match start.max_files {
            None => Command::new(nozzle),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args([
                    "-c",
                    &format!("ulimit -n {files}; exec \"$@\""),
                    "sh",
                    nozzle,
                ]);
                shell
            }
        };
        command.current_dir(self.path("")).args([
            "run",
            "module.yaml",
            "--state-dir",
            "state",
            "--grace",
            "20s",
        ]);
        credentials(&mut command);
        self.faults.preload(&mut command);
        if let Some(fail_point) = &start.fail_point {
            command.env("NOZZLE_FAIL_POINT", fail_point);
        }
        Child::start(&mut command)
    }

    /// Reads what the incarnation that has just ended left in its files.
    pub(crate) fn collect(&mut self) {
        for (index, (case, oracle)) in PLUGINS.iter().zip(&self.oracles).enumerate() {
            let path = self.path(&case.letters());
            let lines = read_on(&path, &mut self.letters_read[index]);
            oracle.letters(self.incarnation, &lines);
            if case.results {
                let path = self.folder.path().join("host/results.ndjson");
                oracle.results(&read_on(&path, &mut self.results_read));
            }
        }
    }

    /// The endpoints are calm: one more incarnation brings everything to its end, a fresh record too.
    pub(crate) async fn to_the_end(&mut self) {
        self.set(&Mood::Calm);
        self.issue(1);
        let child = self.start(&Start::default());
        self.run_out(child).await;
    }

    /// Waits until this incarnation has brought everything to its end, and has ended well.
    pub(crate) async fn run_out(&mut self, mut child: Child) {
        if self.setup.source == Source::Kinesis {
            // A stream has no end: all that is there is waited for, then the host is stopped.
            let stuck = |rig: &mut Self| {
                rig.collect();
                let behind = rig
                    .oracles
                    .iter()
                    .find(|oracle| oracle.ended() < rig.issued);
                behind.map(|oracle| (Arc::clone(oracle), oracle.ended()))
            };
            let mut looks = LOOKS;
            while let Some((behind, ended)) = stuck(self) {
                if looks == 0 || child.has_ended() {
                    let what = format!("{ended} of {} records have an end", self.issued);
                    behind.violated(Violation::Stuck(what));
                    break;
                }
                looks -= 1;
                behind.changed(LOOK).await;
            }
            child.signal(Signal::SIGTERM);
        }
        self.until_ended(&mut child).await;
        let ended = child.finish();
        self.collect();
        self.expect_code(&ended, 0);
    }

    /// Waits for the host's end, for as long as records move.
    async fn until_ended(&self, child: &mut Child) {
        let mut last = 0;
        let mut idle = 0;
        while idle < LOOKS && !child.has_ended() {
            tokio::time::sleep(LOOK).await;
            let calls = self.oracles.iter().map(|oracle| oracle.calls()).sum();
            idle = if calls == last { idle + 1 } else { 0 };
            last = calls;
        }
    }

    /// Holds how the host ended against how it should.
    pub(crate) fn expect_code(&self, ended: &Ended, code: i32) {
        if ended.code() != code {
            let how = format!(
                "exit code {}, not {code}:\n{}",
                ended.code(),
                last_lines(&ended.stderr)
            );
            self.oracles[0].violated(Violation::Ended(how));
        }
    }

    /// Cuts off what was not synced of the files that are appended to; gives the bytes that are gone.
    pub(crate) fn cut_power(&mut self) -> u64 {
        let mut gone = 0;
        for (index, case) in PLUGINS.iter().enumerate() {
            let letters = cut(
                &self.faults,
                &self.path(&case.letters()),
                &mut self.letters_read[index],
            );
            let results = match case.results {
                true => cut(
                    &self.faults,
                    &self.path("results.ndjson"),
                    &mut self.results_read,
                ),
                false => Cut::default(),
            };
            gone += letters.gone + results.gone;
            self.oracles[index].take_back(&letters.lines, &results.lines);
        }
        gone
    }

    /// The judgement on all sinks.
    ///
    /// # Panics
    /// When a rule was broken, or too little was seen.
    pub(crate) fn judge(&self, enough: &Enough) {
        let reports: Vec<Report> = self.oracles.iter().map(|oracle| oracle.judge()).collect();
        let mut text: Vec<String> = reports.iter().map(ToString::to_string).collect();
        let missing = enough.missing(&reports);
        text.extend(missing.iter().map(ToString::to_string));
        let broken = reports.iter().any(|report| !report.violations.is_empty());
        assert!(
            !broken && missing.is_empty(),
            "{}\nreplay: NOZZLE_PROOF_SEED={}",
            text.join("\n"),
            self.setup.seed
        );
        println!("{}", text.join("\n"));
    }
}

/// One server for all proofs: each has a stream of its own.
pub(crate) fn kinesis() -> &'static str {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::kinesis_local).url()
}

fn append(path: &Path, bytes: &[u8]) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .open(path)
        .expect("it opens");
    std::io::Write::write_all(&mut file, bytes).expect("written");
}

/// The whole lines behind `read`, which is moved behind them.
fn read_on(path: &Path, read: &mut u64) -> String {
    let Ok(mut file) = std::fs::File::open(path) else {
        return String::new();
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(*read)).expect("it seeks");
    file.read_to_end(&mut bytes).expect("it reads");
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    bytes.truncate(end);
    *read += end as u64;
    String::from_utf8(bytes).expect("the files are text")
}

/// What a power cut takes of a file.
#[derive(Default)]
struct Cut {
    gone: u64,
    /// What was read before, and is gone.
    lines: String,
}

/// Cuts off what was not synced; what was `read` of it is read no more.
fn cut(faults: &OsFaults, path: &Path, read: &mut u64) -> Cut {
    let Ok(bytes) = std::fs::read(path) else {
        return Cut::default();
    };
    let kept = faults.synced(path).min(bytes.len() as u64);
    let lost = bytes
        .get(kept as usize..(*read).max(kept) as usize)
        .unwrap_or_default();
    *read = (*read).min(kept);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("it opens");
    file.set_len(kept).expect("it can be cut");
    Cut {
        gone: bytes.len() as u64 - kept,
        lines: String::from_utf8_lossy(lost).into_owned(),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(30)..)
        .unwrap_or_default()
        .join("\n")
}
