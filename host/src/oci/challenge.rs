//! What a registry wants to know before it answers: `WWW-Authenticate` (RFC 9110, section 11). Pure.

use std::{iter::Peekable, str::Chars};

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a token of this service.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
    /// With a name and a password.
    Basic,
}

/// The best of the challenges of an answer: a token tells the registry less than a password.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let all: Vec<Raw> = texts.flat_map(split).collect();
    let bearer = all.iter().find_map(|raw| {
        let named = |name| raw.parameter(name).map(str::to_owned);
        let is_bearer = raw.scheme.eq_ignore_ascii_case("bearer");
        is_bearer.then(|| {
            Some(Challenge::Bearer {
                realm: named("realm")?,
                service: named("service"),
                scope: named("scope"),
            })
        })?
    });
    let mut basic = all
        .iter()
        .filter(|raw| raw.scheme.eq_ignore_ascii_case("basic"));
    bearer.or_else(|| basic.next().map(|_| Challenge::Basic))
}

struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter();
        let found = found.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}

/// A comma may stand between challenges and between their parameters: a word without `=` begins a challenge.
fn split(text: &str) -> Vec<Raw> {
    let mut rest = text.chars().peekable();
    let mut all: Vec<Raw> = Vec::new();
    while rest.peek().is_some() {
        skip(&mut rest, |character| {
            character == ',' || character.is_ascii_whitespace()
        });
        let word = word(&mut rest);
        if word.is_empty() {
            // No word where one must be: nothing behind it can be relied on.
            break;
        }
        skip(&mut rest, |character| character.is_ascii_whitespace());
        let is_parameter = rest.next_if_eq(&'=').is_some();
        // One without a name may end in several of them.
        skip(&mut rest, |character| character == '=');
        if !is_parameter {
            all.push(Raw {
                scheme: word,
                parameters: Vec::new(),
            });
            continue;
        }
        skip(&mut rest, |character| character.is_ascii_whitespace());
        let value = value(&mut rest);
        if let Some(raw) = all.last_mut() {
            raw.parameters.push((word, value));
        }
    }
    all
}

fn skip(rest: &mut Peekable<Chars<'_>>, is_skipped: impl Fn(char) -> bool) {
    while rest.next_if(|character| is_skipped(*character)).is_some() {}
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let is_token = |character: &char| {
        character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(*character)
    };
    std::iter::from_fn(|| rest.next_if(is_token)).collect()
}

fn value(rest: &mut Peekable<Chars<'_>>) -> String {
    if rest.next_if_eq(&'"').is_none() {
        return word(rest);
    }
    let mut value = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => break,
            '\\' => value.extend(rest.next()),
            other => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_challenge_is_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        let table: [(&[&str], Option<Challenge>); 10] = [
            (
                &[
                    r#"Bearer realm="https://auth.io/token",service="r.io",scope="repository:a/b:pull,push""#,
                ],
                bearer(
                    "https://auth.io/token",
                    Some("r.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (
                &[r#"bearer REALM = "x" , scope="s""#],
                bearer("x", None, Some("s")),
            ),
            (&[r#"Bearer realm="a\"b""#], bearer("a\"b", None, None)),
            (
                &[r#"Basic realm="x", Bearer realm="y""#],
                bearer("y", None, None),
            ),
            (
                &[r#"Basic realm="x""#, r#"Bearer realm="y""#],
                bearer("y", None, None),
            ),
            (&[r#"Basic realm="basic-realm""#], Some(Challenge::Basic)),
            (&["Negotiate abc==, Basic"], Some(Challenge::Basic)),
            (&["Bearer service=x"], None),
            (&["=,=", "\"", "Digest realm=x"], None),
            (&[], None),
        ];
        for (values, expected) in table {
            let values = values.iter().map(|value| {
                (
                    WWW_AUTHENTICATE,
                    value.parse::<HeaderValue>().expect("a value"),
                )
            });
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| {
                headers.append(name, value);
            });

            assert_eq!(read(&headers), expected, "{headers:?}");
        }
    }
}
