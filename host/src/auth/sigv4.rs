//! AWS Signature Version 4 of a request and its body.

use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use super::{
    AuthError,
    settings::AwsKeys,
    signer::{Headers, Outgoing},
};

/// What is added to a request.
pub(super) const HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// An AWS key, with the token of a temporary one. `Debug` hides what is secret.
#[derive(Debug, Clone)]
pub struct Credentials(Keys);

impl Credentials {
    pub(super) fn of_keys(keys: &AwsKeys) -> Result<Self, AuthError> {
        let key_id = keys.access_key_id.reveal();
        let named = [
            ("access-key-id", key_id),
            ("secret-access-key", keys.secret_access_key.reveal()),
            (
                "session-token",
                keys.session_token
                    .as_ref()
                    .map_or("-", |token| token.reveal()),
            ),
        ];
        for (field, text) in named {
            if text.is_empty() {
                return Err(AuthError::value(
                    field,
                    "is empty, which authenticates nobody",
                ));
            }
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(AuthError::value(
                    field,
                    "has a character that no key has, such as a space or a line break",
                ));
            }
        }
        let token = keys.session_token.as_ref();
        Ok(Self(Keys::new(
            key_id,
            keys.secret_access_key.reveal(),
            token.map(|token| token.reveal().to_owned()),
            None,
            "the module file",
        )))
    }

    /// Whether both are the same key, token and all.
    pub fn is(&self, other: &Self) -> bool {
        self.0.access_key_id() == other.0.access_key_id()
            && self.0.secret_access_key() == other.0.secret_access_key()
            && self.0.session_token() == other.0.session_token()
    }
}

impl From<Keys> for Credentials {
    fn from(keys: Keys) -> Self {
        Self(keys)
    }
}

/// Signs for one service in one region.
#[derive(Debug, Clone)]
pub struct SigV4 {
    service: String,
    region: String,
}

impl SigV4 {
    /// A signer of requests to `service` in `region`.
    pub fn new(service: &str, region: &str) -> Self {
        Self {
            service: service.to_owned(),
            region: region.to_owned(),
        }
    }

    /// Signs host, method, path, query, body, `content-type` and the `x-amz-` headers: what proxies leave alone.
    ///
    /// # Errors
    /// When a header that is signed is no ASCII.
    pub fn sign(
        &self,
        request: &Outgoing<'_>,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Headers, AuthError> {
        let mut settings = SigningSettings::default();
        // OpenSearch Serverless and S3 ask for it, and nobody minds.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        self.sign_as(request, credentials, now, settings, is_signed)
    }

    fn sign_as(
        &self,
        request: &Outgoing<'_>,
        Credentials(keys): &Credentials,
        now: SystemTime,
        settings: SigningSettings,
        covers: fn(&HeaderName) -> bool,
    ) -> Result<Headers, AuthError> {
        let mut headers = Vec::new();
        for (name, value) in request.headers.iter().filter(|(name, _)| covers(name)) {
            let value = value.to_str().map_err(|_| {
                AuthError::Request(format!("the value of `{name}` is not visible ASCII"))
            })?;
            headers.push((name.as_str(), value));
        }
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(settings)
            .build()
            .expect("every parameter is set")
            .into();
        let signable = SignableRequest::new(
            request.method.as_str(),
            request.uri.to_string(),
            headers.into_iter(),
            SignableBody::Bytes(request.body),
        )
        .map_err(|error| AuthError::Request(error.to_string()))?;
        // The crate traces what it signs, with the session token in it.
        let silent = tracing::subscriber::NoSubscriber::default();
        let output = tracing::subscriber::with_default(silent, || sign(signable, &params));
        let output = output.map_err(|error| AuthError::Request(error.to_string()))?;
        let (instructions, _) = output.into_parts();
        let header = |(name, value): (&str, &str)| {
            let cannot = |_| {
                AuthError::Request(format!(
                    "`{name}` would have a character that it cannot hold"
                ))
            };
            let mut value = HeaderValue::from_str(value).map_err(cannot)?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes());
            Ok((name.expect("the crate writes names of headers"), value))
        };
        instructions.headers().map(header).collect()
    }
}

/// Whether a header is signed. Any other one may be changed on the way to the service without harm.
fn is_signed(name: &HeaderName) -> bool {
    *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-")
}

#[cfg(test)]
mod tests;
