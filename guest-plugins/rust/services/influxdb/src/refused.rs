//! Which lines of a call an answer names.

use nozzle_plugin::{EventVerdict, Verdict};
use plugin_kit::{cut, verdict};
use serde_json::Value;

use crate::line::{Point, Type};

/// Of how many lines an answer of version 3 speaks at most.
const MOST_NAMED: usize = 100;

/// The verdict of a 400 or 422, if it tells the points of the call apart.
pub fn judge(body: &[u8], points: &[Point]) -> Option<Verdict> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = |name| answer.get(name).and_then(Value::as_str);
    let message = text("error").or_else(|| text("message"))?;
    let named = match answer.get("data") {
        Some(Value::Array(errors)) => numbered(errors, message, points),
        Some(error @ Value::Object(_)) => numbered(std::slice::from_ref(error), message, points),
        _ => parsed(message, points).or_else(|| of_another_type(message, points)),
    }?;
    let rest = if named.rest_is_stored {
        EventVerdict::Delivered
    } else {
        EventVerdict::Retry
    };
    let each = named.reasons.into_iter().map(|reason| match reason {
        Some(reason) => EventVerdict::Reject(format!("InfluxDB: {}", cut(&reason))),
        None => rest.clone(),
    });
    Some(verdict(each.collect()))
}

/// Why each point was refused, where it was.
struct Named {
    reasons: Vec<Option<String>>,
    rest_is_stored: bool,
}

/// Version 3: by number, from 1, and by how the line begins.
fn numbered(errors: &[Value], message: &str, points: &[Point]) -> Option<Named> {
    let mut reasons = vec![None; points.len()];
    for error in errors {
        let number = usize::try_from(error.get("line_number")?.as_u64()?).ok()?;
        let line = error
            .get("original_line")?
            .as_str()?
            .trim_end_matches(['\r', '\n']);
        let place = number.checked_sub(1)?;
        points
            .get(place)
            .filter(|point| point.line.starts_with(line))?;
        let reason = error.get("error_message").and_then(Value::as_str);
        *reasons.get_mut(place)? = Some(reason.unwrap_or(message).to_owned());
    }
    let is_partial = message.contains("partial write");
    (!errors.is_empty()).then_some(Named {
        reasons,
        rest_is_stored: is_partial && errors.len() < MOST_NAMED,
    })
}

/// Versions 1 and 2: the lines are quoted.
fn parsed(message: &str, points: &[Point]) -> Option<Named> {
    const QUOTED: &str = "unable to parse '";
    let reasons: Vec<Option<String>> = points
        .iter()
        .map(|point| {
            let start = format!("{QUOTED}{}': ", point.line);
            let (_, reason) = message.split_once(&start)?;
            let reason = reason.lines().next().unwrap_or_default();
            Some(format!("unable to parse: {}", without_count(reason)))
        })
        .collect();
    let found = reasons.iter().flatten().count();
    // Each that is quoted is one of the call's, and nothing else was dropped.
    let all = found > 0 && message.matches(QUOTED).count() == found;
    let dropped = dropped(message).unwrap_or(0);
    (all && dropped == 0).then(|| Named {
        reasons,
        rest_is_stored: message.contains("partial write"),
    })
}

/// Versions 1 and 2: `field type conflict: input field "v" on measurement "m" is type string, already exists as type
/// float dropped=2`.
fn of_another_type(message: &str, points: &[Point]) -> Option<Named> {
    let (_, rest) = message.split_once("field type conflict: input field \"")?;
    let (field, rest) = rest.split_once("\" on measurement \"")?;
    let (measurement, rest) = rest.split_once("\" is type ")?;
    let (_, there) = rest.split_once(", already exists as type ")?;
    let there = there.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let differs = |(name, of_type): &(String, Type)| name == field && of_type.name() != there;
    let refused =
        |point: &&Point| point.measurement == measurement && point.fields.iter().any(differs);
    let reasons: Vec<Option<String>> = points
        .iter()
        .map(|point| refused(&point).then(|| without_count(message).to_owned()))
        .collect();
    let found = reasons.iter().flatten().count();
    (found > 0 && dropped(message)? == found).then(|| Named {
        reasons,
        rest_is_stored: message.contains("partial write"),
    })
}

