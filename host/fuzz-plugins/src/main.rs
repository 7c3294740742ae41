//! Mutated and generated components through the plugin loader: none may crash or hang the host.
//!
//! Processes of this program each take a part of the seeds, so that one that dies shows its seed and the others go on. What
//! loads is asked to shape a batch and to handle a response.

mod make;
mod visit;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

/// No component may keep the loader longer. Compiling has its own limit in the host, which this program has not: it compiles
/// within itself.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--seeds", from, until] => {
            visit::all(number(from), number(until));
            ExitCode::SUCCESS
        }
        [components] => run(number(components), 1),
        [components, seed] => run(number(components), number(seed)),
        _ => {
            say("usage: fuzz-plugins COMPONENTS [FIRST-SEED]");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|error| panic!("`{text}` is no number: {error}"))
}

/// Runs components of these seeds, on every core; gives 1 if one of them crashed or hung its process.
fn run(components: u64, first: u64) -> ExitCode {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let started = tokio::time::Instant::now();
    let last = first + components;
    let share = components.div_ceil(workers).max(1);
    let parts: Vec<_> = (first..last)
        .step_by(usize::try_from(share).unwrap_or(usize::MAX))
        .map(|from| std::thread::spawn(move || part(from, last.min(from + share))))
        .collect();
    let mut ends = BTreeMap::new();
    let mut failed = Vec::new();
    for part in parts {
        let (own_ends, own_failed) = part.join().expect("it only reads");
        for (end, count) in own_ends {
            *ends.entry(end).or_insert(0_u64) += count;
        }
        failed.extend(own_failed);
    }
    for (end, count) in &ends {
        say(&format!("{count:>8}  {end}"));
    }
    let all: u64 = ends.values().sum();
    say(&format!(
        "{all} components, seeds {first} to {}, in {:?}: {} crashed or hung the host",
        last - 1,
        started.elapsed(),
        failed.len()
    ));
    for seed in &failed {
        say(&format!(
            "seed {seed}: fuzz-plugins --seeds {seed} {}",
            seed + 1
        ));
    }
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// Has processes visit the seeds of a part; a new one goes on behind the seed that the last one died of. Gives what became of
/// the components, and the seeds that killed.
fn part(mut from: u64, until: u64) -> (BTreeMap<String, u64>, Vec<u64>) {
    let (mut ends, mut failed) = (BTreeMap::new(), Vec::new());
    while from < until {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--seeds", &from.to_string(), &until.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let stdout = child.stdout.take().expect("piped");
        let (lines, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Whoever listened has given up on the process.
                drop(lines.send(line));
            }
        });
        let hung = loop {
            match said.recv_timeout(PATIENCE) {
                Ok(end) => {
                    *ends.entry(end).or_insert(0) += 1;
                    from += 1;
                }
                Err(RecvTimeoutError::Timeout) => break true,
                Err(RecvTimeoutError::Disconnected) => break false,
            }
        };
        if hung {
            drop(child.kill());
        }
        let ended = child.wait().expect("it was started");
        if hung || !ended.success() {
            failed.push(from);
            from += 1;
        }
    }
    (ends, failed)
}

#[expect(
    clippy::print_stdout,
    reason = "its report, and what its processes say"
)]
fn say(line: &str) {
    println!("{line}");
}
