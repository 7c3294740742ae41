//! Another version of a plugin, by the admin address.

use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{SinkView, problem::Refusal};
use crate::plugin::{Canary, How, Swapped};

/// Bytes of a component that is sent; `limits.size` of the sink may be less.
const MAX_COMPONENT: usize = 256 * 1024 * 1024;
/// Batches of a trial, if nothing is said.
const BATCHES: u64 = 100;
/// What a component is called, if nothing is said.
const NAME: &str = "what was sent";
/// Characters of what it is called.
const MAX_NAME: usize = 255;
/// How much worse a version may do, in percent, if nothing is said.
const TOLERANCE: f64 = 1.0;

/// The parameters: their names, their schemas, and what they are for.
pub(super) fn parameters() -> [(&'static str, Value, &'static str); 5] {
    let percent = |least: &str| json!({ "type": "number", least: 0, "maximum": 100 });
    [
        (
            "canary",
            percent("exclusiveMinimum"),
            "The share of batches that the version is given until it has shaped `batches`, in percent. Then it serves, or goes if it does worse than `tolerance`.",
        ),
        (
            "shadow",
            json!({ "type": "boolean" }),
            "`batches` are shaped by both versions and compared; nothing that the new one makes of them is sent.",
        ),
        (
            "batches",
            json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 }),
            "Batches of a canary or a comparison. Default: 100.",
        ),
        (
            "tolerance",
            percent("minimum"),
            "How much more of its work a canary may fail on, reject or have tried again than the version that serves, in percent points. Default: 1.",
        ),
        (
            "name",
            json!({ "type": "string", "maxLength": MAX_NAME }),
            "What the component that is sent is called in messages and lists: its file, say.",
        ),
    ]
}

/// Reads the parameters of a swap: how, and what the component is called.
fn read(query: Option<&str>) -> Result<(How, String), Refusal> {
    let (mut canary, mut shadow, mut batches, mut tolerance) = (None, false, None, None);
    let mut called = NAME.to_owned();
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (name, value) in pairs {
        let wrong = || Refusal::Parameter(format!("`{name}={value}`"));
        match &*name {
            "canary" => {
                canary = Some(
                    percent(&value)
                        .filter(|share| *share > 0.0)
                        .ok_or_else(wrong)?,
                )
            }
            "shadow" => shadow = value.parse().map_err(|_| wrong())?,
            "batches" => {
                let number: Option<u64> = value.parse().ok();
                let number = number.filter(|number| (1..=1_000_000).contains(number));
                batches = Some(number.ok_or_else(wrong)?);
            }
            "tolerance" => tolerance = Some(percent(&value).ok_or_else(wrong)?),
            "name" if is_name(&value) => called = value.into_owned(),
            _ => return Err(wrong()),
        }
    }
    let without = |name: &str, of: &str| {
        let message = format!("`{name}` without {of}");
        Err(Refusal::Parameter(message))
    };
    let how = match (canary, shadow) {
        (Some(_), true) => {
            return Err(Refusal::Parameter("`canary` and `shadow`".to_owned()));
        }
        (Some(share), false) => How::Canary(Canary {
            share: share / 100.0,
            batches: batches.unwrap_or(BATCHES),
            tolerance: tolerance.unwrap_or(TOLERANCE) / 100.0,
        }),
        (None, _) if tolerance.is_some() => return without("tolerance", "`canary`"),
        (None, true) => How::Shadow(batches.unwrap_or(BATCHES)),
        // A version that is meant to be tried must not serve at once.
        (None, false) if batches.is_some() => return without("batches", "`canary` or `shadow`"),
        (None, false) => How::AtOnce,
    };
    Ok((how, called))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn percent(text: &str) -> Option<f64> {
    let percent: f64 = text.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Swaps the plugin of a sink for what the body holds, or for what its module names now.
pub(super) async fn swap(
    view: &SinkView,
    head: &Parts,
    body: Incoming,
) -> Result<Swapped, Refusal> {
    let (how, called) = read(head.uri.query())?;
    let body = Limited::new(body, MAX_COMPONENT).collect().await;
    let body: Bytes = body
        .map_err(|_| Refusal::BodyTooLarge(MAX_COMPONENT))?
        .to_bytes();
    let sent = (!body.is_empty()).then_some((called, body));
    let swaps = view.swaps.as_ref().ok_or(Refusal::Starting)?;
    Ok(swaps.swap(sent, how).await?)
}

/// Goes back to the version before.
pub(super) async fn rollback(view: &SinkView) -> Result<Swapped, Refusal> {
    let swaps = view.swaps.as_ref().ok_or(Refusal::Starting)?;
    Ok(swaps.rollback().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_say_what_a_component_is_called() {
        let called = |query| read(Some(query)).map(|(_, called)| called);

        assert_eq!(called("shadow=true"), Ok(NAME.to_owned()));
        assert_eq!(
            called("name=new%20score.wasm"),
            Ok("new score.wasm".to_owned())
        );
    }

    #[test]
    fn parameters_say_how_a_version_comes_into_service() {
        let canary = |share, batches, tolerance| {
            Ok(How::Canary(Canary {
                share,
                batches,
                tolerance,
            }))
        };
        for (query, expected) in [
            (None, Ok(How::AtOnce)),
            (Some(""), Ok(How::AtOnce)),
            (Some("shadow=true&batches=7"), Ok(How::Shadow(7))),
            (Some("canary=5"), canary(0.05, 100, 0.01)),
            (
                Some("canary=50&batches=2&tolerance=25"),
                canary(0.5, 2, 0.25),
            ),
        ] {
            assert_eq!(read(query).map(|(how, _)| how), expected, "{query:?}");
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        for query in [
            "canary=0",
            "canary=101",
            "canary=NaN",
            "canary=5%",
            "shadow=yes",
            "batches=0",
            "batches=1000001",
            "tolerance=-1",
            "canry=5",
            "canary=5&shadow=true",
            "batches=5",
            "tolerance=5",
            "shadow=true&tolerance=5",
            "name=",
            "name=a%0ab",
        ] {
            assert!(
                matches!(read(Some(query)), Err(Refusal::Parameter(_))),
                "{query}"
            );
        }
    }
}
