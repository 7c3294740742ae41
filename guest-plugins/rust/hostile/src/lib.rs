//! A plugin for the tests of the host: it does what a plugin must not, where a record holds the word `poison`; and some
//! things with every batch.

mod allocator;
mod deeds;

use nozzle_plugin::{
    Batch, Body, Call, EventVerdict, Failure, Handle, Handled, Plugin, Request, Response, Shaped,
    Verdict, export_sink,
};
use serde::Deserialize;

use self::deeds::{Sin, always, commit, murmur};

/// `plugin.config`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    configure: Option<Sin>,
    shape: Option<Sin>,
    handle: Option<Sin>,
    /// Stands in front of every body.
    tag: String,
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

fn has_poison(data: &[u8]) -> bool {
    data.windows(6).any(|window| window == b"poison")
}

fn is_poisoned(batch: &Batch) -> bool {
    batch.iter().any(|event| has_poison(event.data()))
}

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
        let prefix = format!("{}[", self.0.tag);
        let all = Request::post("")
            .joined(&prefix, ",", "]")
            .events(0..batch.len());
        let mut shaped = Shaped::one(all);
        let Some(sin) = self.0.shape else {
            return Ok(shaped);
        };
        always(sin);
        if is_poisoned(batch) {
            commit(sin)?;
            spoil(sin, &mut shaped, batch, &prefix);
        }
        Ok(shaped)
    }
}

/// Makes an answer of `shape` one that the host must not use.
fn spoil(sin: Sin, shaped: &mut Shaped, batch: &Batch, prefix: &str) {
    let poison = batch.len() - 1;
    let request = &mut shaped.requests[0];
    let mut target = |target: &str| request.target = target.to_owned();
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    match sin {
        Sin::ForeignTarget => target("http://169.254.169.254/latest/meta-data"),
        Sin::SchemeRelative => target("//169.254.169.254/"),
        Sin::OtherScheme => target("file:///etc/passwd"),
        Sin::UserinfoTarget => target("http://127.0.0.1@169.254.169.254/"),
        Sin::BackslashTarget => target("\\\\169.254.169.254\\"),
        Sin::SplitTarget => target("a HTTP/1.1\r\nhost: evil\r\n\r\n"),
        Sin::NulTarget => target("a\0b"),
        Sin::FragmentTarget => target("a#b"),
        Sin::LongTarget => target(&"a".repeat(1 << 20)),
        Sin::Omit => drop(request.events.pop()),
        Sin::Repeat => request.events.push(0),
        Sin::RepeatMillion => request.events = vec![0; 1_000_000],
        Sin::Invent => request.events.push(batch.len()),
        Sin::InventLargest => request.events.push(u32::MAX),
        Sin::Empty => shaped.requests.push(Request::post("")),
        Sin::Nothing => *shaped = Shaped::new(),
        Sin::DropAndSend => shaped.drop_event(0),
        Sin::RejectAndSend => shaped.reject_event(poison, "no"),
        Sin::RejectInvented => shaped.reject_event(batch.len(), "no"),
        Sin::ManyRequests => {
            let empty = || Request::post("").events([0]);
            shaped.requests = (0..50_000).map(|_| empty()).collect();
        }
        Sin::LongReason => {
            let reason = "no\u{1b}[31m\r\n\u{202e} ".repeat(1 << 18);
            let poisoned = |event: &nozzle_plugin::Event<'_>| has_poison(event.data());
            let poisoned: Vec<u32> = batch
                .iter()
                .filter(poisoned)
                .map(|event| event.index())
                .collect();
            shaped.requests[0]
                .events
                .retain(|event| !poisoned.contains(event));
            if shaped.requests[0].events.is_empty() {
                shaped.requests.clear();
            }
            for event in poisoned {
                shaped.reject_event(event, reason.clone());
            }
        }
        Sin::Murmur => {
            let poisoned = batch.iter().find(|event| has_poison(event.data()));
            murmur(poisoned.map_or(&[], |event| event.data()));
        }
        Sin::FramingHeader => request.headers = header("Transfer-Encoding", "chunked"),
        Sin::LengthHeader => request.headers = header("Content-Length", "0"),
        Sin::HostHeader => request.headers = header("HOST", "evil"),
        Sin::ConnectionHeader => request.headers = header("Connection", "upgrade"),
        Sin::ProxyHeader => request.headers = header("Proxy-Authorization", "Basic eDp5"),
        Sin::UpgradeHeader => request.headers = header("Upgrade", "h2c"),
        Sin::ExpectHeader => request.headers = header("Expect", "100-continue"),
        Sin::AuthorizationHeader => request.headers = header("X-Api-Key", "mine"),
        Sin::SharedHeader => shaped.headers = header("x-api-key", "mine"),
        Sin::PseudoHeader => request.headers = header(":authority", "evil"),
        Sin::SplitHeader => request.headers = header("x", "a\r\nHost: evil"),
        Sin::SplitHeaderName => request.headers = header("x: y\r\nHost", "evil"),
        Sin::NulHeader => request.headers = header("x", "a\0b"),
        Sin::FoldedHeader => request.headers = header("x", "a\r\n b"),
        Sin::UnicodeHeader => request.headers = header("x", "\u{e9}"),
        Sin::NamelessHeader => request.headers = header("", "x"),
        Sin::ManyHeaders => request.headers = vec![("x".to_owned(), "y".to_owned()); 100_000],
        Sin::LongHeader => request.headers = header("x", &"y".repeat(1 << 20)),
        Sin::Separators => {
            let separator = ",".repeat(17 << 20);
            request.body = Request::post("").joined(prefix, &separator, "]").body;
        }
        Sin::LargeBody => request.body = Body::Bytes(vec![b'x'; 20 << 20]),
        Sin::BadText => {
            request.target = bad_text();
        }
        Sin::BadPointer => request.body = Body::Bytes(bad_pointer()),
        Sin::PostReturnLoop | Sin::PostReturnTrap => {
            let body = vec![b'x'; 1000].into_boxed_slice();
            let on_free = match sin {
                Sin::PostReturnLoop => allocator::LOOP,
                _ => allocator::TRAP,
            };
            allocator::curse_free(body.as_ptr(), on_free);
            request.body = Body::Bytes(body.into_vec());
        }
        _ => {}
    }
}

