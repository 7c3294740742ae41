//! Reading responses.

use crate::Response;

/// Characters of a body that a reason holds.
const EXCERPT: usize = 200;

impl Response {
    /// Whether the status is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body's first 200 characters, white space at its ends left out: for the reason of a rejection.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.trim().chars().take(EXCERPT).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn a_response_is_read() {
        let mut response = testing::response(204, " \u{e9}\n");
        response.headers = vec![("retry-after".to_owned(), "7".to_owned())];

        assert!(response.is_success());
        assert_eq!(response.header("retry-after"), Some("7"));
        assert_eq!(response.header("x"), None);
        assert_eq!(response.excerpt(), "\u{e9}");
        assert!(!testing::response(300, "").is_success());
        let long = testing::response(400, "\u{e9}".repeat(300));
        assert_eq!(long.excerpt().chars().count(), 200);
    }
}
