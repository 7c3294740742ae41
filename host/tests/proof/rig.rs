//! A host under proof: its files, its endpoints, and the oracles that judge it, over all of its incarnations.

#[path = "rig/files.rs"]
mod files;
#[path = "rig/hosts.rs"]
mod hosts;
#[path = "rig/setup.rs"]
mod setup;
#[path = "rig/waits.rs"]
mod waits;

pub(crate) use setup::{Setup, Start, number};
pub(crate) use waits::{LOOK, LOOKS};

use std::{
    fmt::Write,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use nozzle_testkit::{
    Boto, Ended, Enough, Oracle, OsFaults, Recorder, Records, Report, Server, Violation,
    fault_endpoint::{FaultEndpoint, Wire},
};

use self::files::{Cut, Written, append};
use crate::{
    module::{PLUGINS, Place, Source},
    world::{Mood, Shared, World},
};

/// Keys of the records.
const KEYS: u64 = 17;
/// Records that go to Kinesis in one go.
const CHUNK: u64 = 2_000;

/// A host, what surrounds it, and who judges it.
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
    second: Option<Recorder>,
    faults: OsFaults,
    incarnation: u16,
    /// How often the module was changed under a host that ran.
    reloads: u64,
    letters: Vec<Written>,
    results: Written,
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
        let second = match setup.second_sink {
            true => Some(Recorder::start(|_| 400).await),
            false => None,
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
            second,
            faults,
            incarnation: 0,
            reloads: 0,
            letters: PLUGINS
                .iter()
                .map(|case| Written::new(inside.join(case.letters())))
                .collect(),
            results: Written::new(inside.join("results.ndjson")),
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

    /// What all endpoints do from now on.
    pub(crate) fn set(&self, mood: &Mood) {
        self.worlds.iter().for_each(|world| world.set(mood.clone()));
    }

    /// Reads what the incarnation left in its files since the last time.
    pub(crate) fn collect(&mut self) {
        let sinks = PLUGINS.iter().zip(&self.oracles).zip(&mut self.letters);
        for ((case, oracle), letters) in sinks {
            oracle.letters(self.incarnation, &letters.read_on());
            if case.results {
                oracle.results(&self.results.read_on());
            }
        }
    }

    /// Holds how the host ended against how it should.
    pub(crate) fn expect_code(&self, ended: &Ended, code: i32) {
        if ended.code() != code {
            self.ended_wrongly(&format!("exit code {code}"), ended);
        }
    }

    /// The host ended otherwise than it should.
    pub(crate) fn ended_wrongly(&self, expected: &str, ended: &Ended) {
        let Ended { status, stderr, .. } = ended;
        let how = format!("{status}, not {expected}:\n{}", last_lines(stderr));
        self.oracles[0].violated(Violation::Ended(how));
    }

    /// Cuts off what was not synced of the files that are appended to; gives the bytes that are gone.
    pub(crate) fn cut_power(&mut self) -> u64 {
        let mut gone = 0;
        let sinks = PLUGINS.iter().zip(&self.oracles).zip(&mut self.letters);
        for ((case, oracle), letters) in sinks {
            let letters = letters.cut(&self.faults);
            let results = match case.results {
                true => self.results.cut(&self.faults),
                false => Cut::default(),
            };
            gone += letters.gone + results.gone;
            oracle.take_back(&letters.lines, &results.lines);
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

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(30)..)
        .unwrap_or_default()
        .join("\n")
}