#[expect(unsafe_code, reason = "that is its sin")]
fn bad_text() -> String {
    // SAFETY: it is none: the host must look for itself.
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe, 0xc0, 0xaf]) }
}

#[expect(unsafe_code, reason = "that is its sin")]
fn bad_pointer() -> Vec<u8> {
    // SAFETY: it is none: the host must look for itself.
    unsafe {
        Vec::from_raw_parts(
            std::ptr::without_provenance_mut(0xffff_0000),
            1 << 20,
            1 << 20,
        )
    }
}

impl Handle for Hostile {
    fn handle(&self, call: &Call, _: Result<Response, Failure>) -> Handled {
        let Some(sin) = self.0.handle else {
            return Verdict::ByStatus.into();
        };
        // Without a tag it is on every response.
        if !self.0.tag.is_empty() && !is_poisoned(&call.events()) {
            return Verdict::ByStatus.into();
        }
        commit(sin).unwrap_or_else(|reason| panic!("{reason}"));
        let results = |count: usize, size: usize| Handled {
            verdict: Verdict::ByStatus,
            results: (0..count)
                .map(|_| nozzle_plugin::Emission::new(vec![b'x'; size]))
                .collect(),
        };
        match sin {
            Sin::DeliverAlways => Verdict::Delivered.into(),
            Sin::WrongCount => Verdict::Each(Vec::new()).into(),
            Sin::CountMany => Verdict::Each(vec![EventVerdict::Delivered; 100_000]).into(),
            Sin::LongWait => Verdict::Retry(Some(u64::MAX)).into(),
            Sin::LongReason => Verdict::Reject("no\u{1b}[31m ".repeat(1 << 18)).into(),
            Sin::ManyResults => results(50_000, 0),
            Sin::LargeResults => results(20, 1 << 20),
            _ => Verdict::Retry(Some(u64::from(call.attempt()))).into(),
        }
    }
}

export_sink!(Hostile);
