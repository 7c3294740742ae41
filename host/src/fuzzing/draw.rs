//! From a fuzzer's bytes to values, and the replay of written and random inputs. Nothing but `std`: the plugins'
//! workspace includes this file too.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Random inputs of one target in a test run.
const RANDOM_INPUTS: u32 = 400;
/// The longest random input, in bytes.
const MAX_RANDOM: u64 = 300;

/// A target: bytes in, a panic where something does not hold.
pub type Run = fn(&[u8]);

/// A target, its name, and its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As `make fuzz` and the file of its inputs name it.
    pub name: &'static str,
    /// The target.
    pub run: Run,
    /// Inputs that were found, or written by hand: see [`lines`].
    pub inputs: &'static str,
}

/// Takes values out of an input; of one that is spent, zeros and empty texts.
#[derive(Debug, Clone)]
pub struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    /// Begins at the input's first byte.
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// One of `choices`, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// What is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The bytes up to a NUL, or what is left.
    pub fn bytes(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (bytes, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }

    /// A text up to a NUL: ASCII stands for itself, each other byte for one of `words`. So an input can be read, and
    /// a fuzzer finds words that it would not guess.
    pub fn text(&mut self, words: &[&str]) -> String {
        let mut text = String::new();
        for byte in self.bytes() {
            match byte {
                0..0x80 => text.push(char::from(*byte)),
                _ if words.is_empty() => text.push('\u{e9}'),
                _ => text.push_str(words[usize::from(byte - 0x80) % words.len()]),
            }
        }
        text
    }
}

/// Runs the written inputs of a target, then random ones: bytes, and written inputs with a few bytes changed.
///
/// # Panics
/// Where the target does, after the input was shown as a line for the file of inputs.
pub fn replay(target: &Target, seed: u64) {
    let written: Vec<Vec<u8>> = lines(target.inputs).collect();
    for input in &written {
        guard(target, input);
    }
    let mut dice = Dice(seed);
    for round in 0..RANDOM_INPUTS {
        let mut input: Vec<u8> = match written.get(dice.below(written.len() as u64 * 2) as usize) {
            Some(input) if round % 2 == 0 => input.clone(),
            _ => (0..dice.below(MAX_RANDOM))
                .map(|_| dice.next() as u8)
                .collect(),
        };
        for _ in 0..dice.below(4) {
            let at = dice.below(input.len() as u64 + 1) as usize;
            match dice.below(3) {
                0 => input.insert(at, dice.next() as u8),
                1 => input.truncate(at),
                _ => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte = dice.next() as u8;
                    }
                }
            }
        }
        guard(target, &input);
    }
}

/// The inputs of a file: one a line, as [`line`] writes it; `#` begins a comment.
pub fn lines(text: &str) -> impl Iterator<Item = Vec<u8>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(unescape)
}

/// An input as a line of a file of inputs.
pub fn line(input: &[u8]) -> String {
    let line = input.escape_ascii().to_string();
    // A line that begins so would be a comment.
    match line.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}"),
        None => line,
    }
}

fn guard(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let (name, line) = (target.name, line(input));
        eprintln!("the target `{name}` fails on this input:\n{line}");
        resume_unwind(panic);
    }
}

/// The opposite of [`u8::escape_ascii`].
fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let hex = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
        out.push(match rest.next().expect("a character behind `\\`") {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let (high, low) = (hex(rest.next()), hex(rest.next()));
                let digits = high.zip(low).expect("two digits behind `\\x`");
                (digits.0 << 4 | digits.1) as u8
            }
            other => other,
        });
    }
    out
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
