//! How an endpoint's requests are authenticated, checked: built by `config`. `Debug` shows no secret.

use std::{fmt, time::Duration};

use http::{HeaderName, header::AUTHORIZATION};
use url::Url;

use super::{AuthError, Secret, signature::Component, webhooks};

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthSettings {
    /// A header with a secret, such as an API key.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: Secret,
    },
    /// RFC 7617.
    Basic {
        /// The user's name.
        user: Secret,
        /// The user's password.
        password: Secret,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// Client credentials of OAuth 2.0 (RFC 6749, section 4.4).
    OAuth2(OAuth2Settings),
    /// AWS Signature Version 4.
    AwsSigV4(SigV4Settings),
    /// Standard Webhooks: an HMAC for each secret, so that a secret can be replaced.
    StandardWebhooks {
        /// `whsec_…`; at least one.
        secrets: Vec<Secret>,
    },
    /// RFC 9421.
    HttpSignature(SignatureSettings),
    /// An HMAC of the body in a header.
    Hmac(HmacSettings),
}

/// Where tokens come from. `Debug` shows the URL as its `label`.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth2Settings {
    /// The token endpoint.
    pub token_url: Url,
    /// The same as the module file writes it, for logs and errors.
    pub label: String,
    /// The client's name.
    pub client_id: Secret,
    /// The client's secret.
    pub client_secret: Secret,
    /// What is asked for; none for the server's default.
    pub scopes: Vec<String>,
    /// Whom the token is for, where the server asks that.
    pub audience: Option<Secret>,
    /// Further parameters of the token request.
    pub params: Vec<(String, Secret)>,
    /// Where the client's secret stands.
    pub client_auth: ClientAuth,
}

impl fmt::Debug for OAuth2Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2Settings")
            .field("token_url", &self.label)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("scopes", &self.scopes)
            .field("audience", &self.audience)
            .field("params", &self.params)
            .field("client_auth", &self.client_auth)
            .finish()
    }
}

/// How a client shows who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the header `authorization`.
    Basic,
    /// In the body.
    Post,
}

/// How requests to AWS are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigV4Settings {
    /// The service's name for signing, such as `lambda` or `execute-api`.
    pub service: String,
    /// None for the region of the SDK's standard chain.
    pub region: Option<String>,
    /// None for the SDK's standard chain.
    pub credentials: Option<AwsKeys>,
}

/// A key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// `AKIA…`.
    pub access_key_id: Secret,
    /// Its secret.
    pub secret_access_key: Secret,
    /// For temporary keys.
    pub session_token: Option<Secret>,
}

/// How requests are signed by RFC 9421.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSettings {
    /// Tells the endpoint which key to verify with.
    pub key_id: String,
    /// How.
    pub algorithm: SignatureAlgorithm,
    /// PEM, or base64 for `hmac-sha256`.
    pub key: Secret,
    /// What is signed, in this order.
    pub components: Vec<Component>,
    /// The signature's name in its two headers.
    pub label: String,
    /// How long it is good for; none for no `expires`.
    pub expires_after: Option<Duration>,
    /// The application's name for what the signature means.
    pub tag: Option<String>,
    /// The digest of `content-digest`.
    pub digest: DigestAlgorithm,
}

/// A signature algorithm of RFC 9421, section 3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// A shared secret.
    HmacSha256,
    /// An Ed25519 key.
    Ed25519,
    /// A key on the curve P-256.
    EcdsaP256Sha256,
    /// An RSA key of 2048 bits or more.
    RsaPssSha512,
}

/// A digest of RFC 9530.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// An HMAC in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacSettings {
    /// The header that the signature stands in.
    pub header: HeaderName,
    /// The shared secret: its bytes are the key.
    pub secret: Secret,
    /// The digest below.
    pub algorithm: DigestAlgorithm,
    /// How the HMAC is written.
    pub encoding: HmacEncoding,
    /// What is signed: `{body}` and `{timestamp}` are filled in.
    pub signed: String,
    /// The header's value: `{signature}` and `{timestamp}` are filled in.
    pub value: String,
    /// A header that the timestamp stands in.
    pub timestamp_header: Option<HeaderName>,
}

/// How an HMAC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacEncoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// With padding.
    Base64,
}

impl AuthSettings {
    /// Every header that is added to requests: a plugin may set none of them.
    pub fn headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Header { name, .. } => vec![name.clone()],
            Self::Basic { .. } | Self::Bearer { .. } | Self::OAuth2(_) => vec![AUTHORIZATION],
            Self::AwsSigV4(_) => super::sigv4::HEADERS.to_vec(),
            Self::StandardWebhooks { .. } => webhooks::HEADERS.to_vec(),
            Self::HttpSignature(_) => super::signature::HEADERS.to_vec(),
            Self::Hmac(settings) => [&settings.header]
                .into_iter()
                .chain(&settings.timestamp_header)
                .cloned()
                .collect(),
        }
    }

    /// The header that must carry the call's id when the request is signed.
    pub fn call_id_header(&self) -> Option<HeaderName> {
        matches!(self, Self::StandardWebhooks { .. }).then_some(webhooks::ID)
    }

    /// Every secret.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Header { value, .. } => vec![value],
            Self::Basic { user, password } => vec![user, password],
            Self::Bearer { token } => vec![token],
            Self::OAuth2(settings) => {
                let mut all = vec![&settings.client_id, &settings.client_secret];
                all.extend(&settings.audience);
                all.extend(settings.params.iter().map(|(_, value)| value));
                all
            }
            Self::AwsSigV4(settings) => match &settings.credentials {
                None => Vec::new(),
                Some(keys) => {
                    let mut all = vec![&keys.access_key_id, &keys.secret_access_key];
                    all.extend(&keys.session_token);
                    all
                }
            },
            Self::StandardWebhooks { secrets } => secrets.iter().collect(),
            Self::HttpSignature(settings) => vec![&settings.key],
            Self::Hmac(settings) => vec![&settings.secret],
        }
    }

    fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        match self {
            Self::Header { value, .. } => vec![value],
            Self::Basic { user, password } => vec![user, password],
            Self::Bearer { token } => vec![token],
            Self::OAuth2(settings) => {
                let mut all = vec![&mut settings.client_id, &mut settings.client_secret];
                all.extend(&mut settings.audience);
                all.extend(settings.params.iter_mut().map(|(_, value)| value));
                all
            }
            Self::AwsSigV4(settings) => match &mut settings.credentials {
                None => Vec::new(),
                Some(keys) => {
                    let mut all = vec![&mut keys.access_key_id, &mut keys.secret_access_key];
                    all.extend(&mut keys.session_token);
                    all
                }
            },
            Self::StandardWebhooks { secrets } => secrets.iter_mut().collect(),
            Self::HttpSignature(settings) => vec![&mut settings.key],
            Self::Hmac(settings) => vec![&mut settings.secret],
        }
    }

    /// The settings with their secrets as the files have them now. Blocks.
    ///
    /// # Errors
    /// The first file that cannot be read.
    pub fn reread(&self) -> Result<Self, AuthError> {
        let mut settings = self.clone();
        for secret in settings.secrets_mut() {
            *secret = secret.reread()?;
        }
        Ok(settings)
    }
}
