//! Client credentials of OAuth 2.0 (RFC 6749, section 4.4): the token request, and what its answer says. Pure.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde::Deserialize;

use super::{
    AuthError, Secret,
    encode::{base64, form},
    settings::{ClientAuth, OAuth2Settings},
    signer::{bearer, header},
};

/// A token request. It holds the client's secret: `Debug` shows none of it.
#[derive(Clone)]
pub struct TokenRequest {
    /// `content-type`, `accept`, and the client's credentials if they stand there.
    pub headers: HeaderMap,
    /// The form.
    pub body: String,
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenRequest")
    }
}

/// A token, and how long it is good for.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value of `authorization`; sensitive.
    pub authorization: HeaderValue,
    /// From the moment of the request on; none if the server does not say.
    pub lifetime: Option<Duration>,
}

impl TokenRequest {
    /// The request that asks for a token.
    ///
    /// # Errors
    /// The value that cannot be used.
    pub fn new(settings: &OAuth2Settings) -> Result<Self, AuthError> {
        let id = settings.client_id.reveal();
        let secret = settings.client_secret.reveal();
        for (field, text) in [("client-id", id), ("client-secret", secret)] {
            if text.is_empty() {
                return Err(AuthError::value(
                    field,
                    "is empty, which authenticates nobody",
                ));
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let scope = settings.scopes.join(" ");
        let mut pairs = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            pairs.push(("scope", &scope));
        }
        let audience = settings.audience.as_ref().map(Secret::reveal);
        pairs.extend(audience.map(|audience| ("audience", audience)));
        let further = settings.params.iter();
        pairs.extend(further.map(|(name, value)| (name.as_str(), value.reveal())));
        match settings.client_auth {
            ClientAuth::Basic => {
                // Section 2.3.1: each is encoded as in a form first.
                let encode = |text: &str| -> String {
                    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
                };
                let credentials = format!("{}:{}", encode(id), encode(secret));
                let value = format!("Basic {}", base64(credentials.as_bytes()));
                headers.insert(AUTHORIZATION, header("client-secret", &value)?);
            }
            ClientAuth::Post => pairs.extend([("client_id", id), ("client_secret", secret)]),
        }
        Ok(Self {
            headers,
            body: form(pairs),
        })
    }
}

/// A successful answer (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Value>,
}

/// An error answer (section 5.2).
#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// Reads the token endpoint's answer.
///
/// # Errors
/// What is wrong with it, in words that hold nothing secret, and nothing of the server's choice but an error code.
pub fn read_answer(status: u16, body: &[u8]) -> Result<Token, String> {
    if status != 200 {
        let denied: Option<Denied> = serde_json::from_slice(body).ok();
        let known = |code: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            (1..=64).contains(&code.len()) && code.bytes().all(plain)
        };
        let code = denied.map(|denied| denied.error).filter(known);
        let code = code.map(|code| format!(" (`{code}`)")).unwrap_or_default();
        return Err(format!("it answered {status}{code}"));
    }
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| "its answer is no JSON with `access_token` and `token_type`".to_owned())?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err("its token is of another type than `Bearer`".to_owned());
    }
    let authorization = bearer("access_token", &granted.access_token)
        .map_err(|error| format!("its answer cannot be used: {error}"))?;
    // Some servers write it as a text.
    let seconds = granted.expires_in.and_then(|value| match value {
        serde_json::Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    });
    Ok(Token {
        authorization,
        lifetime: seconds.map(Duration::from_secs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(client_auth: ClientAuth) -> OAuth2Settings {
        OAuth2Settings {
            token_url: "https://id.test/token".parse().expect("a URL"),
            label: "https://id.test/token".to_owned(),
            client_id: Secret::fixed("s6BhdRkqt3"),
            client_secret: Secret::fixed("a b:c&\u{e9}"),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            audience: Some(Secret::fixed("https://api.test/")),
            params: vec![("resource".to_owned(), Secret::fixed("x=y"))],
            client_auth,
        }
    }

    #[test]
    fn the_secret_stands_where_it_should() {
        let basic = TokenRequest::new(&settings(ClientAuth::Basic)).expect("a request");
        let post = TokenRequest::new(&settings(ClientAuth::Post)).expect("a request");

        let common = "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.test%2F&resource=x%3Dy";
        assert_eq!(basic.body, common);
        // s6BhdRkqt3:a+b%3Ac%26%C3%A9
        assert_eq!(
            basic.headers[AUTHORIZATION],
            "Basic czZCaGRSa3F0MzphK2IlM0FjJTI2JUMzJUE5"
        );
        assert_eq!(
            post.body,
            format!("{common}&client_id=s6BhdRkqt3&client_secret=a+b%3Ac%26%C3%A9")
        );
        assert!(!post.headers.contains_key(AUTHORIZATION));
        assert!(!format!("{basic:?} {post:?}").contains("c%26"));
    }

    /// The header and the seconds, or why not.
    type Read = Result<(&'static str, Option<u64>), &'static str>;

    #[test]
    fn an_answer_is_a_token_or_says_why_not() {
        let table: [(u16, &str, Read); 9] = [
            // RFC 6749, section 4.4.3.
            (
                200,
                r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600}"#,
                Err("its token is of another type than `Bearer`"),
            ),
            (
                200,
                r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"bearer","expires_in":3600}"#,
                Ok(("Bearer 2YotnFZFEjr1zCsicMWpAA", Some(3600))),
            ),
            (
                200,
                r#"{"access_token":"a","token_type":"Bearer","expires_in":"60"}"#,
                Ok(("Bearer a", Some(60))),
            ),
            (
                200,
                r#"{"access_token":"a","token_type":"Bearer"}"#,
                Ok(("Bearer a", None)),
            ),
            (
                200,
                r#"{"access_token":"canary\n","token_type":"Bearer"}"#,
                Err(
                    "its answer cannot be used: `access_token` has a character that a token does not have (RFC 6750, section 2.1)",
                ),
            ),
            (
                200,
                "canary",
                Err("its answer is no JSON with `access_token` and `token_type`"),
            ),
            (
                400,
                r#"{"error":"invalid_scope","error_description":"canary"}"#,
                Err("it answered 400 (`invalid_scope`)"),
            ),
            (
                401,
                r#"{"error":"canary\u001b[2J"}"#,
                Err("it answered 401"),
            ),
            (302, "", Err("it answered 302")),
        ];
        for (status, body, expected) in table {
            let answer = read_answer(status, body.as_bytes());

            let answer = answer.map(|token| {
                let text = token.authorization.to_str().expect("text").to_owned();
                (text, token.lifetime.map(|lifetime| lifetime.as_secs()))
            });
            let expected = expected
                .map(|(text, lifetime)| (text.to_owned(), lifetime))
                .map_err(str::to_owned);
            assert_eq!(answer, expected, "{body}");
        }
    }
}
