//! What one run of a program takes: it is the only child of a process that does nothing else.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use crate::Error;

/// Between two looks at the sink.
const LOOK: Duration = Duration::from_millis(5);
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// When a program that does not end by itself is done: the sink has these records.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// The sink's address.
    pub sink: SocketAddr,
    /// What it must have counted.
    pub records: u64,
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Seconds from the start to the end, or to the last record where the run is `until`.
    pub wall: f64,
    /// User and system time of the process, in seconds.
    pub cpu: f64,
    /// The most memory that it had, in MiB.
    pub peak_mib: f64,
}

/// The median, which lies between the two in the middle where there are two; of no values it is no number.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2))
}

/// Runs a command as the only child of this process, so that its usage is the children's usage. With `until`, it is
/// told to end (SIGTERM) when the sink has everything.
///
/// # Errors
/// When it does not start, fails, or is not done in time.
pub fn measure(command: &[String], until: Option<Until>) -> Result<Took, Error> {
    let (program, args) = command.split_first().ok_or("no command")?;
    let started = now();
    let mut child = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .spawn()?;
    let (wall, status) = match until {
        None => {
            let status = child.wait()?;
            (started.elapsed(), status)
        }
        Some(until) => {
            let done = wait_for(&mut child, until, started);
            let wall = started.elapsed();
            (wall, end(child, done)?)
        }
    };
    if !status.success() {
        return Err(format!("{program} ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Took {
        wall: wall.as_secs_f64(),
        cpu: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak_mib: usage.max_rss() as f64 / 1024.0,
    })
}

/// Records that the sink has counted.
///
/// # Errors
/// When it does not answer.
pub fn counted(sink: SocketAddr) -> Result<u64, Error> {
    let mut stream = TcpStream::connect(sink)?;
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

fn wait_for(child: &mut Child, until: Until, started: Instant) -> Result<(), Error> {
    loop {
        let came = counted(until.sink)?;
        if came >= until.records {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("it ended too early, with {status}").into());
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("{came} of {} records after {PATIENCE:?}", until.records).into());
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Ends the child whatever `done` says, so that none is left behind.
fn end(mut child: Child, done: Result<(), Error>) -> Result<ExitStatus, Error> {
    if let Err(error) = done {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    Ok(child.wait()?)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
