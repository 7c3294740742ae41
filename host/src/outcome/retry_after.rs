//! `Retry-After` (RFC 9110, section 10.2.3): seconds or a date, pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// What the header asks for. Of several, the longest; the caller caps it. None where it is missing or
/// neither of the two forms.
pub fn from_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    headers
        .get_all(RETRY_AFTER)
        .iter()
        .filter_map(|value| parse(value.to_str().ok()?, now))
        .max()
}

/// `delay-seconds` or an HTTP-date in one of its three forms (section 5.6.7). A date that is over is no
/// wait; a number that is too large for a duration is the longest one.
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    has_form(value).then(|| date.duration_since(now).unwrap_or_default())
}

/// Whether spaces, commas, hyphens and colons stand where one of the three forms has them, behind the name of the day:
/// httpdate does not look at all of them.
fn has_form(date: &str) -> bool {
    let form: String = date
        .chars()
        .map(|character| match character {
            '0'..='9' => '0',
            'A'..='Z' | 'a'..='z' => 'a',
            other => other,
        })
        .collect();
    matches!(
        form.trim_start_matches('a'),
        ", 00 aaa 0000 00:00:00 aaa"
            | ", 00-aaa-00 00:00:00 aaa"
            | " aaa 00 00:00:00 0000"
            | " aaa  0 00:00:00 0000"
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let table = [
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("\t7", Some(7)),
            ("0", Some(0)),
            ("00010", Some(10)),
            ("99999999999999999999", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("+5", None),
            ("-5", None),
            ("1.5", None),
            ("1e3", None),
            ("5s", None),
            ("5, 6", None),
            ("0x10", None),
            ("", None),
            (" ", None),
            ("soon", None),
            ("\u{0665}", None),
            ("NaN", None),
            ("1 2", None),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 01 Jan 2038 00:00:00 GMT", Some(1_361_805_023)),
            ("Sun, 06 Nov 1994 08:50:37 CET", None),
            ("Sun, 32 Nov 1994 08:50:37 GMT", None),
            ("Sun, 06 Foo 1994 08:50:37 GMT", None),
            ("1994-11-06T08:50:37Z", None),
            ("Sunday, 06-Nov-94\"08:50:37 GMT", None),
        ];

        for (value, expected) in table {
            assert_eq!(
                parse(value, now()).map(|wait| wait.as_secs()),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn of_two_headers_the_longer_wait_counts() {
        let mut headers = HeaderMap::new();
        for value in ["5", "nonsense", "60"] {
            headers.append(RETRY_AFTER, HeaderValue::from_static(value));
        }

        assert_eq!(from_headers(&headers, now()), Some(Duration::from_secs(60)));
        assert_eq!(from_headers(&HeaderMap::new(), now()), None);
    }
}