fn dropped(message: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once(" dropped=")?;
    // Newer ones say of which database behind it.
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn without_count(message: &str) -> &str {
    message
        .rsplit_once(" dropped=")
        .map_or(message, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use plugin_kit::testing::letters;

    use super::*;

    fn point(tag: &str, value: Value) -> Point {
        let mut point = Point::new("m").expect("a name");
        point.tag("t", tag).expect("a tag");
        point.field("v", &value, Type::Float).expect("a field");
        point.finish(1).expect("a point")
    }

    fn found(answer: Value, points: &[Point]) -> String {
        letters(judge(answer.to_string().as_bytes(), points))
    }

    fn points() -> [Point; 3] {
        [
            point("a", json!(1)),
            point("b", json!("x")),
            point("c", json!(true)),
        ]
    }

    #[test]
    fn version_3_names_lines_by_number() {
        let error = |number: u32, line: &str| json!({ "line_number": number, "original_line": line, "error_message": "no" });
        let partial = "partial write of line protocol occurred";
        let table = [
            (partial, json!([error(2, "m,t=b v=\"x\" 1")]), "dxd"),
            (
                partial,
                json!([error(1, "m,t=a"), error(3, "m,t=c v=true 1\n")]),
                "xdx",
            ),
            (
                "parsing failed for write_lp endpoint",
                json!(error(2, "m,t=b")),
                "rxr",
            ),
            // Numbers that are not this call's.
            (partial, json!([error(4, "m")]), ""),
            (partial, json!([error(1, "m,t=b")]), ""),
            (partial, json!([error(0, "m,t=a")]), ""),
            (partial, json!([]), ""),
        ];

        for (message, data, expected) in table {
            let answer = json!({ "error": message, "data": data });

            assert_eq!(found(answer.clone(), &points()), expected, "{answer}");
        }
    }

    #[test]
    fn versions_1_and_2_quote_what_they_cannot_parse() {
        let b = "unable to parse 'm,t=b v=\"x\" 1': missing tag key";
        let c = "unable to parse 'm,t=c v=true 1': bad";
        let table = [
            (format!("partial write: {b} dropped=0"), "dxd"),
            (format!("partial write: {b}\n{c} dropped=0"), "dxx"),
            (b.to_owned(), "rxr"),
            (format!("partial write: {b} dropped=1"), ""),
            (
                "partial write: unable to parse 'other': bad dropped=0".to_owned(),
                "",
            ),
        ];

        for (message, expected) in table {
            assert_eq!(
                found(json!({ "error": message }), &points()),
                expected,
                "{message}"
            );
            let answer = json!({ "code": "invalid", "message": message });
            assert_eq!(found(answer, &points()), expected, "{message}");
        }
    }

    #[test]
    fn a_conflict_of_types_is_that_of_the_points_with_another_type() {
        let conflict = |dropped: u32| {
            let message = format!(
                "partial write: field type conflict: input field \"v\" on measurement \"m\" is type string, already exists as type float dropped={dropped}"
            );
            json!({ "error": message })
        };

        assert_eq!(found(conflict(2), &points()), "dxx");
        // Which of the two it was, is not known.
        assert_eq!(found(conflict(1), &points()), "");
    }

    #[test]
    fn an_answer_that_says_nothing_of_lines_tells_nothing() {
        for answer in [
            json!({ "error": "database not found: \"d\"" }),
            json!({ "error": "partial write: points beyond retention policy dropped=1" }),
            json!("no"),
            json!({}),
        ] {
            assert_eq!(found(answer.clone(), &points()), "", "{answer}");
        }
    }
}
