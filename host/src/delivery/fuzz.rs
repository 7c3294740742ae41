//! Answers of plugins and of endpoints.

use std::{
    io::Read,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER},
};

use super::{
    Endpoint, Endpoints, contract,
    prepare::prepare,
    retry,
    settings::{Backoff, FailureAction, Order, RetrySettings, StatusAction, StatusPolicy},
    verdict::{Rejected, Seen, Verdict, judge},
};
use crate::{
    event::Event,
    fuzzing::draw::Draw,
    http::{Request, settings::Compression},
    network::{BaseUrl, HeaderRules},
    outcome::{Failure, retry_after},
    plugin::{self, EventVerdict, PluginVerdict, Shaped, ShapedBody, ShapedRequest},
};

/// What the host may add to an answer when it joins bodies, in bytes.
const ADDED: usize = 16 * 1024 * 1024;

/// An answer of `shape` is refused, or each event of the batch stands in one place, and each request is the plugin's,
/// on the endpoint, and no larger than it must be.
pub(crate) fn shaped(input: &[u8]) {
    let mut draw = Draw::new(input);
    let order = draw.pick(&[Order::None, Order::Key, Order::Strict]);
    let compression = draw.pick(&[None, None, None, Some(Compression::Gzip)]);
    let events: Vec<Arc<Event>> = (0..draw.below(9))
        .map(|_| {
            let event = Event {
                id: "t/in:1".into(),
                key: draw.pick(&[None, Some("a"), Some("b")]).map(Into::into),
                timestamp_ms: 0,
                attributes: Vec::new(),
                data: Bytes::copy_from_slice(draw.bytes()),
            };
            Arc::new(event)
        })
        .collect();
    let shaped = plugin::fuzz::shaped(&mut draw, events.len());

    let several = draw.below(2) == 1;
    let rules = HeaderRules::new(vec![AUTHORIZATION]);
    let base = |name: &str| {
        let url = format!("https://{name}.test:8443/v1");
        BaseUrl::new(&url.parse().expect("a URL")).expect("a base")
    };
    let bases = [base("api"), base("eu")];
    let base_of = |request: &ShapedRequest| match request.endpoint.as_deref() {
        Some("eu") => bases[1].clone(),
        _ => bases[0].clone(),
    };
    let endpoint = |base: &BaseUrl| Endpoint {
        base: base.clone(),
        headers: rules.clone(),
        compression,
        call_ids: Vec::new(),
        attempt_header: None,
    };
    let default = ("default".into(), endpoint(&bases[0]));
    let eu = several.then(|| ("eu".into(), endpoint(&bases[1])));
    let endpoints = Endpoints::new([default].into_iter().chain(eu));

    let checked = contract::check(&shaped, &events, order, endpoints.names());

    let keeps = has_each_once(&shaped, events.len())
        && is_in_order(&shaped, &events, order)
        && shaped
            .requests
            .iter()
            .all(|request| is_granted(request, several));
    assert_eq!(checked.is_ok(), keeps, "{checked:?}: {shaped:?}");
    if !keeps {
        return;
    }

    let prepared = prepare(
        &endpoints,
        shaped.headers.clone(),
        shaped.requests.clone(),
        &events,
    );

    let mut requests = shaped.requests.iter();
    let separators: usize = requests.clone().map(separators).sum();
    let may_be_sent = separators <= ADDED
        && rules.check(&shaped.headers).is_ok()
        && requests.all(|request| {
            base_of(request).resolve(&request.target).is_ok()
                && rules.check(&request.headers).is_ok()
        });
    assert_eq!(prepared.is_ok(), may_be_sent, "{prepared:?}: {shaped:?}");
    let Ok(prepared) = prepared else { return };
    assert_eq!(prepared.len(), shaped.requests.len());
    for (prepared, asked) in prepared.iter().zip(&shaped.requests) {
        let Request {
            method,
            uri,
            headers,
            body,
        } = &prepared.request;
        assert_eq!(*prepared.shaped, *asked);
        assert_eq!(
            method.as_str(),
            format!("{:?}", asked.method).to_uppercase()
        );
        assert_eq!(Ok(uri), base_of(asked).resolve(&asked.target).as_ref());
        has_headers(headers, &shaped.headers, &asked.headers);
        assert!(prepared.memory >= body.as_ref().map_or(0, Bytes::len));
        let is_compressed = compression.is_some() && body.is_some();
        assert_eq!(headers.contains_key(CONTENT_ENCODING), is_compressed);
        let body = body.as_deref().map(|body| match is_compressed {
            true => decompressed(body),
            false => body.to_vec(),
        });
        assert_eq!(body, expected_body(asked, &events));
    }
}

