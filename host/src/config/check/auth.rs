//! Authentication: exactly one way, with values that can be used.

use http::HeaderName;

use super::{Checker, check_url};
use crate::{
    auth::{
        AuthError, AuthSettings, Component, Secret, Signer,
        oauth2::TokenRequest,
        settings::{
            AwsKeys, ClientAuth, DigestAlgorithm, HmacEncoding, HmacSettings, OAuth2Settings,
            SigV4Settings, SignatureAlgorithm, SignatureSettings,
        },
    },
    config::{
        problem::Problem,
        shape::auth::{
            AuthYaml, ClientAuthYaml, ContentDigestYaml, HmacAlgorithmYaml, HmacEncodingYaml,
            HmacYaml, HttpSignatureYaml, OAuth2Yaml, SigV4Yaml, SignatureAlgorithmYaml,
        },
    },
    network::is_framing,
};

/// What is signed by default.
const COMPONENTS: [&str; 4] = ["@method", "@target-uri", "content-type", "content-digest"];

impl Checker<'_> {
    /// Checks `auth` of the endpoint at `at`; `headers` are those that it sets anyway.
    pub(super) fn auth(
        &mut self,
        at: &[&str],
        yaml: AuthYaml,
        headers: &[HeaderName],
    ) -> Option<AuthSettings> {
        let at = [at, &["auth"]].concat();
        let below = |kind: &'static str| -> Vec<&str> { [&at[..], &[kind]].concat() };
        let count = [
            yaml.header.is_some(),
            yaml.basic.is_some(),
            yaml.bearer.is_some(),
            yaml.oauth2.is_some(),
            yaml.aws_sigv4.is_some(),
            yaml.standard_webhooks.is_some(),
            yaml.http_signature.is_some(),
            yaml.hmac.is_some(),
        ];
        if count.into_iter().filter(|given| *given).count() != 1 {
            let message = "`auth` needs exactly one way to authenticate";
            let problem = Problem::new(self.mark(&at), message);
            self.problems.push(problem.hint(
                "`header`, `basic`, `bearer`, `oauth2`, `aws-sigv4`, `standard-webhooks`, `http-signature` or `hmac`",
            ));
            return None;
        }
        let (at, settings) = if let Some(header) = yaml.header {
            let at = below("header");
            let name = self.header_name(&[&at[..], &["name"]].concat(), &header.name);
            let value = self.secret(&at, "value", &header.value);
            (at, AuthSettings::Header { name: name?, value })
        } else if let Some(basic) = yaml.basic {
            let at = below("basic");
            let user = self.secret(&at, "user", &basic.user);
            let password = self.secret(&at, "password", &basic.password);
            (at, AuthSettings::Basic { user, password })
        } else if let Some(bearer) = yaml.bearer {
            let at = below("bearer");
            let token = self.secret(&at, "token", &bearer.token);
            (at, AuthSettings::Bearer { token })
        } else if let Some(oauth2) = yaml.oauth2 {
            let at = below("oauth2");
            let settings = self.oauth2(&at, oauth2)?;
            (at, AuthSettings::OAuth2(settings))
        } else if let Some(aws) = yaml.aws_sigv4 {
            let at = below("aws-sigv4");
            let settings = self.sigv4(&at, aws)?;
            (at, AuthSettings::AwsSigV4(settings))
        } else if let Some(webhooks) = yaml.standard_webhooks {
            let at = below("standard-webhooks");
            let list = [&at[..], &["secrets"]].concat();
            let texts = webhooks.secrets.iter().enumerate();
            let secrets = texts.map(|(number, text)| self.secret(&list, &number.to_string(), text));
            let secrets = secrets.collect();
            (at, AuthSettings::StandardWebhooks { secrets })
        } else if let Some(signature) = yaml.http_signature {
            let at = below("http-signature");
            let settings = self.http_signature(&at, signature)?;
            (at, AuthSettings::HttpSignature(settings))
        } else {
            let at = below("hmac");
            let settings = self.hmac(&at, yaml.hmac?)?;
            (at, AuthSettings::Hmac(settings))
        };
        let usable = match &settings {
            AuthSettings::OAuth2(settings) => TokenRequest::new(settings).map(drop),
            settings => Signer::new(settings).map(drop),
        };
        if let Err(error) = usable {
            self.unusable(&at, &error);
        }
        self.not_under_headers(&at, &settings.headers(), headers.iter());
        Some(settings)
    }

    fn oauth2(&mut self, at: &[&str], yaml: OAuth2Yaml) -> Option<OAuth2Settings> {
        let url_at = [at, &["token-url"]].concat();
        let label = self.written(&url_at).to_owned();
        let token_url = check_url(&yaml.token_url);
        if let Err(reason) = &token_url {
            let message = format!("`{label}` is no token endpoint: {reason}");
            self.problems
                .push(Problem::new(self.mark(&url_at), message));
        }
        // RFC 6749, section 3.3.
        let plain = |byte: u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        for (number, scope) in yaml.scopes.iter().enumerate() {
            if scope.is_empty() || !scope.bytes().all(plain) {
                let number = number.to_string();
                let at = [at, &["scopes", &number]].concat();
                let problem = Problem::new(self.mark(&at), format!("`{scope}` is no scope"));
                self.problems
                    .push(problem.hint("write each scope by itself"));
            }
        }
        let params_at = [at, &["params"]].concat();
        let taken = [
            "grant_type",
            "scope",
            "audience",
            "client_id",
            "client_secret",
        ];
        let mut params = Vec::new();
        for (name, value) in &yaml.params {
            if taken.contains(&&**name) {
                let at = [&params_at[..], &[name]].concat();
                let message = format!("the parameter `{name}` has a key of its own");
                self.problems.push(Problem::new(self.mark(&at), message));
            }
            params.push((name.clone(), self.secret(&params_at, name, value)));
        }
        Some(OAuth2Settings {
            token_url: token_url.ok()?,
            label,
            client_id: self.secret(at, "client-id", &yaml.client_id),
            client_secret: self.secret(at, "client-secret", &yaml.client_secret),
            scopes: yaml.scopes,
            audience: yaml.audience.map(|text| self.secret(at, "audience", &text)),
            params,
            client_auth: match yaml.client_auth {
                ClientAuthYaml::Basic => ClientAuth::Basic,
                ClientAuthYaml::Post => ClientAuth::Post,
            },
        })
    }

    fn sigv4(&mut self, at: &[&str], yaml: SigV4Yaml) -> Option<SigV4Settings> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        for (key, text) in [
            ("service", Some(&yaml.service)),
            ("region", yaml.region.as_ref()),
        ] {
            if text.is_some_and(|text| text.is_empty() || !text.bytes().all(plain)) {
                let message = format!("the {key} cannot be one");
                let problem = Problem::new(self.mark(&[at, &[key]].concat()), message);
                self.problems.push(
                    problem.hint(
                        "it has letters, digits and `-`, as in `execute-api` and `eu-west-1`",
                    ),
                );
            }
        }
        let credentials = match (yaml.access_key_id, yaml.secret_access_key) {
            (Some(id), Some(secret)) => Some(AwsKeys {
                access_key_id: self.secret(at, "access-key-id", &id),
                secret_access_key: self.secret(at, "secret-access-key", &secret),
                session_token: yaml
                    .session_token
                    .map(|text| self.secret(at, "session-token", &text)),
            }),
            (None, None) if yaml.session_token.is_none() => None,
            _ => {
                let message = "a key of AWS is `access-key-id` and `secret-access-key`";
                let problem = Problem::new(self.mark(at), message);
                self.problems.push(problem.hint(
                    "write both, or none of `access-key-id`, `secret-access-key` and `session-token`",
                ));
                return None;
            }
        };
        Some(SigV4Settings {
            service: yaml.service,
            region: yaml.region,
            credentials,
        })
    }

    fn http_signature(
        &mut self,
        at: &[&str],
        yaml: HttpSignatureYaml,
    ) -> Option<SignatureSettings> {
        let list = [at, &["components"]].concat();
        let texts = yaml
            .components
            .unwrap_or_else(|| COMPONENTS.map(str::to_owned).to_vec());
        let mut components = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            match Component::parse(text) {
                Ok(component) => components.push(component),
                Err(reason) => {
                    let number = number.to_string();
                    let at = [&list[..], &[&*number]].concat();
                    self.problems.push(Problem::new(self.mark(&at), reason));
                }
            }
        }
        if components.len() < texts.len() {
            return None;
        }
        Some(SignatureSettings {
            key_id: yaml.key_id,
            algorithm: match yaml.algorithm {
                SignatureAlgorithmYaml::HmacSha256 => SignatureAlgorithm::HmacSha256,
                SignatureAlgorithmYaml::Ed25519 => SignatureAlgorithm::Ed25519,
                SignatureAlgorithmYaml::EcdsaP256Sha256 => SignatureAlgorithm::EcdsaP256Sha256,
                SignatureAlgorithmYaml::RsaPssSha512 => SignatureAlgorithm::RsaPssSha512,
            },
            key: self.secret(at, "key", &yaml.key),
            components,
            label: yaml.label.unwrap_or_else(|| "nozzle".to_owned()),
            expires_after: yaml.expires_after.map(|span| span.0),
            tag: yaml.tag,
            digest: match yaml.digest {
                ContentDigestYaml::Sha256 => DigestAlgorithm::Sha256,
                ContentDigestYaml::Sha512 => DigestAlgorithm::Sha512,
            },
        })
    }

    fn hmac(&mut self, at: &[&str], yaml: HmacYaml) -> Option<HmacSettings> {
        let header = self.header_name(&[at, &["header"]].concat(), &yaml.header);
        let timestamp_header = match &yaml.timestamp_header {
            None => None,
            Some(name) => Some(self.header_name(&[at, &["timestamp-header"]].concat(), name)?),
        };
        if header.is_some() && header == timestamp_header {
            let at = [at, &["timestamp-header"]].concat();
            let message = "`timestamp-header` is the signature's own header";
            self.problems.push(Problem::new(self.mark(&at), message));
        }
        Some(HmacSettings {
            header: header?,
            secret: self.secret(at, "secret", &yaml.secret),
            algorithm: match yaml.algorithm {
                HmacAlgorithmYaml::Sha256 => DigestAlgorithm::Sha256,
                HmacAlgorithmYaml::Sha512 => DigestAlgorithm::Sha512,
            },
            encoding: match yaml.encoding {
                HmacEncodingYaml::Hex => HmacEncoding::Hex,
                HmacEncodingYaml::Base64 => HmacEncoding::Base64,
            },
            signed: yaml.signed.unwrap_or_else(|| "{body}".to_owned()),
            value: yaml.value.unwrap_or_else(|| "{signature}".to_owned()),
            timestamp_header,
        })
    }

    fn header_name(&mut self, at: &[&str], name: &str) -> Option<HeaderName> {
        let message = match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if !is_framing(&name) => return Some(name),
            Ok(_) => format!("`{name}` is the host's own: it frames the message"),
            Err(_) => format!("`{name}` is no header name"),
        };
        self.problems.push(Problem::new(self.mark(at), message));
        None
    }

    /// The text at a key, with what it was put together from.
    pub(super) fn secret(&self, at: &[&str], key: &str, text: &str) -> Secret {
        let node = self.root.at(&[at, &[key]].concat());
        let secret = node.and_then(|node| node.secret());
        secret.unwrap_or_else(|| Secret::fixed(text))
    }

    fn unusable(&mut self, at: &[&str], error: &AuthError) {
        let at = match error {
            AuthError::Value { field, .. } => [at, &[field]].concat(),
            _ => at.to_vec(),
        };
        self.problems
            .push(Problem::new(self.mark(&at), error.to_string()));
    }
}
