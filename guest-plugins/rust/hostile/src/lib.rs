//! A plugin for the tests of the host: it does what a plugin must not, on records that hold the word `poison`
//! (in `shape`), or on every response (in `handle`).

use nozzle_plugin::{
    Batch, Call, Failure, Handle, Handled, Plugin, Request, Response, Shaped, Verdict, export_sink,
};
use serde::Deserialize;

/// `plugin.config`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    configure: Option<Sin>,
    shape: Option<Sin>,
    handle: Option<Sin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sin {
    Refuse,
    Panic,
    Loop,
    Sleep,
    Recurse,
    Memory,
    Output,
    Flood,
    CurrentCall,
    Omit,
    Repeat,
    Invent,
    Empty,
    ForeignTarget,
    FramingHeader,
    SplitHeader,
    ManyHeaders,
    DeliverAlways,
    WrongCount,
}

/// The configuration of a plugin that is given none, as JSON. A test writes another one over it, in the component: so a
/// version sins where the one before, under the same module, did not.
static BUILT_IN: [u8; 96] = *b"hostile-built-in:{}                                                                             ";

impl Config {
    fn or_built_in(self) -> Self {
        if self != Self::default() {
            return self;
        }
        let text = std::hint::black_box(&BUILT_IN);
        let json = text.get("hostile-built-in:".len()..).unwrap_or_default();
        serde_json::from_slice(json).expect("a configuration")
    }
}

struct Hostile(Config);

impl Plugin for Hostile {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        let config = config.or_built_in();
        if let Some(sin) = config.configure {
            commit(sin)?;
        }
        Ok(Self(config))
    }

    fn shape(&self, batch: &Batch) -> Result<Shaped, String> {
        let poisoned = batch
            .iter()
            .any(|event| event.data().windows(6).any(|window| window == b"poison"));
        let all = || {
            Request::post("")
                .joined("[", ",", "]")
                .events(0..batch.len())
        };
        let Some(sin) = self.0.shape.filter(|_| poisoned) else {
            return Ok(Shaped::one(all()));
        };
        commit(sin)?;
        let mut shaped = Shaped::one(all());
        let request = &mut shaped.requests[0];
        match sin {
            Sin::Omit => drop(request.events.pop()),
            Sin::Repeat => request.events.push(0),
            Sin::Invent => request.events.push(batch.len()),
            Sin::Empty => shaped.requests.push(Request::post("")),
            Sin::ForeignTarget => {
                request.target = "http://169.254.169.254/latest/meta-data".to_owned()
            }
            Sin::FramingHeader => request
                .headers
                .push(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
            Sin::SplitHeader => request
                .headers
                .push(("x".to_owned(), "a\r\nHost: evil".to_owned())),
            Sin::ManyHeaders => request.headers = vec![("x".to_owned(), "y".to_owned()); 100_000],
            _ => {}
        }
        Ok(shaped)
    }
}

impl Handle for Hostile {
    fn handle(&self, call: &Call, _: Result<Response, Failure>) -> Handled {
        let Some(sin) = self.0.handle else {
            return Verdict::ByStatus.into();
        };
        commit(sin).unwrap_or_else(|reason| panic!("{reason}"));
        match sin {
            Sin::DeliverAlways => Verdict::Delivered.into(),
            Sin::WrongCount => Verdict::Each(Vec::new()).into(),
            _ => Verdict::Retry(Some(u64::from(call.attempt()))).into(),
        }
    }
}

fn commit(sin: Sin) -> Result<(), String> {
    match sin {
        Sin::Refuse => return Err("it refuses".to_owned()),
        Sin::Panic => panic!("it panics"),
        Sin::Loop => loop {
            std::hint::black_box(0);
        },
        #[expect(clippy::disallowed_methods, reason = "that is its sin")]
        Sin::Sleep => std::thread::sleep(std::time::Duration::from_secs(3600)),
        Sin::Recurse => {
            recurse(0);
        }
        Sin::Memory => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        Sin::Output => nozzle_plugin::log::info(&"x".repeat(40 << 20), &[]),
        Sin::Flood => {
            for line in 0..10_000 {
                println!("line {line} \x1b[31mred");
            }
        }
        Sin::CurrentCall => {
            Call::current().attempt();
        }
        _ => {}
    }
    Ok(())
}

#[expect(
    unconditional_recursion,
    clippy::only_used_in_recursion,
    reason = "that is its sin"
)]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(depth + 1)) + 1
}

export_sink!(Hostile);
