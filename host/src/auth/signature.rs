//! HTTP Message Signatures (RFC 9421) of requests, with `content-digest` (RFC 9530) for their bodies.

mod component;

use std::time::SystemTime;

use http::{HeaderName, header::HeaderValue};
use ring::digest::{SHA256, SHA512, digest};

use super::{
    AuthError,
    encode::base64,
    key::Key,
    settings::{DigestAlgorithm, SignatureAlgorithm, SignatureSettings},
    signer::{Headers, Outgoing, header, unix_seconds},
};
pub use component::Component;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// What is added to a request.
pub(super) const HEADERS: [HeaderName; 3] = [SIGNATURE_INPUT, SIGNATURE, CONTENT_DIGEST];

pub(super) struct Signature {
    key: Key,
    settings: SignatureSettings,
}

impl Signature {
    pub(super) fn new(settings: &SignatureSettings) -> Result<Self, AuthError> {
        if settings.components.is_empty() {
            return Err(AuthError::value(
                "components",
                "is empty: nothing is signed",
            ));
        }
        for (place, component) in settings.components.iter().enumerate() {
            if settings
                .components
                .iter()
                .take(place)
                .any(|other| other == component)
            {
                let reason = format!("has {} twice", component.identifier());
                return Err(AuthError::value("components", reason));
            }
        }
        for (field, text) in [
            ("key-id", Some(&settings.key_id)),
            ("tag", settings.tag.as_ref()),
        ] {
            let plain = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !text.is_none_or(plain) {
                return Err(AuthError::value(field, "has characters that are not ASCII"));
            }
        }
        // A key of a dictionary (RFC 9651, section 3.2).
        let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
        let later = |byte: u8| first(byte) || byte.is_ascii_digit() || b"_-.".contains(&byte);
        let label = settings.label.as_bytes();
        if !label.first().is_some_and(|byte| first(*byte)) || !label.iter().all(|byte| later(*byte))
        {
            return Err(AuthError::value(
                "label",
                "is no name of lower-case letters, digits, `_`, `-`, `.` and `*`",
            ));
        }
        Ok(Self {
            key: Key::parse(settings.algorithm, settings.key.reveal())?,
            settings: settings.clone(),
        })
    }

    pub(super) fn sign(
        &self,
        request: &Outgoing<'_>,
        now: SystemTime,
    ) -> Result<Headers, AuthError> {
        let settings = &self.settings;
        let mut added = Vec::new();
        let covered = Component::Field(CONTENT_DIGEST);
        let mut headers = request.headers.clone();
        headers.remove(CONTENT_DIGEST);
        if !request.body.is_empty() && settings.components.contains(&covered) {
            let value = content_digest(settings.digest, request.body);
            headers.insert(CONTENT_DIGEST, value.clone());
            added.push((CONTENT_DIGEST, value));
        }
        let request = Outgoing {
            headers: &headers,
            ..*request
        };
        let created = unix_seconds(now);
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut params = format!(
            ";created={created};keyid=\"{}\";alg=\"{}\"",
            quoted(&settings.key_id),
            name(settings.algorithm)
        );
        if let Some(after) = settings.expires_after {
            params += &format!(";expires={}", created.saturating_add(after.as_secs()));
        }
        if let Some(tag) = &settings.tag {
            params += &format!(";tag=\"{}\"", quoted(tag));
        }
        let (base, input) = base(&settings.components, &params, &request)?;
        let signature = base64(&self.key.sign(base.as_bytes())?);
        let label = &settings.label;
        added.push((
            SIGNATURE_INPUT,
            header("key-id", &format!("{label}={input}"))?,
        ));
        added.push((SIGNATURE, header("key", &format!("{label}=:{signature}:"))?));
        Ok(added)
    }
}

/// The signature base (section 2.5), and the components with their parameters as the signature's input. A header that
/// the request does not have is left out of both.
fn base(
    components: &[Component],
    params: &str,
    request: &Outgoing<'_>,
) -> Result<(String, String), AuthError> {
    let mut base = String::new();
    let mut covered = Vec::new();
    for component in components {
        if let Some(value) = component.value(request)? {
            let identifier = component.identifier();
            base += &format!("{identifier}: {value}\n");
            covered.push(identifier);
        }
    }
    let input = format!("({}){params}", covered.join(" "));
    base += &format!("\"@signature-params\": {input}");
    Ok((base, input))
}

/// The registered name (section 6.2.2).
fn name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::HmacSha256 => "hmac-sha256",
        SignatureAlgorithm::Ed25519 => "ed25519",
        SignatureAlgorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        SignatureAlgorithm::RsaPssSha512 => "rsa-pss-sha512",
    }
}

fn content_digest(algorithm: DigestAlgorithm, body: &[u8]) -> HeaderValue {
    let (name, algorithm) = match algorithm {
        DigestAlgorithm::Sha256 => ("sha-256", &SHA256),
        DigestAlgorithm::Sha512 => ("sha-512", &SHA512),
    };
    let value = format!("{name}=:{}:", base64(digest(algorithm, body).as_ref()));
    HeaderValue::from_str(&value).expect("base64 is visible ASCII")
}

#[cfg(test)]
mod tests;
