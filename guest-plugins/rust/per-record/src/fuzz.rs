//! The fuzz target of the templates (`docs/fuzzing.md` of the repository).

use nozzle_plugin::testing::{TestEvent, events};
use template_text::{Place, Template};

use crate::draw::{Draw, Target};

/// The target.
pub const TARGET: Target = Target {
    name: "template",
    run: template,
    inputs: include_str!("fuzz.txt"),
};

const WORDS: [&str; 21] = [
    "{id}",
    "{key}",
    "{timestamp-ms}",
    "{time}",
    "{data}",
    "{attribute:a}",
    "{json:/a}",
    "{json:/a~1b/0}",
    "{json:}",
    "{{",
    "}}",
    "{",
    "}",
    "/",
    "?",
    "#",
    "..",
    "users/",
    "\u{e9}",
    "{json:x}",
    "{attribute:}",
];
const VALUES: [&str; 20] = [
    "..",
    ".",
    "/",
    "//other.test",
    "\r\n",
    "\n",
    "\u{e9}",
    "%2e",
    "%",
    "?",
    "#",
    "@",
    ":",
    "{\"a\":\"..\"}",
    "{\"a\":\"",
    "\"}",
    "\\u0000",
    "{\"a/b\":[\"x/y\"]}",
    "null",
    "\u{202e}",
];

/// A record's values stay values, wherever the template puts them.
fn template(input: &[u8]) {
    let mut draw = Draw::new(input);
    let template = draw.text(&WORDS);
    let (id, key, attribute) = (draw.text(&VALUES), draw.text(&VALUES), draw.text(&VALUES));
    let timestamp_ms = u64::from(draw.byte());
    let data = match draw.below(2) {
        0 => draw.text(&VALUES).into_bytes(),
        _ => draw.rest().to_vec(),
    };
    // A long value in many places is slow, and nothing else.
    let longest = [id.len(), key.len(), attribute.len(), data.len()];
    if longest.iter().any(|value| value * template.len() > 1 << 20) {
        return;
    }
    let batch = events([TestEvent {
        id: &id,
        key: Some(&key),
        timestamp_ms,
        attributes: &[("a", &attribute)],
        data: &data,
    }]);
    let event = batch.get(0).expect("the event");
    let Ok(parsed) = Template::parse(&template) else {
        return;
    };
    if let Some(constant) = parsed.constant() {
        assert_eq!(template, constant.replace('{', "{{").replace('}', "}}"));
    }

    let body = parsed.render(&event, Place::Body);
    let header = parsed.render(&event, Place::Header);
    let target = parsed.render(&event, Place::Target);

    let is_visible = |text: &str| text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if let Ok(header) = &header {
        assert_eq!(
            Ok(header),
            body.as_ref(),
            "a header's values stand as they are"
        );
        assert!(is_visible(header) || !is_visible(&template), "{header:?}");
    }
    // What is refused as a body has nothing to fill in: it is refused everywhere.
    assert!(body.is_ok() || (header.is_err() && target.is_err()));
    let Ok(target) = target else { return };
    assert!(target.is_ascii() || !template.is_ascii(), "{target:?}");
    assert!(is_visible(&target) || !is_visible(&template), "{target:?}");
    // The same template with a harmless value everywhere has the same parts: a value brings none of its own.
    let harmless = harmless(&template);
    assert_eq!(
        delimiters(&target),
        delimiters(&harmless),
        "{target:?} is not {harmless:?}"
    );
    let (path, plain) = (segments(&target), segments(&harmless));
    for (segment, plain) in path.iter().zip(&plain) {
        let steps = |segment: &str| matches!(segment, "" | "." | "..");
        assert!(
            !steps(segment) || segment == plain,
            "{target:?} is not {harmless:?}"
        );
    }
    let decoded = decode(&target);
    let written = body.expect("it was filled in");
    // An author may write `%41` himself; then the two differ.
    assert!(
        template.contains('%') || decoded == written.as_bytes(),
        "{target:?}"
    );
}

/// The template with `x` for every value.
fn harmless(template: &str) -> String {
    let mut out = String::new();
    let mut characters = template.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('{', Some('{')) | ('}', Some('}')) => {
                out.push(character);
                characters.next();
            }
            ('{', _) => {
                out.push('x');
                characters.by_ref().find(|character| *character == '}');
            }
            _ => out.push(character),
        }
    }
    out
}

/// RFC 3986, section 2.2.
fn delimiters(target: &str) -> String {
    target
        .chars()
        .filter(|character| ":/?#[]@!$&'()*+,;=".contains(*character))
        .collect()
}

fn segments(target: &str) -> Vec<&str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    path.split('/').collect()
}

fn decode(target: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = target.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
        match byte {
            b'%' => {
                let digits = hex(bytes.next()).zip(hex(bytes.next()));
                out.extend(digits.map(|(high, low)| (high << 4 | low) as u8));
            }
            byte => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use crate::draw;

    #[test]
    fn a_value_stays_a_value_wherever_a_template_puts_it() {
        let seed = match std::env::var("NOZZLE_FUZZ_SEED") {
            Ok(seed) => seed.parse().expect("NOZZLE_FUZZ_SEED is a number"),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        };
        println!("template: NOZZLE_FUZZ_SEED={seed}");

        draw::replay(&super::TARGET, seed);
    }
}
