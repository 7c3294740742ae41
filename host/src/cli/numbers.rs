//! Numbers as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.8 ms`, `31 ms`, `2.4 s`.
pub(super) fn short(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        millis if millis < 10.0 => format!("{millis:.1} ms"),
        millis if millis < 1000.0 => format!("{millis:.0} ms"),
        millis => format!("{:.1} s", millis / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_durations_two_digits() {
        let numbers: Vec<_> = [0, 999, 1000, 1_234_567].map(grouped).into();
        let durations: Vec<_> = [800, 31_000, 2_400_000]
            .map(|us| short(Duration::from_micros(us)))
            .into();

        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(durations, ["0.8 ms", "31 ms", "2.4 s"]);
    }
}