/// Bytes of the separators that the host writes into the request's body.
fn separators(request: &ShapedRequest) -> usize {
    match &request.body {
        ShapedBody::Joined { separator, .. } => separator.len() * (request.events.len() - 1),
        _ => 0,
    }
}

fn decompressed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(body);
    reader.read_to_end(&mut bytes).expect("it is gzip");
    bytes
}

fn is_granted(request: &ShapedRequest, several: bool) -> bool {
    match request.endpoint.as_deref() {
        None | Some("default") => true,
        Some("eu") => several,
        Some(_) => false,
    }
}

fn has_each_once(shaped: &Shaped, events: usize) -> bool {
    let requests = shaped.requests.iter().flat_map(|request| &request.events);
    let reject = shaped.reject.iter().map(|(index, _)| index);
    let mut all: Vec<u32> = requests
        .chain(&shaped.drop)
        .chain(reject)
        .copied()
        .collect();
    all.sort_unstable();
    let is_empty = |request: &ShapedRequest| request.events.is_empty();
    all.into_iter().eq(0..events as u32) && !shaped.requests.iter().any(is_empty)
}

/// No two events that wait for one another stand the other way round.
fn is_in_order(shaped: &Shaped, events: &[Arc<Event>], order: Order) -> bool {
    let all: Vec<usize> = shaped
        .requests
        .iter()
        .flat_map(|request| request.events.iter().map(|index| *index as usize))
        .collect();
    let waits = |first: usize, second: usize| match order {
        Order::None => false,
        Order::Key => events[first].key.is_some() && events[first].key == events[second].key,
        Order::Strict => true,
    };
    (0..all.len())
        .all(|end| (0..end).all(|start| !waits(all[start], all[end]) || all[start] < all[end]))
}

fn has_headers(headers: &HeaderMap, shared: &[(String, String)], own: &[(String, String)]) {
    for name in headers.keys().filter(|name| **name != CONTENT_ENCODING) {
        let of = |list: &[(String, String)]| -> Vec<String> {
            let named = list
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_str()));
            named.map(|(_, value)| value.clone()).collect()
        };
        let expected = if of(own).is_empty() {
            of(shared)
        } else {
            of(own)
        };
        assert!(headers.get_all(name).iter().eq(&expected), "{name}");
    }
    for (name, _) in shared.iter().chain(own) {
        let name: HeaderName = name.parse().expect("it was checked");
        assert!(headers.contains_key(&name) && name != AUTHORIZATION);
    }
}

fn expected_body(request: &ShapedRequest, events: &[Arc<Event>]) -> Option<Vec<u8>> {
    match &request.body {
        ShapedBody::Empty => None,
        ShapedBody::Bytes(bytes) => Some(bytes.to_vec()),
        ShapedBody::Joined {
            prefix,
            separator,
            suffix,
        } => {
            let data: Vec<&[u8]> = request
                .events
                .iter()
                .map(|index| &*events[*index as usize].data)
                .collect();
            Some([prefix, &*data.join(&**separator), suffix].concat())
        }
    }
}

