//! An HMAC of the body in a header of its own (RFC 2104), as GitHub, Stripe, Slack and Shopify have it.

use std::time::SystemTime;

use ring::hmac;

use super::{
    AuthError,
    encode::{base64, hex},
    settings::{DigestAlgorithm, HmacEncoding, HmacSettings},
    signer::{Headers, header, unix_seconds},
};

/// What stands for the body, the time and the signature in a pattern.
const BODY: &str = "{body}";
const TIMESTAMP: &str = "{timestamp}";
const SIGNATURE: &str = "{signature}";

pub(super) struct Hmac {
    key: hmac::Key,
    settings: HmacSettings,
}

impl Hmac {
    pub(super) fn new(settings: &HmacSettings) -> Result<Self, AuthError> {
        let secret = settings.secret.reveal();
        if secret.is_empty() {
            return Err(AuthError::value(
                "secret",
                "is empty, which authenticates nobody",
            ));
        }
        if !settings.signed.contains(BODY) {
            return Err(AuthError::value(
                "signed",
                "lacks `{body}`: any body would do",
            ));
        }
        if !settings.value.contains(SIGNATURE) {
            return Err(AuthError::value("value", "lacks `{signature}`"));
        }
        let timestamped = settings.signed.contains(TIMESTAMP);
        let told = settings.value.contains(TIMESTAMP) || settings.timestamp_header.is_some();
        if timestamped && !told {
            return Err(AuthError::value(
                "signed",
                "has a `{timestamp}` that the endpoint is not told",
            ));
        }
        if told && !timestamped {
            return Err(AuthError::value(
                "signed",
                "lacks the `{timestamp}` that the endpoint is told",
            ));
        }
        // A signature and a timestamp are visible ASCII, whatever they are.
        let example = settings.value.replace(SIGNATURE, "0");
        header("value", &example.replace(TIMESTAMP, "1"))?;
        let algorithm = match settings.algorithm {
            DigestAlgorithm::Sha256 => hmac::HMAC_SHA256,
            DigestAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        Ok(Self {
            key: hmac::Key::new(algorithm, secret.as_bytes()),
            settings: settings.clone(),
        })
    }

    pub(super) fn sign(&self, body: &[u8], now: SystemTime) -> Result<Headers, AuthError> {
        let timestamp = unix_seconds(now).to_string();
        let mut context = hmac::Context::with_key(&self.key);
        for (place, part) in self.settings.signed.split(BODY).enumerate() {
            if place > 0 {
                context.update(body);
            }
            context.update(part.replace(TIMESTAMP, &timestamp).as_bytes());
        }
        let tag = context.sign();
        let signature = match self.settings.encoding {
            HmacEncoding::Hex => hex(tag.as_ref()),
            HmacEncoding::Base64 => base64(tag.as_ref()),
        };
        let value = self.settings.value.replace(TIMESTAMP, &timestamp);
        let value = header("value", &value.replace(SIGNATURE, &signature))?;
        let mut headers = vec![(self.settings.header.clone(), value)];
        if let Some(name) = &self.settings.timestamp_header {
            headers.push((name.clone(), header("timestamp-header", &timestamp)?));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::auth::Secret;

    fn settings(secret: &str) -> HmacSettings {
        HmacSettings {
            header: "x-signature".parse().expect("a name"),
            secret: Secret::fixed(secret),
            algorithm: DigestAlgorithm::Sha256,
            encoding: HmacEncoding::Hex,
            signed: BODY.to_owned(),
            value: SIGNATURE.to_owned(),
            timestamp_header: None,
        }
    }

    fn sign(settings: &HmacSettings, body: &[u8], now: u64) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        let headers = Hmac::new(settings).expect("usable").sign(body, now);
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        let headers = headers.expect("signed");
        headers.iter().map(|(_, value)| text(value)).collect()
    }

    #[test]
    fn the_published_examples_come_out() {
        // GitHub's documentation, «Validating webhook deliveries».
        let github = HmacSettings {
            value: "sha256={signature}".to_owned(),
            ..settings("It's a Secret to Everybody")
        };
        // Slack's documentation, «Verifying requests from Slack».
        let slack = HmacSettings {
            signed: "v0:{timestamp}:{body}".to_owned(),
            value: "v0={signature}".to_owned(),
            timestamp_header: Some("x-slack-request-timestamp".parse().expect("a name")),
            ..settings("8f742231b10e8888abcd99yyyzzz85a5")
        };
        let slack_body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        // RFC 4231, section 4.3, test case 2.
        let rfc = HmacSettings {
            algorithm: DigestAlgorithm::Sha512,
            ..settings("Jefe")
        };

        assert_eq!(
            sign(&github, b"Hello, World!", 0),
            ["sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"]
        );
        assert_eq!(
            sign(&slack, slack_body, 1_531_420_618),
            [
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                "1531420618"
            ]
        );
        assert_eq!(
            sign(&rfc, b"what do ya want for nothing?", 0),
            [
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ]
        );
    }

    #[test]
    fn a_timestamp_is_signed_and_told_or_neither() {
        let table = [
            ("{timestamp}.{body}", "{signature}", "is not told"),
            (
                "{body}",
                "t={timestamp},v1={signature}",
                "lacks the `{timestamp}`",
            ),
            ("{timestamp}", "{timestamp}{signature}", "lacks `{body}`"),
            ("{body}", "sha256", "lacks `{signature}`"),
            ("{body}", "a\n{signature}", "a character"),
        ];
        for (signed, value, expected) in table {
            let settings = HmacSettings {
                signed: signed.to_owned(),
                value: value.to_owned(),
                ..settings("x")
            };

            let error = Hmac::new(&settings).err().expect("refused");

            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
