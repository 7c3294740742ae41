//! The endpoint's answer.

use nozzle_plugin::Response;
use serde::Deserialize;
use serde_json::Value;

/// The largest body of an answer, in bytes.
const LARGEST: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    request_id: String,
    timestamp: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_message: String,
}

/// Whether a 200 says that the request with this id is taken.
pub fn check(response: &Response, id: &str) -> Result<(), String> {
    let content_type = response.header("content-type").unwrap_or("nothing");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(format!(
            "its content type is `{content_type}`, not application/json"
        ));
    }
    if response.truncated || response.body.len() > LARGEST {
        return Err("it has more than 1 MiB".to_owned());
    }
    let answer: Answer =
        serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
    if answer.request_id != id {
        return Err(format!(
            "it is for the request `{}`, not `{id}`",
            answer.request_id.chars().take(100).collect::<String>()
        ));
    }
    // An integer; the examples of the specification have text, too.
    let is_time = match &answer.timestamp {
        Value::Number(number) => number.is_u64(),
        Value::String(text) => text.parse::<u64>().is_ok(),
        _ => false,
    };
    match is_time {
        true => Ok(()),
        false => Err("its timestamp is no number of milliseconds".to_owned()),
    }
}

/// Why the endpoint did not take the records, where it says so.
pub fn error_message(response: &Response) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(&response.body).ok()?;
    Some(refusal.error_message.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing;

    use super::*;

    fn response(content_type: &str, body: &str) -> Response {
        let mut response = testing::response(200, body);
        response.headers = vec![("content-type".to_owned(), content_type.to_owned())];
        response
    }

    #[test]
    fn an_answer_of_the_contract_is_a_delivery() {
        for (content_type, body) in [
            (
                "application/json",
                r#"{"requestId":"i","timestamp":1578090903599}"#,
            ),
            (
                "Application/JSON; charset=utf-8",
                r#"{"requestId":"i","timestamp":"1578090903599","more":1}"#,
            ),
        ] {
            assert_eq!(check(&response(content_type, body), "i"), Ok(()), "{body}");
        }
    }

    #[test]
    fn any_other_200_is_none() {
        let good = r#"{"requestId":"i","timestamp":1}"#;
        let json = "application/json";
        for (content_type, body) in [
            ("text/plain", good),
            ("application/jsonp", good),
            (json, ""),
            (json, "{}"),
            (json, r#"{"requestId":"i"}"#),
            (json, r#"{"requestId":"other","timestamp":1}"#),
            (json, r#"{"requestId":"i","timestamp":null}"#),
            (json, r#"{"requestId":"i","timestamp":1.5}"#),
            (json, r#"{"requestId":"i","timestamp":"now"}"#),
        ] {
            assert!(check(&response(content_type, body), "i").is_err(), "{body}");
        }
        assert!(check(&testing::response(200, good), "i").is_err());
        let mut cut = response(json, good);
        cut.truncated = true;
        assert!(check(&cut, "i").is_err());
    }

    #[test]
    fn a_refusal_has_a_message() {
        let refusal = testing::response(400, r#"{"requestId":"i","errorMessage":"no"}"#);

        assert_eq!(error_message(&refusal).as_deref(), Some("no"));
        assert_eq!(error_message(&testing::response(400, "no")), None);
    }
}