/// A verdict gives each event of the call one end, and nothing is delivered that was not answered.
pub(crate) fn handled(input: &[u8]) {
    use StatusAction::{Delivered, Halt, Reject, Retry, Split};
    let mut draw = Draw::new(input);
    let events = draw.below(5) + 1;
    let status = u16::from_be_bytes([draw.byte(), draw.byte()]);
    let seen = match draw.below(4) {
        0 => Seen::Failed(Failure::Timeout),
        1 => Seen::Status(draw.pick(&[200, 408, 413, 429, 503, 600])),
        _ => Seen::Status(status),
    };
    let policy = StatusPolicy {
        codes: (0..draw.below(3))
            .map(|_| (status, draw.pick(&[Delivered, Retry, Reject, Split, Halt])))
            .collect(),
        classes: (0..draw.below(2))
            .map(|_| {
                (
                    draw.byte() % 10,
                    draw.pick(&[Delivered, Retry, Reject, Split, Halt]),
                )
            })
            .collect(),
        failures: (0..draw.below(2))
            .map(|_| {
                let action = [
                    FailureAction::Retry,
                    FailureAction::Reject,
                    FailureAction::Halt,
                ];
                (crate::outcome::FailureKind::Timeout, draw.pick(&action))
            })
            .collect(),
    };
    let answer = plugin::fuzz::handled(&mut draw).verdict;

    let verdict = judge(&seen, Some(Ok(answer.clone())), events, &policy);

    let answered = seen.status().is_some();
    match (&verdict, &answer) {
        (Verdict::PluginFailed(_), PluginVerdict::Each(each)) => {
            let delivers = each.contains(&EventVerdict::Delivered);
            assert!(each.len() != events || (!answered && delivers));
        }
        (Verdict::PluginFailed(_), answer) => {
            assert!(!answered && *answer == PluginVerdict::Delivered)
        }
        (Verdict::Each(each), PluginVerdict::Each(said)) => {
            assert!(each == said && each.len() == events);
            assert!(answered || !each.contains(&EventVerdict::Delivered));
        }
        (verdict, PluginVerdict::ByStatus) => {
            assert_eq!(*verdict, by_status(&seen, &policy));
            assert_eq!(*verdict, judge(&seen, None, events, &policy));
        }
        (Verdict::Delivered, PluginVerdict::Delivered) => {}
        (Verdict::Retry(wish), PluginVerdict::Retry(said)) => {
            assert_eq!(*wish, said.map(Duration::from_millis));
        }
        (Verdict::Reject(_), PluginVerdict::Reject(_)) => {}
        (verdict, answer) => panic!("{answer:?} became {verdict:?}"),
    }
    assert!(answered || verdict != Verdict::Delivered);
}

/// What the status policy makes of an outcome, as `docs/verdicts.md` says.
fn by_status(seen: &Seen, policy: &StatusPolicy) -> Verdict {
    let rejected = Verdict::Reject(Rejected::ByStatus);
    let Some(status) = seen.status() else {
        return match policy.failures.values().next() {
            None | Some(FailureAction::Retry) => Verdict::Retry(None),
            Some(FailureAction::Reject) => rejected,
            Some(FailureAction::Halt) => Verdict::Halt,
        };
    };
    let mut classes = policy.classes.iter();
    let of_class = classes.find(|(class, _)| u16::from(**class) == status / 100);
    let configured = policy
        .codes
        .get(&status)
        .or(of_class.map(|(_, action)| action));
    match configured {
        Some(StatusAction::Delivered) => Verdict::Delivered,
        Some(StatusAction::Retry) => Verdict::Retry(None),
        Some(StatusAction::Reject) => rejected,
        Some(StatusAction::Split) => Verdict::Split,
        Some(StatusAction::Halt) => Verdict::Halt,
        None if (200..300).contains(&status) => Verdict::Delivered,
        None if status == 413 => Verdict::Split,
        None if status >= 500 || [408, 425, 429].contains(&status) => Verdict::Retry(None),
        None => rejected,
    }
}

