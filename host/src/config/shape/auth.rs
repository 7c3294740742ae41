//! How requests are authenticated, and TLS, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// How requests are authenticated: exactly one of these. It is applied behind the plugin, over the bytes that are sent,
/// for each attempt anew; the plugin sees nothing of it, and cannot set the headers that it sets. A `${file:PATH}` in it
/// is read again when the file changes. `docs/authentication.md` has a recipe for each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct AuthYaml {
    /// A header with a secret, such as an API key.
    pub(in crate::config) header: Option<AuthHeaderYaml>,
    /// A user and a password (RFC 7617).
    pub(in crate::config) basic: Option<BasicYaml>,
    /// A token that does not change by itself (RFC 6750).
    pub(in crate::config) bearer: Option<BearerYaml>,
    /// A token that is fetched: client credentials of OAuth 2.0 (RFC 6749, section 4.4).
    pub(in crate::config) oauth2: Option<OAuth2Yaml>,
    /// AWS Signature Version 4: a Lambda function URL, OpenSearch, API Gateway.
    pub(in crate::config) aws_sigv4: Option<SigV4Yaml>,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    pub(in crate::config) standard_webhooks: Option<StandardWebhooksYaml>,
    /// HTTP Message Signatures (RFC 9421).
    pub(in crate::config) http_signature: Option<HttpSignatureYaml>,
    /// An HMAC of the body in a header, as GitHub, Stripe, Slack and Shopify have it.
    pub(in crate::config) hmac: Option<HmacYaml>,
}

/// A header with a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct AuthHeaderYaml {
    /// The header's name.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) name: String,
    /// Its value: `${Group:key}`, `${env:NAME}` or `${file:PATH}` keep it out of this file.
    pub(in crate::config) value: String,
}

/// A user and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct BasicYaml {
    /// The user's name; without a colon.
    pub(in crate::config) user: String,
    /// The password.
    pub(in crate::config) password: String,
}

/// A token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct BearerYaml {
    /// Without the word `Bearer`.
    pub(in crate::config) token: String,
}

/// Client credentials of OAuth 2.0. The token is fetched before the first call, kept, renewed early, and renewed once when
/// an attempt is answered with 401: that attempt is made again at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct OAuth2Yaml {
    /// The token endpoint. It is reached with the endpoint's own `tls`, `server-name` apart.
    pub(in crate::config) token_url: String,
    /// The client's name.
    pub(in crate::config) client_id: String,
    /// The client's secret.
    pub(in crate::config) client_secret: String,
    /// What is asked for. Default: what the server grants by itself.
    #[serde(default)]
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) scopes: Vec<String>,
    /// Whom the token is for, where the server asks that.
    pub(in crate::config) audience: Option<String>,
    /// Further parameters of the token request.
    #[serde(default)]
    pub(in crate::config) params: BTreeMap<String, String>,
    /// Where the client's secret stands. Default: `basic`.
    #[serde(default)]
    pub(in crate::config) client_auth: ClientAuthYaml,
}

/// Where the client's secret stands (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ClientAuthYaml {
    /// In the header `authorization`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// AWS Signature Version 4. Without keys here, they come from the SDK's standard chain: environment, profile, web identity,
/// SSO, container, instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct SigV4Yaml {
    /// The service's name for signing: `lambda`, `es`, `aoss`, `execute-api`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) service: String,
    /// Default: the region of the SDK's standard chain.
    pub(in crate::config) region: Option<String>,
    /// `AKIA…`; with `secret-access-key` and `region`.
    pub(in crate::config) access_key_id: Option<String>,
    /// The key's secret.
    pub(in crate::config) secret_access_key: Option<String>,
    /// The token of a temporary key.
    pub(in crate::config) session_token: Option<String>,
}

/// Standard Webhooks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct StandardWebhooksYaml {
    /// Each `whsec_…`, or its base64 alone, of 24 bytes or more. With several, there is a signature for each, so that the
    /// endpoint can go from one to the next.
    pub(in crate::config) secrets: Vec<String>,
}

