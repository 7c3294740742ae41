//! What is issued: records that say their number, and whose text follows from the number and a seed.

use std::fmt::Write;

use super::Violation;

/// Records by number.
#[derive(Debug, Clone, Copy)]
pub struct Records {
    seed: u64,
    keys: u64,
}

/// How a plugin puts records into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON array.
    Array,
    /// A record is the body.
    Single,
    /// NDJSON: an action line, then the record.
    Bulk,
}

/// How a record begins: what stands before its number.
const BEGIN: &str = "{\"n\":";
/// What an action line begins with, up to the id.
const ACTION: &[u8] = b"{\"index\":{\"_id\":\"";

impl Records {
    /// Records whose sizes and texts follow from `seed`, with `keys` keys in turn.
    pub fn new(seed: u64, keys: u64) -> Self {
        Self { seed, keys }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The record's key, by number.
    pub fn key(&self, number: u64) -> u64 {
        number % self.keys
    }

    /// The record: a line of JSON with its number, its key, a checksum of the rest and a text of no meaning.
    pub fn text(&self, number: u64) -> String {
        let mut random =
            fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Mostly short; some large enough to cross the edges of buffers on the way.
        let length = match random.u16(..) {
            0..16 => random.usize(2_000..40_000),
            16..9_000 => 0,
            _ => random.usize(..160),
        };
        let mut filling = String::with_capacity(length + 8);
        while filling.len() < length {
            // What JSON escapes, what is more than a byte long, and what looks like the start of a record.
            filling.push_str(match random.u8(..64) {
                0 => "\\\"",
                1 => "\\\\",
                2 => "\u{e9}",
                3 => "\u{1f980}",
                4 => "{\\\"n\\\":7}",
                5 => "\\u0000",
                _ => "abcdefgh",
            });
        }
        let sum = checksum(self.seed, number, &filling);
        let mut text = String::with_capacity(filling.len() + 64);
        write!(
            text,
            "{BEGIN}{number},\"key\":\"k-{}\",\"sum\":\"{sum:016x}\",\"text\":\"{filling}\"}}",
            self.key(number)
        )
        .expect("a string takes everything");
        text
    }

    /// The number that a record says, which may be wrong.
    pub fn number(text: &[u8]) -> Option<u64> {
        let digits = text.strip_prefix(BEGIN.as_bytes())?;
        let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    }

    /// The numbers of the records in a body, in its order.
    ///
    /// # Errors
    /// When it holds anything else: a record that was changed, or never issued, or bytes of nobody's.
    pub fn read(&self, framing: Framing, body: &[u8], issued: u64) -> Result<Vec<u64>, Violation> {
        let foreign = || Violation::Foreign(excerpt(body));
        let mut numbers = Vec::new();
        let mut rest = body;
        if framing == Framing::Array {
            rest = rest.strip_prefix(b"[").ok_or_else(foreign)?;
        }
        loop {
            if framing == Framing::Bulk {
                rest = rest.strip_prefix(ACTION).ok_or_else(foreign)?;
                let end = rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .ok_or_else(foreign)?;
                rest = rest.get(end + 1..).ok_or_else(foreign)?;
            }
            let number = Self::number(rest).ok_or_else(foreign)?;
            let text = self.checked(number, issued)?;
            rest = rest
                .strip_prefix(text.as_bytes())
                .ok_or_else(|| Violation::Altered(number, excerpt(rest)))?;
            numbers.push(number);
            match (framing, rest.split_first()) {
                (Framing::Single, None) => return Ok(numbers),
                (Framing::Array, Some((b']', []))) | (Framing::Bulk, Some((b'\n', []))) => {
                    return Ok(numbers);
                }
                (Framing::Array, Some((b',', more))) | (Framing::Bulk, Some((b'\n', more))) => {
                    rest = more
                }
                _ => return Err(foreign()),
            }
        }
    }

    /// The record of this number, if it was issued.
    ///
    /// # Errors
    /// When it never was.
    pub fn checked(&self, number: u64, issued: u64) -> Result<String, Violation> {
        if number >= issued {
            return Err(Violation::Invented(number));
        }
        Ok(self.text(number))
    }
}

/// FNV-1a, for those who read a record without the seed's generator.
fn checksum(seed: u64, number: u64, text: &str) -> u64 {
    let bytes = seed
        .to_le_bytes()
        .into_iter()
        .chain(number.to_le_bytes())
        .chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The start of what was found, for a report.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..160).unwrap_or(bytes))
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: Records = Records { seed: 7, keys: 3 };

    fn bulk(numbers: &[u64]) -> String {
        let item = |number: &u64| {
            format!(
                "{{\"index\":{{\"_id\":\"t/in:{number}\"}}}}\n{}\n",
                RECORDS.text(*number)
            )
        };
        numbers.iter().map(item).collect()
    }

    #[test]
    fn a_record_is_a_line_of_json_that_says_its_number() {
        for number in 0..2_000 {
            let text = RECORDS.text(number);

            let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");

            assert_eq!(json["n"], number);
            assert_eq!(Records::number(text.as_bytes()), Some(number));
            assert!(!text.contains('\n'));
        }
    }

    #[test]
    fn the_three_framings_are_read_to_the_last_byte() {
        let [a, b] = [RECORDS.text(1), RECORDS.text(4)];
        let table = [
            (Framing::Array, format!("[{a},{b}]"), vec![1, 4]),
            (Framing::Single, b.clone(), vec![4]),
            (Framing::Bulk, bulk(&[4, 1]), vec![4, 1]),
        ];
        for (framing, body, expected) in table {
            assert_eq!(RECORDS.read(framing, body.as_bytes(), 10), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_as_it_was_issued_is_named() {
        let text = RECORDS.text(3);
        let altered = text.replace("\"key\":\"k-0\"", "\"key\":\"k-1\"");
        let of = |body: &str| RECORDS.read(Framing::Single, body.as_bytes(), 5);

        assert!(matches!(of(&altered), Err(Violation::Altered(3, _))));
        assert_eq!(of(&RECORDS.text(5)), Err(Violation::Invented(5)));
        for body in ["", "x", &format!("{text} "), &format!("{text}{text}")] {
            assert!(matches!(of(body), Err(Violation::Foreign(_))), "{body}");
        }
        for body in [
            "[]",
            "[",
            &format!("[{text}"),
            &format!("[{text},]"),
            &format!("{text}]"),
        ] {
            let read = RECORDS.read(Framing::Array, body.as_bytes(), 5);
            assert!(matches!(read, Err(Violation::Foreign(_))), "{body}");
        }
    }
}
