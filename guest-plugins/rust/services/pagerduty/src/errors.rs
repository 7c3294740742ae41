//! What PagerDuty says of an invalid event.

use nozzle_plugin::Response;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    status: String,
    message: String,
    #[serde(default)]
    errors: Vec<String>,
}

/// The reason of a rejection: the errors, or what stands in the body.
pub fn reason(response: &Response) -> String {
    match serde_json::from_slice::<Answer>(&response.body) {
        Ok(answer) if answer.errors.is_empty() => format!("{}: {}", answer.status, answer.message),
        Ok(answer) => format!("{}: {}", answer.status, answer.errors.join("; ")),
        Err(_) => format!("{}: {}", response.status, response.excerpt()),
    }
}

#[cfg(test)]
mod tests {
    use nozzle_plugin::testing::response;

    use super::*;

    #[test]
    fn the_errors_are_the_reason() {
        let table = [
            (
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["'severity' is missing","'x' is blank"]}"#,
                "invalid event: 'severity' is missing; 'x' is blank",
            ),
            (
                r#"{"status":"Unrecognized object","message":"Event object format is unrecognized"}"#,
                "Unrecognized object: Event object format is unrecognized",
            ),
            ("<html>", "400: <html>"),
        ];

        for (body, expected) in table {
            assert_eq!(reason(&response(400, body)), expected);
        }
    }
}
