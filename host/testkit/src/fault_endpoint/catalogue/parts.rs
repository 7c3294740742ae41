//! What the rows are made of.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::super::{Frame, Step, answer, write};

/// A pause that is short, and longer than nothing.
pub(super) const SHORT: Duration = Duration::from_millis(20);
/// More than any limit of a test.
pub(super) const FOR_EVER: u64 = u64::MAX;

/// A status with `retry-after`, none to leave it out.
pub(super) fn retry_after(status: u16, value: &str) -> Vec<Step> {
    answer(status, &[("retry-after", value)])
}

/// The three forms of a date of RFC 9110, section 5.6.7.
pub(super) enum Date {
    Imf,
    Rfc850,
    Asctime,
}

/// A status with `retry-after` as a date in this form, two seconds from now.
pub(super) fn retry_at(status: u16, form: &Date) -> Vec<Step> {
    let imf = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    let words: Vec<_> = imf.split_whitespace().collect();
    let [weekday, day, month, year, time, zone] = words[..] else {
        unreachable!("six words: {imf}")
    };
    let short = weekday.trim_end_matches(',');
    let value = match form {
        Date::Imf => imf.clone(),
        Date::Rfc850 => {
            let long = match short {
                "Tue" => "Tuesday".to_owned(),
                "Wed" => "Wednesday".to_owned(),
                "Thu" => "Thursday".to_owned(),
                "Sat" => "Saturday".to_owned(),
                other => format!("{other}day"),
            };
            let (_, year) = year.split_at(2);
            format!("{long}, {day}-{month}-{year} {time} {zone}")
        }
        Date::Asctime => {
            let day = day.trim_start_matches('0');
            format!("{short} {month} {day:>2} {time} {year}")
        }
    };
    retry_after(status, &value)
}

/// A redirect to there.
pub(super) fn redirect(status: u16, to: &str) -> Vec<Step> {
    answer(status, &[("location", to)])
}

/// These bytes, then RST. The pause lets them arrive: an RST may overtake what was written.
pub(super) fn then_reset(bytes: &str) -> Vec<Step> {
    [write(bytes), vec![Step::Wait(SHORT), Step::Reset]].concat()
}

/// These bytes, then nothing.
pub(super) fn then_hang(bytes: &str) -> Vec<Step> {
    [write(bytes), vec![Step::Hang]].concat()
}

/// The head at once, then the rest byte by byte: 10,000 bytes take minutes.
pub(super) fn drip(head: &str, slowly: impl Into<Bytes>) -> Vec<Step> {
    let slowly = Step::Drip {
        bytes: slowly.into(),
        every: Duration::from_millis(10),
    };
    [write(head), vec![slowly]].concat()
}

/// The head once, then the rest for as long as it is taken.
pub(super) fn flood(head: &str, again: impl Into<Bytes>) -> Vec<Step> {
    let again = Step::Flood {
        bytes: again.into(),
        times: FOR_EVER,
    };
    [write(head), vec![again]].concat()
}

/// The steps one after another.
pub(super) fn all(steps: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
    steps.into_iter().flatten().collect()
}

/// HTTP/2: these frames.
pub(super) fn frames(frames: impl IntoIterator<Item = Frame>) -> Vec<Step> {
    vec![Step::Frames(frames.into_iter().collect())]
}

/// HTTP/2: these frames for as long as they are taken.
pub(super) fn flood_frames(frames: impl IntoIterator<Item = Frame>) -> Vec<Step> {
    vec![Step::FloodFrames {
        frames: frames.into_iter().collect(),
        times: FOR_EVER,
    }]
}

/// 64 MiB of zeros, 1000 times smaller.
pub(super) fn gzip_bomb() -> Vec<Step> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).expect("memory takes all");
    }
    vec![Step::Answer {
        status: 200,
        headers: vec![("content-encoding".to_owned(), "gzip".to_owned())],
        body: encoder.finish().expect("memory takes all").into(),
    }]
}