const WORDS: [&str; 36] = [
    "Sun, ",
    "Sunday, ",
    "Sun ",
    "Mon, ",
    "Tuesday, ",
    "Wed ",
    "06 Nov 1994 ",
    "06-Nov-94 ",
    "Nov  6 ",
    "08:49:37 ",
    "23:59:60 ",
    "GMT",
    "1994",
    "9999",
    "1970",
    "-70 ",
    "-69 ",
    "-26 ",
    "29 Feb ",
    "29-Feb-",
    "31 Dec ",
    "Feb 29 ",
    "00 ",
    "18446744073709551615",
    "99999999999999999999",
    "+",
    "-",
    "\t",
    " ",
    "120",
    "UTC",
    "sun, ",
    "\u{e9}",
    "Jan",
    "24:00:00 ",
    "Nov 31 ",
];
const CAP: Duration = Duration::from_secs(30);

/// `Retry-After` is read as the RFC says, whatever the header's bytes, and no pause is longer than the cap.
pub(crate) fn retry_after(input: &[u8]) {
    let mut draw = Draw::new(input);
    // Of 1994, of 2026, and of the clock's end.
    let now = draw.pick(&[784_111_777, 1_795_000_000, 0, 253_402_300_799]);
    let dice = f64::from(draw.byte()) / 255.0;
    let tries = draw.number() as u32;
    let multiplier = f64::from(draw.byte()) / 4.0;
    let mut headers = HeaderMap::new();
    let mut expected = None;
    while !draw.is_spent() && headers.len() < 5 {
        let text = draw.text(&WORDS);
        let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else {
            continue;
        };
        expected = expected.max(model(value.as_bytes(), now));
        headers.append(RETRY_AFTER, value);
    }

    let wait =
        retry_after::from_headers(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(now));

    assert_eq!(wait, expected.map(Duration::from_secs), "{headers:?}");
    let settings = RetrySettings {
        backoff: Backoff::Exponential {
            initial: wait.unwrap_or(CAP),
            multiplier,
        },
        max_delay: CAP,
        ..RetrySettings::default()
    };
    assert!(retry::pause(&settings, tries, dice) <= CAP);
}

/// RFC 9110, sections 10.2.3 and 5.6.7, in seconds. A date that the calendar does not have is none; nor is one before
/// 1970. Two digits are a year of 1970 to 2069: the RFC's window of fifty years moves, but what it makes of a year
/// beyond is longer than any cap.
fn model(value: &[u8], now: u64) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_space(byte))?;
    let end = value.iter().rposition(|byte| !is_space(byte))?;
    let value = std::str::from_utf8(&value[start..=end]).ok()?;
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u64::MAX));
    }
    const DAYS: [&str; 7] = [
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
    ];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = |text: &str, len: usize| -> Option<u64> {
        (text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let words: Vec<&str> = value.split(' ').collect();
    let (weekday, is_long, day, month, year, time) = match &words[..] {
        [weekday, day, month, year, time, "GMT"] => {
            let weekday = weekday.strip_suffix(',')?;
            (
                weekday,
                false,
                number(day, 2)?,
                *month,
                number(year, 4)?,
                *time,
            )
        }
        [weekday, date, time, "GMT"] => {
            let weekday = weekday.strip_suffix(',')?;
            let [day, month, year] = date.split('-').collect::<Vec<_>>().try_into().ok()?;
            let year = number(year, 2)?;
            let year = if year < 70 { 2000 + year } else { 1900 + year };
            (weekday, true, number(day, 2)?, month, year, *time)
        }
        [weekday, month, "", day, time, year] => (
            *weekday,
            false,
            number(day, 1)?,
            *month,
            number(year, 4)?,
            *time,
        ),
        [weekday, month, day, time, year] => (
            *weekday,
            false,
            number(day, 2)?,
            *month,
            number(year, 4)?,
            *time,
        ),
        _ => return None,
    };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let month = MONTHS.iter().position(|name| *name == month)?;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let len = |month: usize| match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    if year < 1970 || !(1..=len(month)).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    let days = years + (0..month).map(len).sum::<u64>() + day - 1;
    let name = DAYS[(days % 7) as usize];
    if weekday != if is_long { name } else { name.get(..3)? } {
        return None;
    }
    let at = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(at.saturating_sub(now))
}
