//! Measures what swaps cost the records that come meanwhile: one host, a steady stream, and in turn no swaps, swaps of versions
//! whose code is kept, and swaps of new ones, each behind the other without a pause.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Parser;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use nozzle_bench::{Error, measure::median};
use nozzle_testkit::plugin;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStderr, ChildStdin, Command},
    sync::watch,
    time::MissedTickBehavior,
};

#[derive(Debug, Clone, Copy, Parser)]
struct Args {
    /// Rounds; medians are printed.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each of the three parts of a round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Records a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
}

/// A swap that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two parts: what is left of the one before does not count.
const SETTLE: Duration = Duration::from_millis(500);

/// A part of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Quiet,
    Kept,
    New,
}

const PARTS: [(Part, &str); 3] = [
    (Part::Quiet, "no swaps"),
    (Part::Kept, "swaps to versions whose code is kept"),
    (Part::New, "swaps to new versions, which are compiled"),
];

/// What a part of a round came to.
#[derive(Debug, Clone, Copy)]
struct Took {
    swaps: u64,
    records: usize,
    p50: f64,
    p99: f64,
    /// The memory of the host at its end, in MiB.
    memory: f64,
}

/// How long records took from when they were due to the endpoint, in microseconds, since this was emptied.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<u64>>);

impl Seen {
    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, body: &[u8], now: u64) {
        const FIELD: &[u8] = b"\"at\":";
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in memmem::find_iter(body, FIELD) {
            let digits = body.iter().skip(place + FIELD.len());
            let at = digits
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            seen.push(now.saturating_sub(at));
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let (began, seen) = (now(), Arc::new(Seen::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let sink = tokio::spawn(serve(listener, Arc::clone(&seen), began));
    let folder = tempfile::tempdir()?;
    let mut host = Host::start(folder.path(), &url)?;
    let feeder = tokio::spawn(feed(
        host.child.stdin.take().ok_or("no input")?,
        args.rate,
        began,
    ));

    let mut rounds = Vec::new();
    // The first one warms up.
    for round in 0..=args.rounds {
        let mut parts = Vec::new();
        for (part, _) in PARTS {
            parts.push(run(&mut host, part, &seen, args).await?);
        }
        eprintln!("round {round}: {parts:?}");
        if round > 0 {
            rounds.push(parts);
        }
    }
    feeder.abort();
    host.end().await?;
    sink.abort();
    print(&rounds, args);
    Ok(())
}

async fn run(host: &mut Host, part: Part, seen: &Seen, args: Args) -> Result<Took, Error> {
    // Then there are two versions whose code is kept.
    if part == Part::Kept {
        host.swap(Part::New).await?;
    }
    let swaps = host.generation;
    tokio::time::sleep(SETTLE).await;
    drop(seen.take());
    let begun = now();
    while begun.elapsed() < Duration::from_secs(args.seconds) {
        match part {
            Part::Quiet => tokio::time::sleep(SETTLE / 10).await,
            part => host.swap(part).await?,
        }
    }
    let mut took = seen.take();
    took.sort_unstable();
    let at = |share: f64| {
        let place = (took.len() as f64 * share) as usize;
        took.get(place)
            .map_or(f64::NAN, |micros| *micros as f64 / 1e3)
    };
    Ok(Took {
        swaps: host.generation - swaps,
        records: took.len(),
        p50: at(0.5),
        p99: at(0.99),
        memory: host.memory()?,
    })
}

fn print(rounds: &[Vec<Took>], args: Args) {
    println!(
        "{} rounds of {} s for each line, {} records a second, 20 a call; medians of the rounds; the ratio is that of neighbours",
        args.rounds, args.seconds, args.rate
    );
    println!("| | swaps in a round | records | p50, ms | p99, ms | p99 against no swaps |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (place, (_, name)) in PARTS.iter().enumerate() {
        let of = |take: &dyn Fn(&Took, &Took) -> f64| {
            let both = rounds
                .iter()
                .filter_map(|parts| Some((parts.get(place)?, parts.first()?)));
            median(both.map(|(took, quiet)| take(took, quiet)))
        };
        println!(
            "| {name} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} |",
            of(&|took, _| took.swaps as f64),
            of(&|took, _| took.records as f64),
            of(&|took, _| took.p50),
            of(&|took, _| took.p99),
            of(&|took, quiet| took.p99 / quiet.p99),
        );
    }
    let ends: Vec<&Took> = rounds.iter().filter_map(|parts| parts.last()).collect();
    let swaps: u64 = rounds.iter().flatten().map(|took| took.swaps).sum();
    if let [first, .., last] = ends[..] {
        println!(
            "memory of the host: {:.1} MiB after the first round, {:.1} MiB after the last, {swaps} swaps in all",
            first.memory, last.memory
        );
    }
}

/// A host that reads its standard input.
struct Host {
    child: Child,
    folder: PathBuf,
    components: [Vec<u8>; 2],
    generation: u64,
    accepted: watch::Receiver<u64>,
}

impl Host {
    fn start(folder: &Path, url: &str) -> Result<Self, Error> {
        let component = std::fs::read(plugin("json_batch.wasm"))?;
        std::fs::write(folder.join("p.wasm"), &component)?;
        let module = format!(
            "version: \"1\"\ningresses:\n  - {{ id: bench/in, file: {{ path: \"-\" }}, routers: [{{ to: [bench/sink] }}] }}\n\
             sinks:\n  - id: bench/sink\n    plugin: {{ path: p.wasm }}\n    endpoint: {{ url: \"{url}\" }}\n    batch: {{ max-records: 20, max-wait: 5ms }}\n"
        );
        std::fs::write(folder.join("module.yaml"), module)?;
        let nozzle = std::env::current_exe()?.with_file_name("nozzle");
        let mut child = Command::new(nozzle)
            .current_dir(folder)
            .args(["run", "module.yaml", "--state-dir", "state"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (tell, accepted) = watch::channel(1);
        tokio::spawn(listen(child.stderr.take().ok_or("no errors")?, tell));
        Ok(Self {
            child,
            folder: folder.to_owned(),
            components: [component.clone(), component],
            generation: 1,
            accepted,
        })
    }

    /// Puts another version there, and waits until it serves: the one before again, or one that never was.
    async fn swap(&mut self, part: Part) -> Result<(), Error> {
        self.components.swap(0, 1);
        if part == Part::New {
            // A custom section with a number of its own: its size, the length of its name, the name, the number.
            let mut component = std::fs::read(plugin("json_batch.wasm"))?;
            component.extend([0, 11, 2, b'n', b'o']);
            component.extend(self.generation.to_le_bytes());
            self.components[0] = component;
        }
        let unfinished = self.folder.join("p.part");
        std::fs::write(&unfinished, &self.components[0])?;
        std::fs::rename(unfinished, self.folder.join("p.wasm"))?;
        kill(self.pid()?, Signal::SIGHUP)?;
        self.generation += 1;
        let wanted = self.generation;
        let accepted = self.accepted.wait_for(|accepted| *accepted >= wanted);
        tokio::time::timeout(PATIENCE, accepted)
            .await
            .map_err(|_| "a swap was not accepted")??;
        Ok(())
    }

    fn pid(&self) -> Result<Pid, Error> {
        let id = self.child.id().ok_or("the host has ended")?;
        Ok(Pid::from_raw(i32::try_from(id)?))
    }

    fn memory(&self) -> Result<f64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.trim().split(' ').next())
            .ok_or("no VmRSS")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    async fn end(mut self) -> Result<(), Error> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let status = self.child.wait().await?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("the host ended with {status}").into()),
        }
    }
}

/// Tells which generation was accepted last.
async fn listen(errors: ChildStderr, tell: watch::Sender<u64>) -> Result<(), std::io::Error> {
    let mut lines = BufReader::new(errors).lines();
    while let Some(line) = lines.next_line().await? {
        let generation = line
            .split_once(" generation=")
            .filter(|_| line.contains("was accepted"))
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        match generation {
            Some(generation) => drop(tell.send_replace(generation)),
            None if line.contains("WARN") || line.contains("ERROR") => eprintln!("{line}"),
            None => {}
        }
    }
    Ok(())
}

/// Writes records at a steady rate, each with the time when it is due, however long writing takes.
async fn feed(mut input: ChildStdin, rate: u64, began: Instant) -> Result<(), std::io::Error> {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = micros(began);
    let mut written = 0;
    loop {
        ticks.tick().await;
        let mut lines = String::new();
        loop {
            let due = first + written * 1_000_000 / rate;
            if due > micros(began) {
                break;
            }
            lines.push_str(&format!("{{\"id\":{written},\"at\":{due}}}\n"));
            written += 1;
        }
        input.write_all(lines.as_bytes()).await?;
        input.flush().await?;
    }
}

async fn serve(
    listener: TcpListener,
    seen: Arc<Seen>,
    began: Instant,
) -> Result<(), std::io::Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let seen = Arc::clone(&seen);
        let answer = move |request: Request<Incoming>| {
            let (seen, now) = (Arc::clone(&seen), micros(began));
            async move {
                let body = request.into_body().collect().await;
                seen.add(&body.map(|body| body.to_bytes()).unwrap_or_default(), now);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            }
        };
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away is nothing to report.
            drop(
                connection
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await,
            );
        });
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
