//! Runs each workload with the host and with the bare loop, in turn, and prints medians.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use clap::{Parser, Subcommand};
use nozzle_bench::{
    Error, From, RECORD, WORKLOADS, Workload, kinesis,
    measure::{Took, Until, counted, measure, median},
    module,
};
use nozzle_testkit::{credentials, plugins};
use url::Url;

#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each workload; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Records of W1; W2 takes ten times as many, K1 and K8 twice.
    #[arg(long, default_value_t = 200_000)]
    records: u64,
    /// Only this workload.
    #[arg(long)]
    only: Option<String>,
    #[command(subcommand)]
    command: Option<Internal>,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// Runs a command and prints what it took; used by the benchmark itself.
    #[command(hide = true)]
    Measure {
        /// End the command when the sink at this address has all records.
        #[arg(long, requires = "records")]
        until: Option<SocketAddr>,
        #[arg(long)]
        records: Option<u64>,
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Fills a Kinesis stream; used by the benchmark itself.
    #[command(hide = true)]
    Fill {
        #[arg(long)]
        url: Url,
        #[arg(long)]
        shards: i32,
        #[arg(long)]
        records: u64,
    },
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    match args.command {
        Some(Internal::Measure {
            until,
            records,
            command,
        }) => {
            let until = until
                .zip(records)
                .map(|(sink, records)| Until { sink, records });
            let took = measure(&command, until)?;
            println!("{} {} {}", took.wall, took.cpu, took.peak_mib);
            return Ok(());
        }
        Some(Internal::Fill {
            url,
            shards,
            records,
        }) => {
            let runtime = tokio::runtime::Runtime::new()?;
            return runtime.block_on(kinesis::fill(&url, shards, records));
        }
        None => {}
    }
    println!(
        "{} rounds, medians; records of {RECORD} bytes; CPU is user and system time of the one process",
        args.rounds
    );
    println!(
        "| workload | | records/s | CPU s per million records | peak MiB | CPU against bare |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for workload in WORKLOADS
        .iter()
        .filter(|workload| args.only.as_ref().is_none_or(|only| only == workload.name))
    {
        run(workload, args.records * workload.share, args.rounds)?;
    }
    Ok(())
}

/// All rounds of one workload, and its two lines of the table.
fn run(workload: &Workload, records: u64, rounds: usize) -> Result<(), Error> {
    let stream = match workload.from {
        From::Datagen => None,
        From::Kinesis { shards } => Some(filled(shards, records)?),
    };
    let kinesis = stream.as_ref().map(nozzle_testkit::Server::url);
    let (mut host, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        host.push(round(workload, records, kinesis, Program::Host)?);
        bare.push(round(workload, records, kinesis, Program::BareLoop)?);
    }
    let millions = records as f64 / 1e6;
    let ratio = median(
        host.iter()
            .zip(&bare)
            .map(|(host, bare)| host.cpu / bare.cpu),
    );
    for (name, runs, ratio) in [
        ("Nozzle", &host, format!("{ratio:.2}")),
        ("bare loop", &bare, "1".to_owned()),
    ] {
        let of = |take: fn(&Took) -> f64| median(runs.iter().map(take));
        let (rate, cpu) = (
            records as f64 / of(|took| took.wall),
            of(|took| took.cpu) / millions,
        );
        let peak = of(|took| took.peak_mib);
        println!(
            "| {}: {} | {name} | {rate:.0} | {cpu:.2} | {peak:.0} | {ratio} |",
            workload.name, workload.about
        );
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Program {
    Host,
    BareLoop,
}

/// A Kinesis server with a stream of `records`, which every round reads.
fn filled(shards: i32, records: u64) -> Result<nozzle_testkit::Server, Error> {
    let server = nozzle_testkit::Server::ministack();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["fill", "--url", server.url()]);
    command.args(["--shards", &shards.to_string()]);
    command.args(["--records", &records.to_string()]);
    credentials(&mut command);
    let status = command.status()?;
    if !status.success() {
        return Err(format!("the stream could not be filled: {status}").into());
    }
    Ok(server)
}

/// One run against a sink of its own; every record must have come.
fn round(
    workload: &Workload,
    records: u64,
    kinesis: Option<&str>,
    program: Program,
) -> Result<Took, Error> {
    let bin = std::env::current_exe()?
        .parent()
        .map(Path::to_owned)
        .ok_or("no folder")?;
    let sink = Sink::start(&bin.join("bench-sink"), workload)?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("measure");
    credentials(&mut command);
    match program {
        Program::Host => {
            if kinesis.is_some() {
                // A stream has no end.
                command.args(["--until", &sink.address.to_string()]);
                command.args(["--records", &records.to_string()]);
            }
            let module = folder.path().join("module.yaml");
            let text = module::text(workload, records, sink.address, kinesis, &plugins());
            std::fs::write(&module, text)?;
            command.arg("--").arg(bin.join("nozzle"));
            command.arg("run").arg(&module);
            command.args(["--log", "warn", "--state-dir"]);
            command.arg(folder.path().join("state"));
        }
        Program::BareLoop => {
            command.arg("--").arg(bin.join("bare-loop"));
            command.args(["--url", &format!("http://{}/", sink.address)]);
            command.args(["--records", &records.to_string()]);
            command.args(["--per-call", &workload.per_call.to_string()]);
            command.args(["--in-flight", &workload.in_flight.to_string()]);
            if let Some(kinesis) = kinesis {
                command.args(["--kinesis", kinesis]);
            }
        }
    }
    let output = command.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let [wall, cpu, peak_mib] = numbers[..] else {
        return Err(format!("the run failed: {errors}").into());
    };
    let came = counted(sink.address)?;
    if came != records {
        return Err(format!("{came} of {records} records came: {errors}").into());
    }
    Ok(Took {
        wall,
        cpu,
        peak_mib,
    })
}

/// The sink server; killed when dropped.
struct Sink {
    child: Child,
    address: SocketAddr,
}

impl Sink {
    fn start(path: &PathBuf, workload: &Workload) -> Result<Self, Error> {
        let mut child = Command::new(path)
            .args([
                "--delay-ms",
                &workload.delay_ms.to_string(),
                "--fail-every",
                &workload.fail_every.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().parse()?,
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
