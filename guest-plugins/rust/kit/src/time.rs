//! The time of a record, in nanoseconds since the Unix epoch.

use nozzle_plugin::Event;
use serde::Deserialize;
use serde_json::Value;

use crate::Source;

/// How a record writes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// As text of RFC 3339: `2024-05-06T15:58:50.25Z`, or a date alone, which begins at midnight in UTC.
    #[default]
    Rfc3339,
    /// As a number of seconds since the Unix epoch, with a fraction or without.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl Unit {
    /// Nanoseconds in one of them.
    pub fn nanoseconds(self) -> u64 {
        match self {
            Self::Rfc3339 | Self::S => 1_000_000_000,
            Self::Ms => 1_000_000,
            Self::Us => 1_000,
            Self::Ns => 1,
        }
    }
}

/// Where the time of a record comes from, and how it is written there. Default: when it entered the ingress.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Time {
    from: Source,
    unit: Unit,
}

impl Default for Time {
    fn default() -> Self {
        Self {
            from: Source::Timestamp,
            unit: Unit::default(),
        }
    }
}

impl Time {
    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.from
    }

    /// Whether the record must be parsed for it.
    pub fn needs_json(&self) -> bool {
        self.from.needs_json()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the record has none, or none that can be read, in words that fit a rejection.
    pub fn nanoseconds(&self, event: &Event<'_>, json: &Value) -> Result<u64, String> {
        if self.from == Source::Timestamp {
            return Ok(event.timestamp_ms().saturating_mul(1_000_000));
        }
        let text = self.from.text(event, json);
        let text = text.ok_or_else(|| format!("the record has no `{}`", self.from.name()))?;
        let read = match self.unit {
            Unit::Rfc3339 => rfc3339(&text),
            unit => number(&text, unit.nanoseconds()),
        };
        read.ok_or_else(|| format!("`{}` of the record is no time: `{text}`", self.from.name()))
    }
}

/// A decimal number of units, to the nanosecond: without an exponent, no float is in between.
fn number(text: &str, unit: u64) -> Option<u64> {
    if text.contains(['e', 'E']) {
        // Written out, as it is rarely written: a float is near enough.
        return number(&text.parse::<f64>().ok()?.to_string(), unit);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(unit)?.checked_add(part(fraction, unit)?)
}

/// The digits behind the point of a number of `unit`s; what is smaller than a nanosecond is left out.
fn part(digits: &str, unit: u64) -> Option<u64> {
    let mut left = unit;
    let mut sum = 0;
    for digit in digits.chars() {
        left /= 10;
        sum += u64::from(digit.to_digit(10)?) * left;
    }
    Some(sum)
}

fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text
        .split_once(['T', 't', ' '])
        .unwrap_or((text, "00:00:00Z"));
    let date: Vec<&str> = date.split('-').collect();
    let [year, month, day] = date[..] else {
        return None;
    };
    let (time, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let place = time.rfind(['+', '-'])?;
            let (time, offset) = time.split_at(place);
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.trim_start_matches(['+', '-']).split_once(':')?;
            (time, sign * (two(hours, 23)? * 60 + two(minutes, 59)?))
        }
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let clock: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = clock[..] else {
        return None;
    };
    let days = days(year.parse().ok()?, two(month, 12)?, two(day, 31)?)?;
    let minutes = (days * 24 + two(hours, 23)?) * 60 + two(minutes, 59)? - offset;
    let seconds = u64::try_from(minutes * 60 + two(seconds, 60)?).ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(part(fraction, 1_000_000_000)?)
}

/// Two digits up to `most`.
fn two(text: &str, most: i64) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| *number <= most);
    number.filter(|_| digits)
}

/// Days since 1970-01-01 of the Gregorian calendar: years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || month == 0 || day == 0 {
        return None;
    }
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::{TestEvent, events};
    use serde_json::json;

    use super::*;

    #[test]
    fn rfc_3339_is_read_to_the_nanosecond() {
        // Expected: GNU date, `date -d TEXT +%s%N`.
        let table = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-05-06T15:58:50Z", Some(1_715_011_130_000_000_000)),
            (
                "2000-02-29T23:59:59.123456789Z",
                Some(951_868_799_123_456_789),
            ),
            ("2000-03-01t00:00:00.5z", Some(951_868_800_500_000_000)),
            ("2024-05-06 17:58:50+02:00", Some(1_715_011_130_000_000_000)),
            ("2024-05-06T12:28:50-03:30", Some(1_715_011_130_000_000_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400_000_000_000)),
            ("2024-05-06", Some(1_714_953_600_000_000_000)),
            ("2024-05", None),
            ("", None),
            ("2024-13-06T15:58:50Z", None),
            ("2024-05-06T15:58Z", None),
            ("2024-05-06T15:58:50", None),
            ("2024-05-06T15:58:5xZ", None),
            ("yesterday", None),
        ];

        for (text, expected) in table {
            assert_eq!(rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_of_every_unit_are_read() {
        let table = [
            (json!(1_715_011_130), "s", Some(1_715_011_130_000_000_000)),
            (
                json!(1_715_011_130.25),
                "s",
                Some(1_715_011_130_250_000_000),
            ),
            (
                json!("1715011130.123456789"),
                "s",
                Some(1_715_011_130_123_456_789),
            ),
            (
                json!(1_715_011_130_001_u64),
                "ms",
                Some(1_715_011_130_001_000_000),
            ),
            (
                json!(1_715_011_130_000_001_u64),
                "us",
                Some(1_715_011_130_000_001_000),
            ),
            (
                json!(1_715_011_130_000_000_001_u64),
                "ns",
                Some(1_715_011_130_000_000_001),
            ),
            (json!(-1), "s", None),
            (json!(true), "s", None),
            (json!("99999999999999999999"), "s", None),
        ];

        let batch = events([TestEvent::default()]);
        let event = batch.get(0).expect("an event");
        for (value, unit, expected) in table {
            let settings = json!({ "from": "{json:/t}", "unit": unit });
            let time: Time = serde_json::from_value(settings).expect("settings");

            let found = time.nanoseconds(&event, &json!({ "t": value }));

            assert_eq!(found.ok(), expected, "{value} {unit}");
        }
    }

    #[test]
    fn without_settings_it_is_the_events_own() {
        let batch = events([TestEvent {
            timestamp_ms: 5,
            ..TestEvent::default()
        }]);

        let found = Time::default().nanoseconds(&batch.get(0).expect("an event"), &Value::Null);

        assert_eq!(found, Ok(5_000_000));
    }
}
