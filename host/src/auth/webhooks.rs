//! Standard Webhooks: id, timestamp and body under an HMAC-SHA256 (its specification, «Signature scheme»).

use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use ring::hmac;

use super::{
    AuthError, Secret,
    encode::{base64, from_base64},
    signer::{Headers, Outgoing, header, unix_seconds},
};

/// Carries the call's id, which the engine sets: the same over all attempts.
pub(super) const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// What is added to a request.
pub(super) const HEADERS: [HeaderName; 3] = [ID, TIMESTAMP, SIGNATURE];
/// The specification asks for 24 to 64 bytes; fewer are refused, as nobody can tell them from a password.
const LEAST_KEY: usize = 24;

pub(super) struct Webhooks {
    keys: Vec<hmac::Key>,
}

impl Webhooks {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, AuthError> {
        let key = |secret: &Secret| {
            let text = secret.reveal();
            let bare = text.strip_prefix("whsec_").unwrap_or(text);
            let bytes = from_base64(bare).ok_or_else(|| {
                AuthError::value("secrets", "has one that is no base64, `whsec_` apart")
            })?;
            if bytes.len() < LEAST_KEY {
                let reason = format!("has one of fewer than {LEAST_KEY} bytes");
                return Err(AuthError::value("secrets", reason));
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        if secrets.is_empty() {
            return Err(AuthError::value(
                "secrets",
                "is empty, which authenticates nobody",
            ));
        }
        let keys = secrets.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    pub(super) fn sign(
        &self,
        request: &Outgoing<'_>,
        now: SystemTime,
    ) -> Result<Headers, AuthError> {
        let id = request
            .headers
            .get(&ID)
            .ok_or_else(|| AuthError::Request(format!("it has no `{ID}`")))?;
        let timestamp = unix_seconds(now).to_string();
        let sign = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            for part in [
                id.as_bytes(),
                b".",
                timestamp.as_bytes(),
                b".",
                request.body,
            ] {
                context.update(part);
            }
            format!("v1,{}", base64(context.sign().as_ref()))
        };
        let signatures: Vec<String> = self.keys.iter().map(sign).collect();
        Ok(vec![
            (TIMESTAMP, HeaderValue::from(unix_seconds(now))),
            (SIGNATURE, header("secrets", &signatures.join(" "))?),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, Method, Uri};

    use super::*;

    /// `test_sign` of the specification's own libraries (standard-webhooks/standard-webhooks, libraries/*).
    #[test]
    fn the_published_vector_comes_out_for_each_secret() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let other = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let webhooks = Webhooks::new(&[secret, other].map(Secret::fixed)).expect("usable secrets");
        let headers = HeaderMap::from_iter([(
            ID,
            HeaderValue::from_static("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
        )]);
        let (method, uri) = (Method::POST, Uri::from_static("https://api.test/"));
        let request = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            body: br#"{"email":"test@example.com","username":"test_user"}"#,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_649_367_553);

        let added = webhooks.sign(&request, now).expect("signed");

        let text: Vec<&str> = added
            .iter()
            .map(|(_, value)| value.to_str().expect("text"))
            .collect();
        assert_eq!(text[0], "1649367553");
        let signatures: Vec<&str> = text[1].split(' ').collect();
        assert_eq!(
            signatures[0],
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        assert_eq!(signatures.len(), 2);
    }

    #[test]
    fn weak_and_malformed_secrets_are_refused() {
        for secrets in [&[][..], &["whsec_"], &["whsec_canary!"], &["Y2FuYXJ5"]] {
            let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::fixed(text)).collect();

            let error = Webhooks::new(&secrets).err().expect("refused");

            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
