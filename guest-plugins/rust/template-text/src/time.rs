//! Times as RFC 3339 writes them.

/// Milliseconds since the Unix epoch as a time in UTC, such as `2018-04-05T17:31:00.123Z`; none after the year 9999, which
/// RFC 3339 cannot write.
pub fn rfc3339(timestamp_ms: u64) -> Option<String> {
    let (seconds, ms) = (timestamp_ms / 1_000, timestamp_ms % 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days)?;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    ))
}

/// The date of a day since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that a leap day is the
/// last of its year, in eras of 400 years from 0000-03-01.
fn civil(days: u64) -> Option<(u64, u64, u64)> {
    const DAYS_TO_1970: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days.checked_add(DAYS_TO_1970)?;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    let year = era * 400 + year + next;
    (year <= 9_999).then_some((year, month, day))
}

/// Whether this is a `date-time` of RFC 3339, section 5.6: each number within its bounds, but no calendar is asked.
pub fn is_rfc3339(text: &str) -> bool {
    let Some((date, rest)) = text.split_once(['T', 't']) else {
        return false;
    };
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    let offset = match zone {
        "Z" | "z" => Some("00:00"),
        _ => zone.strip_prefix(['+', '-']),
    };
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, fraction),
        None => (time, "0"),
    };
    numbers(date, '-', &[(4, 0, 9_999), (2, 1, 12), (2, 1, 31)])
        && numbers(time, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 60)])
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && offset.is_some_and(|offset| numbers(offset, ':', &[(2, 0, 23), (2, 0, 59)]))
}

/// Whether `text` is numbers of so many digits between these bounds.
fn numbers(text: &str, separator: char, expected: &[(usize, u32, u32)]) -> bool {
    let mut parts = text.split(separator);
    let fits = expected.iter().all(|(digits, least, most)| {
        parts.next().is_some_and(|part| {
            part.len() == *digits
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part
                    .parse()
                    .is_ok_and(|number: u32| (*least..=*most).contains(&number))
        })
    });
    fits && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_522_949_460_123, "2018-04-05T17:31:00.123Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ];

        for (timestamp, expected) in table {
            assert_eq!(rfc3339(timestamp).as_deref(), Some(expected));
            assert!(is_rfc3339(expected), "{expected}");
        }
        assert_eq!(rfc3339(253_402_300_800_000), None);
        assert_eq!(rfc3339(u64::MAX), None);
    }

    #[test]
    fn what_is_no_time_is_known() {
        let good = [
            "1985-04-12T23:20:50.52Z",
            "1996-12-19T16:39:57-08:00",
            "1990-12-31T23:59:60z",
            "2018-04-05t17:31:00+23:59",
        ];
        let bad = [
            "",
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-4-5T17:31:00Z",
            "2018-13-05T17:31:00Z",
            "2018-04-05T24:31:00Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:00ZZ",
            "2018-04-05T17:31:00+01:00Z",
            "2018-04-05T17:31:0\u{663}Z",
            "1522949460123",
        ];

        for time in good {
            assert!(is_rfc3339(time), "{time}");
        }
        for time in bad {
            assert!(!is_rfc3339(time), "{time}");
        }
    }
}
