//! What the AWS parts are told, checked: built by `config`.

use std::{fmt, ops::RangeInclusive};

use url::Url;

/// How an AWS service is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// None for the SDK's standard chain.
    pub region: Option<String>,
    /// Another address for the service, such as a local server; none for AWS itself, or what the SDK's standard
    /// chain says (`AWS_ENDPOINT_URL`).
    pub endpoint_url: Option<Url>,
}

/// A stream. `Debug` and `Display` show it as the user wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamName {
    /// As the module file writes it, before `${…}` is filled in: what was filled in is not for logs.
    label: String,
    name: String,
    arn: Option<Arn>,
}

#[derive(Clone, PartialEq, Eq)]
struct Arn {
    whole: String,
    region: String,
}

impl StreamName {
    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`, or a name of 1 to 128 letters, digits, `_`, `-` and `.`
    /// (Kinesis API: `StreamName`, `StreamARN`).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("arn:") else {
            return match is_resource_name(text, 1..=128) {
                true => Ok(Self {
                    label: text.to_owned(),
                    name: text.to_owned(),
                    arn: None,
                }),
                false => {
                    Err("a stream's name has 1 to 128 letters, digits, `_`, `-` and `.`".to_owned())
                }
            };
        };
        let parts: Vec<&str> = rest.splitn(5, ':').collect();
        let [partition, "kinesis", region, account, resource] = parts.as_slice() else {
            return Err("it is no ARN of Kinesis".to_owned());
        };
        let name = resource.strip_prefix("stream/").unwrap_or_default();
        let whole = partition.starts_with("aws")
            && !region.is_empty()
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && is_resource_name(name, 1..=128);
        if !whole {
            return Err(
                "a stream's ARN is `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`".to_owned(),
            );
        }
        Ok(Self {
            label: text.to_owned(),
            name: name.to_owned(),
            arn: Some(Arn {
                whole: text.to_owned(),
                region: (*region).to_owned(),
            }),
        })
    }

    /// The same stream under another label.
    #[must_use]
    pub fn labelled(self, label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..self
        }
    }

    /// For a request: the name, where no ARN was given.
    pub fn name(&self) -> Option<String> {
        self.arn.is_none().then(|| self.name.clone())
    }

    /// For a request: the ARN, where it was given.
    pub fn arn(&self) -> Option<String> {
        self.arn.as_ref().map(|arn| arn.whole.clone())
    }

    /// The region that the ARN names.
    pub fn region(&self) -> Option<&str> {
        self.arn.as_ref().map(|arn| &*arn.region)
    }

    /// What the service says, with the label in place of the stream where the two differ.
    pub(super) fn hide_in(&self, text: &str) -> String {
        if !self.label.contains("${") {
            return text.to_owned();
        }
        let arn = self.arn.as_ref().map(|arn| &*arn.whole);
        let hidden = arn.map_or(text.to_owned(), |arn| text.replace(arn, &self.label));
        hidden.replace(&self.name, &self.label)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamName({:?})", self.label)
    }
}

/// Letters, digits, `_`, `-` and `.`: names of streams, consumers and tables.
pub fn is_resource_name(text: &str, len: RangeInclusive<usize>) -> bool {
    len.contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_are_told_apart_and_checked() {
        let arn = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a.b-c_d";

        let name = StreamName::parse("orders").expect("a name");
        let whole = StreamName::parse(arn).expect("an ARN");

        assert_eq!(
            (name.name().as_deref(), name.arn(), name.region()),
            (Some("orders"), None, None)
        );
        assert_eq!(
            (whole.name(), whole.arn().as_deref(), whole.region()),
            (None, Some(arn), Some("cn-north-1"))
        );
        let long = "x".repeat(129);
        for wrong in [
            "",
            "a b",
            "a/b",
            &long,
            "arn:",
            "arn:aws:sqs:us-east-1:123456789012:q",
            "arn:aws:kinesis:us-east-1:12345678901:stream/x",
            "arn:aws:kinesis::123456789012:stream/x",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis:us-east-1:123456789012:stream/x/consumer/y:1",
            "arn:gcp:kinesis:us-east-1:123456789012:stream/x",
        ] {
            assert!(StreamName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_stream_that_was_filled_in_is_shown_as_it_was_written() {
        let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
        let stream = StreamName::parse(arn)
            .expect("an ARN")
            .labelled("${Out:arn}");

        assert_eq!(
            format!("{stream} {stream:?}"),
            "${Out:arn} StreamName(\"${Out:arn}\")"
        );
        let said = stream.hide_in(&format!("no stream orders, that is {arn}"));
        assert_eq!(said, "no stream ${Out:arn}, that is ${Out:arn}");
    }
}
