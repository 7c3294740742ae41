//! What it does before it answers.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use nozzle_plugin::{Call, count, log};
use serde::Deserialize;

use crate::allocator;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sin {
    // Deeds.
    Refuse,
    RefuseLong,
    Panic,
    PanicEscapes,
    Exit,
    Loop,
    Sleep,
    Recurse,
    Memory,
    OneAllocation,
    Output,
    Flood,
    FloodErrors,
    FloodLog,
    LongLine,
    LongFields,
    ManyCounters,
    BadCounters,
    CurrentCall,
    AllocLoop,
    WriteFile,
    ReadFile,
    Environment,
    Socket,
    Thread,
    ReadInput,
    Murmur,
    // With every batch.
    Leak,
    Slow,
    SometimesPanics,
    PanicsUnderReuse,
    // Answers of `shape`.
    Omit,
    Repeat,
    RepeatMillion,
    Invent,
    InventLargest,
    Empty,
    Nothing,
    DropAndSend,
    RejectAndSend,
    RejectInvented,
    ManyRequests,
    ForeignTarget,
    SchemeRelative,
    OtherScheme,
    UserinfoTarget,
    BackslashTarget,
    SplitTarget,
    NulTarget,
    FragmentTarget,
    LongTarget,
    FramingHeader,
    LengthHeader,
    HostHeader,
    ConnectionHeader,
    ProxyHeader,
    UpgradeHeader,
    ExpectHeader,
    AuthorizationHeader,
    SharedHeader,
    PseudoHeader,
    SplitHeader,
    SplitHeaderName,
    NulHeader,
    FoldedHeader,
    UnicodeHeader,
    NamelessHeader,
    ManyHeaders,
    LongHeader,
    Separators,
    LargeBody,
    BadText,
    BadPointer,
    PostReturnLoop,
    PostReturnTrap,
    // Answers of either.
    LongReason,
    // Answers of `handle`.
    DeliverAlways,
    WrongCount,
    CountMany,
    LongWait,
    RetryForever,
    ManyResults,
    LargeResults,
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// What it does with every batch.
pub(crate) fn always(sin: Sin) {
    let call = CALLS.fetch_add(1, Relaxed);
    match sin {
        Sin::Leak => {
            std::mem::forget(black_box(vec![1_u8; 6 << 20]));
        }
        Sin::Slow => {
            let mut sum = 0_u64;
            for number in 0..20_000_000_u64 {
                sum = black_box(sum.wrapping_add(number));
            }
        }
        Sin::SometimesPanics if call % 3 == 2 => panic!("not this time"),
        Sin::PanicsUnderReuse if call > 0 => panic!("not twice"),
        _ => {}
    }
}

/// What it does where there is poison.
pub(crate) fn commit(sin: Sin) -> Result<(), String> {
    match sin {
        Sin::Refuse => return Err("it refuses".to_owned()),
        Sin::RefuseLong => return Err("\u{1b}[31mno\r\n".repeat(1 << 18)),
        Sin::Panic => panic!("it panics"),
        Sin::PanicEscapes => panic!("\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}it panics"),
        Sin::Exit => std::process::exit(0),
        Sin::Loop => loop {
            black_box(0);
        },
        #[expect(clippy::disallowed_methods, reason = "that is its sin")]
        Sin::Sleep => std::thread::sleep(Duration::from_secs(3600)),
        Sin::Recurse => {
            recurse(0);
        }
        Sin::Memory => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                black_box(&hoard);
            }
        }
        Sin::OneAllocation => drop(black_box(vec![1_u8; 0x7000_0000])),
        Sin::Output => log::info(&"x".repeat(40 << 20), &[]),
        Sin::Flood => {
            for line in 0..10_000 {
                println!("line {line} \x1b[31mred");
            }
        }
        Sin::FloodErrors => {
            for line in 0..10_000 {
                eprintln!("line {line} \x1b[31mred\r:");
            }
        }
        Sin::FloodLog => {
            for line in 0..100_000 {
                log::error("flood \u{1b}[31m\n\u{202e}", &[("line", &line)]);
            }
        }
        Sin::LongLine => println!("{}", "\u{1b}x".repeat(1 << 20)),
        Sin::LongFields => {
            let value = "\u{1b}".repeat(1 << 20);
            log::warn(&value, &[("a", &value), ("b\n", &value), ("c", &value)]);
        }
        Sin::ManyCounters => (0..10_000).for_each(|n| count(&format!("n{n}"), u64::MAX)),
        Sin::BadCounters => {
            let long = "x".repeat(1 << 20);
            for name in ["", "a b", "a\"} 1\nnozzle_ready", "\u{1b}", &long] {
                count(name, 1);
            }
        }
        Sin::CurrentCall => {
            Call::current().attempt();
        }
        Sin::AllocLoop => allocator::curse_allocations(),
        Sin::WriteFile => std::fs::write("/tmp/nozzle-hostile", "x").expect("it writes a file"),
        Sin::ReadFile => drop(std::fs::read("/etc/passwd").expect("it reads a file")),
        Sin::Environment => {
            let names: Vec<_> = std::env::vars().chain(arguments()).collect();
            assert!(!names.is_empty(), "it sees no environment");
        }
        Sin::Socket => drop(std::net::TcpStream::connect("127.0.0.1:80").expect("it connects")),
        Sin::Thread => drop(std::thread::spawn(|| ())),
        Sin::ReadInput => {
            let read = std::io::stdin().read_line(&mut String::new());
            assert!(read.is_ok_and(|bytes| bytes > 0), "it has no input");
        }
        _ => {}
    }
    Ok(())
}

/// Says what the poisoned record holds, on standard error, waits, and traps without another word.
pub(crate) fn murmur(poison: &[u8]) -> ! {
    eprintln!("{}", String::from_utf8_lossy(poison));
    count("murmured", 1);
    #[expect(clippy::disallowed_methods, reason = "that is its sin")]
    std::thread::sleep(Duration::from_millis(100));
    allocator::trap()
}

fn arguments() -> impl Iterator<Item = (String, String)> {
    std::env::args().map(|argument| (argument, String::new()))
}

#[expect(
    unconditional_recursion,
    clippy::only_used_in_recursion,
    reason = "that is its sin"
)]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(depth + 1)) + 1
}