/// HTTP Message Signatures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct HttpSignatureYaml {
    /// Tells the endpoint which key to verify with.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) key_id: String,
    /// How the request is signed.
    pub(in crate::config) algorithm: SignatureAlgorithmYaml,
    /// A private key in PEM; base64 for `hmac-sha256`.
    pub(in crate::config) key: String,
    /// What is signed: `@method`, `@target-uri`, `@authority`, `@scheme`, `@request-target`, `@path`, `@query`,
    /// `@query-param;name="…"`, and names of headers. A header that a request does not have is left out.
    /// Default: `@method`, `@target-uri`, `content-type`, `content-digest`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) components: Option<Vec<String>>,
    /// The signature's name in `signature-input` and `signature`. Default: `nozzle`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) label: Option<String>,
    /// How long a signature is good for. Default: there is no `expires`.
    #[schemars(extend("x-shortest" = "1s"))]
    pub(in crate::config) expires_after: Option<Span>,
    /// What the signature is for, in the application's words. Default: there is no `tag`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) tag: Option<String>,
    /// The digest in `content-digest` (RFC 9530), if that is signed. Default: `sha-256`.
    #[serde(default)]
    pub(in crate::config) digest: ContentDigestYaml,
}

/// How a request is signed (RFC 9421, section 3.3).
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum SignatureAlgorithmYaml {
    /// With a shared secret.
    HmacSha256,
    /// With an Ed25519 key.
    Ed25519,
    /// With a key on the curve P-256.
    EcdsaP256Sha256,
    /// With an RSA key of 2048 bits or more.
    RsaPssSha512,
}

/// The digest in `content-digest`.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ContentDigestYaml {
    /// SHA-256.
    #[default]
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "sha-512")]
    Sha512,
}

/// An HMAC in a header.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct HmacYaml {
    /// The header that it stands in.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) header: String,
    /// The shared secret; its bytes are the key.
    pub(in crate::config) secret: String,
    /// The digest below. Default: `sha256`.
    #[serde(default)]
    pub(in crate::config) algorithm: HmacAlgorithmYaml,
    /// How it is written. Default: `hex`.
    #[serde(default)]
    pub(in crate::config) encoding: HmacEncodingYaml,
    /// What is signed. `{body}` stands for the body as it is sent, `{timestamp}` for the seconds since 1970. Default: `{body}`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) signed: Option<String>,
    /// The header's value: `sha256={signature}`, or `t={timestamp},v1={signature}`. Default: `{signature}`.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) value: Option<String>,
    /// A header that the timestamp stands in.
    #[schemars(extend("x-written-out" = true))]
    pub(in crate::config) timestamp_header: Option<String>,
}

/// The digest below an HMAC.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum HmacAlgorithmYaml {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How an HMAC is written.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum HmacEncodingYaml {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// With padding.
    Base64,
}

/// What is particular about TLS to an endpoint. Paths are relative to the module file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct TlsYaml {
    /// A PEM file of further root certificates, beside the platform's.
    pub(in crate::config) ca_file: Option<String>,
    /// The client's certificate in PEM, and those that lead to its root, for an endpoint that asks for one. It is read again
    /// when it changes, for new connections.
    pub(in crate::config) cert_file: Option<String>,
    /// The certificate's private key in PEM, without a passphrase.
    pub(in crate::config) key_file: Option<String>,
    /// The name that the endpoint's certificate must be for. Default: the URL's host.
    pub(in crate::config) server_name: Option<String>,
    /// The oldest version that is spoken. Default: `1.2`.
    #[serde(default)]
    pub(in crate::config) min_version: TlsVersionYaml,
}

/// A version of TLS; in quotes, as it looks like a number.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
pub(in crate::config) enum TlsVersionYaml {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    Tls13,
}
