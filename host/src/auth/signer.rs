//! From settings to the headers of one attempt.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::AUTHORIZATION};

use super::{
    AuthError, AuthSettings, Secret,
    encode::base64,
    hmac::Hmac,
    signature::Signature,
    sigv4::{Credentials, SigV4},
    webhooks::Webhooks,
};

/// One attempt's request, as it stands before it is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// The absolute URI.
    pub uri: &'a Uri,
    /// All headers, but those that frame the message.
    pub headers: &'a HeaderMap,
    /// The bytes that are sent; empty for no body.
    pub body: &'a [u8],
}

/// Headers to set; signatures and secrets among them are marked sensitive.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Authenticates requests without asking anyone.
#[derive(Debug)]
pub struct Signer(Kind);

enum Kind {
    Fixed(HeaderName, HeaderValue),
    SigV4(SigV4, Credentials),
    Webhooks(Webhooks),
    Signature(Box<Signature>),
    Hmac(Box<Hmac>),
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fixed(..) => "Fixed",
            Self::SigV4(..) => "SigV4",
            Self::Webhooks(_) => "Webhooks",
            Self::Signature(_) => "Signature",
            Self::Hmac(_) => "Hmac",
        })
    }
}

impl Signer {
    /// A signer; none where someone must be asked first: for a token, or for the credentials of AWS's chain.
    ///
    /// # Errors
    /// The value that cannot be used.
    pub fn new(settings: &AuthSettings) -> Result<Option<Self>, AuthError> {
        let kind = match settings {
            AuthSettings::Header { name, value } => {
                Kind::Fixed(name.clone(), header("value", value.reveal())?)
            }
            AuthSettings::Basic { user, password } => basic(user, password)?,
            AuthSettings::Bearer { token } => {
                Kind::Fixed(AUTHORIZATION, bearer("token", token.reveal())?)
            }
            AuthSettings::OAuth2(_) => return Ok(None),
            AuthSettings::AwsSigV4(aws) => match (&aws.credentials, &aws.region) {
                (Some(keys), Some(region)) => Kind::SigV4(
                    SigV4::new(&aws.service, region),
                    Credentials::of_keys(keys)?,
                ),
                (Some(_), None) => {
                    return Err(AuthError::value(
                        "region",
                        "is needed beside credentials that are written out",
                    ));
                }
                (None, _) => return Ok(None),
            },
            AuthSettings::StandardWebhooks { secrets } => Kind::Webhooks(Webhooks::new(secrets)?),
            AuthSettings::HttpSignature(settings) => {
                Kind::Signature(Box::new(Signature::new(settings)?))
            }
            AuthSettings::Hmac(settings) => Kind::Hmac(Box::new(Hmac::new(settings)?)),
        };
        Ok(Some(Self(kind)))
    }

    /// The headers that authenticate `request`, sent at `now`. They replace those of the same name.
    ///
    /// # Errors
    /// When the request has something that cannot be signed.
    pub fn sign(&self, request: &Outgoing<'_>, now: SystemTime) -> Result<Headers, AuthError> {
        match &self.0 {
            Kind::Fixed(name, value) => Ok(vec![(name.clone(), value.clone())]),
            Kind::SigV4(sigv4, credentials) => sigv4.sign(request, credentials, now),
            Kind::Webhooks(webhooks) => webhooks.sign(request, now),
            Kind::Signature(signature) => signature.sign(request, now),
            Kind::Hmac(hmac) => hmac.sign(request.body, now),
        }
    }
}

fn basic(user: &Secret, password: &Secret) -> Result<Kind, AuthError> {
    let (user, password) = (user.reveal(), password.reveal());
    // RFC 7617, section 2.
    if user.contains(':') {
        return Err(AuthError::value("user", "has a colon, which ends it"));
    }
    for (field, text) in [("user", user), ("password", password)] {
        if text.chars().any(char::is_control) {
            return Err(AuthError::value(
                field,
                "has a control character, such as a line break",
            ));
        }
    }
    let credentials = base64(format!("{user}:{password}").as_bytes());
    let value = header("password", &format!("Basic {credentials}"))?;
    Ok(Kind::Fixed(AUTHORIZATION, value))
}

