//! A request target with a query.

/// Builds a target: names and values are percent-encoded.
#[derive(Debug, Clone)]
pub struct Target(String);

impl Target {
    /// One without a query, or with one that goes on.
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// With a further parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        encode(&mut self.0, name);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }

    /// The target.
    pub fn finish(self) -> String {
        self.0
    }
}

/// All but the unreserved characters of RFC 3986, section 2.3, are encoded.
fn encode(out: &mut String, text: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend([
                '%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let target = Target::new("")
            .parameter("a b", "c&d=\u{e9}")
            .parameter("e", "");

        assert_eq!(target.finish(), "?a%20b=c%26d%3D%C3%A9&e=");
        assert_eq!(
            Target::new("x?y=1").parameter("z", "2").finish(),
            "x?y=1&z=2"
        );
    }
}
