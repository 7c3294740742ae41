//! Runs each workload with the host and with the bare loop, in turn, and prints medians.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use clap::{Parser, Subcommand};
use nix::sys::resource::{UsageWho, getrusage};
use nozzle_bench::{RECORD, WORKLOADS, Workload};

type Error = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each workload; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Records of W1; W2 takes ten times as many.
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
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
    peak_mib: f64,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    if let Some(Internal::Measure { command }) = args.command {
        return measure(&command);
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
        let records = args.records * workload.share;
        let (mut host, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            host.push(round(workload, records, true)?);
            bare.push(round(workload, records, false)?);
        }
        let millions = records as f64 / 1e6;
        let mut ratios: Vec<f64> = host
            .iter()
            .zip(&bare)
            .map(|(host, bare)| host.cpu / bare.cpu)
            .collect();
        let ratio = median(&mut ratios);
        for (name, runs, ratio) in [
            ("Nozzle", &host, format!("{ratio:.2}")),
            ("bare loop", &bare, "1".to_owned()),
        ] {
            let of =
                |take: fn(&Took) -> f64| median(&mut runs.iter().map(take).collect::<Vec<_>>());
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
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One run against a server of its own; every record must have come.
fn round(workload: &Workload, records: u64, host: bool) -> Result<Took, Error> {
    let bin = std::env::current_exe()?
        .parent()
        .map(Path::to_owned)
        .ok_or("no folder")?;
    let mut server = Server::start(&bin.join("bench-sink"), workload)?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["measure", "--"]);
    if host {
        let module = folder.path().join("module.yaml");
        std::fs::write(&module, module_text(workload, records, &server.address)?)?;
        command
            .arg(bin.join("nozzle"))
            .arg("run")
            .arg(&module)
            .args(["--log", "warn", "--state-dir"]);
        command.arg(folder.path().join("state"));
    } else {
        command
            .arg(bin.join("bare-loop"))
            .args(["--url", &format!("http://{}/", server.address)]);
        command.args([
            "--records",
            &records.to_string(),
            "--per-call",
            &workload.per_call.to_string(),
        ]);
        command.args(["--in-flight", &workload.in_flight.to_string()]);
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
    let came = server.records()?;
    if came != records {
        return Err(format!("{came} of {records} records came: {errors}").into());
    }
    Ok(Took {
        wall,
        cpu,
        peak_mib,
    })
}

fn module_text(workload: &Workload, records: u64, address: &str) -> Result<String, Error> {
    let plugin = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../guest-plugins/dist")
        .canonicalize()?;
    let plugin = plugin.join(workload.plugin).with_extension("wasm");
    // The response is nothing but a status here: no results.
    let config = if workload.plugin == "per_record" {
        ", config: { results: none }"
    } else {
        ""
    };
    let batch = if workload.per_call == 1 {
        500
    } else {
        workload.per_call
    };
    Ok(format!(
        "version: \"1\"
ingresses:
  - id: bench/in
    datagen:
      count: {records}
      seed: 7
      size: {RECORD}
      fields:
        amount: {{ float: {{ min: 0, max: 1000 }} }}
        id: {{ sequence: {{ start: 1 }} }}
        token: {{ string: {{ min-length: 16, max-length: 16 }} }}
    routers:
      - to: [bench/sink]
sinks:
  - id: bench/sink
    plugin: {{ path: {}{config} }}
    endpoint: {{ url: \"http://{address}/\" }}
    batch: {{ max-records: {batch} }}
    in-flight: {{ max-calls: {} }}
    retry: {{ initial-delay: 1ms }}
",
        plugin.display(),
        workload.in_flight
    ))
}

/// The sink server; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(path: &Path, workload: &Workload) -> Result<Self, Error> {
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
            address: address.trim().to_owned(),
        })
    }

    fn records(&mut self) -> Result<u64, Error> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET /stats HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text
            .split_whitespace()
            .next_back()
            .ok_or("no answer")?
            .parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command as the only child of this process, so that its usage is the children's usage.
fn measure(command: &[String]) -> Result<(), Error> {
    let (program, args) = command.split_first().ok_or("no command")?;
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let started = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .status()?;
    let wall = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{program} ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    println!("{wall} {cpu} {}", usage.max_rss() as f64 / 1024.0);
    Ok(())
}