/// `Bearer TOKEN` (RFC 6750, section 2.1).
pub(super) fn bearer(field: &'static str, token: &str) -> Result<HeaderValue, AuthError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() {
        return Err(AuthError::value(
            field,
            "is empty, which authenticates nobody",
        ));
    }
    if !token.bytes().all(plain) {
        return Err(AuthError::value(
            field,
            "has a character that a token does not have (RFC 6750, section 2.1)",
        ));
    }
    header(field, &format!("Bearer {token}"))
}

/// A secret value of a header.
pub(super) fn header(field: &'static str, value: &str) -> Result<HeaderValue, AuthError> {
    if value.trim().is_empty() {
        return Err(AuthError::value(
            field,
            "is empty, which authenticates nobody",
        ));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        AuthError::value(
            field,
            "has a character that a header cannot hold, such as a line break",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whole seconds since 1970.
pub(super) fn unix_seconds(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sign(settings: &AuthSettings) -> Result<Headers, AuthError> {
        let (method, uri) = (Method::POST, Uri::from_static("https://api.test/x"));
        let headers = HeaderMap::new();
        let request = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            body: b"{}",
        };
        let signer = Signer::new(settings)?.expect("it asks no one");
        signer.sign(&request, SystemTime::UNIX_EPOCH + Duration::from_secs(7))
    }

    #[test]
    fn fixed_headers_are_what_their_rfcs_say() {
        let secret = Secret::fixed;
        let table = [
            (
                AuthSettings::Header {
                    name: "x-api-key".parse().expect("a name"),
                    value: secret("k e y"),
                },
                "x-api-key: k e y",
            ),
            // RFC 7617, section 2, and section 2.1 with UTF-8.
            (
                AuthSettings::Basic {
                    user: secret("Aladdin"),
                    password: secret("open sesame"),
                },
                "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            (
                AuthSettings::Basic {
                    user: secret("test"),
                    password: secret("123\u{a3}"),
                },
                "authorization: Basic dGVzdDoxMjPCow==",
            ),
            // RFC 6750, section 2.1.
            (
                AuthSettings::Bearer {
                    token: secret("mF_9.B5f-4.1JqM"),
                },
                "authorization: Bearer mF_9.B5f-4.1JqM",
            ),
        ];
        for (settings, expected) in table {
            let headers = sign(&settings).expect("signed");

            let (name, value) = &headers[0];
            let text = value.to_str().expect("text");
            assert_eq!(format!("{name}: {text}"), expected);
            assert!(value.is_sensitive());
            assert_eq!(settings.headers(), std::slice::from_ref(name));
        }
    }

    #[test]
    fn what_authenticates_nobody_is_refused_and_not_shown() {
        let secret = Secret::fixed;
        let name: HeaderName = "x-api-key".parse().expect("a name");
        let table = [
            (
                AuthSettings::Header {
                    name: name.clone(),
                    value: secret(" "),
                },
                "`value` is empty",
            ),
            (
                AuthSettings::Header {
                    name,
                    value: secret("canary\ncanary"),
                },
                "`value` has a character",
            ),
            (
                AuthSettings::Basic {
                    user: secret("canary:x"),
                    password: secret("canary"),
                },
                "`user` has a colon",
            ),
            (
                AuthSettings::Basic {
                    user: secret("x"),
                    password: secret("canary\r"),
                },
                "`password` has a control",
            ),
            (
                AuthSettings::Bearer { token: secret("") },
                "`token` is empty",
            ),
            (
                AuthSettings::Bearer {
                    token: secret("canary canary"),
                },
                "`token` has a character",
            ),
        ];
        for (settings, expected) in table {
            let error = sign(&settings).expect_err("refused");

            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!format!("{error} {error:?} {settings:?}").contains("canary"));
        }
    }
}
