//! Where traces go: what the module file says, and beside it the environment variables that OpenTelemetry names.

use http::{HeaderName, HeaderValue, Uri};
use url::Url;

use crate::http::settings::{EndpointSettings, NamedFile};

/// `telemetry.otlp`, checked; what is not said is taken from the environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OtlpSettings {
    /// The collector's base URL, and how it is written.
    pub endpoint: Option<(Url, String)>,
    /// For each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A PEM file with further roots.
    pub ca_file: Option<NamedFile>,
    /// The share of batches that are traced, 0 to 1.
    pub sample: Option<f64>,
    /// The name of this host's service.
    pub service_name: Option<String>,
}

/// Where traces go, and how many.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// How the collector is reached.
    pub collector: EndpointSettings,
    /// Where requests go there.
    pub uri: Uri,
    /// The share of batches that are traced, 0 to 1.
    pub sample: f64,
    /// What the spans have in common.
    pub resource: Vec<(String, String)>,
}

/// An environment variable that says what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{name}` {problem}")]
pub struct EnvError {
    /// Its name.
    pub name: &'static str,
    /// What is wrong; its value is not shown, it may be a secret.
    pub problem: &'static str,
}

const COLLECTOR: &str = "http://127.0.0.1:4318";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// What the module file and the environment say together; none for no traces.
///
/// # Errors
/// An environment variable that is needed and makes no sense.
pub fn resolve(
    section: Option<&OtlpSettings>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<TraceSettings>, EnvError> {
    // An empty variable counts as none, as OpenTelemetry says.
    let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let off = env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let other = section.is_none() && env("OTEL_TRACES_EXPORTER").is_some_and(|to| to != "otlp");
    if off || other {
        return Ok(None);
    }
    let Some((url, label)) = collector(section, &env)? else {
        return Ok(None);
    };
    let uri = url
        .as_str()
        .parse()
        .map_err(|_| error(ENDPOINT, "is no URL"))?;
    let given = section.cloned().unwrap_or_default();
    let mut collector = EndpointSettings::new(url, label);
    collector.headers = given.headers;
    collector.tls.ca_file = given.ca_file;
    for name in [TRACES_HEADERS, HEADERS] {
        for header in headers(name, &env)? {
            if !collector
                .headers
                .iter()
                .any(|(other, _)| *other == header.0)
            {
                collector.headers.push(header);
            }
        }
    }
    Ok(Some(TraceSettings {
        collector,
        uri,
        sample: match given.sample {
            Some(sample) => sample,
            None => sample(&env)?,
        },
        resource: resource(given.service_name, &env)?,
    }))
}

fn error(name: &'static str, problem: &'static str) -> EnvError {
    EnvError { name, problem }
}

fn collector(
    section: Option<&OtlpSettings>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Option<(Url, String)>, EnvError> {
    if let Some((url, label)) = section.and_then(|section| section.endpoint.clone()) {
        return Ok(Some((below(url), label)));
    }
    for name in [TRACES_ENDPOINT, ENDPOINT] {
        let Some(text) = env(name) else { continue };
        for protocol in [
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ] {
            if env(protocol).is_some_and(|protocol| protocol != "http/protobuf") {
                return Err(error(
                    protocol,
                    "names another protocol than `http/protobuf`",
                ));
            }
        }
        let url: Url = text.trim().parse().map_err(|_| error(name, "is no URL"))?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain || url.host_str().is_none() {
            return Err(error(
                name,
                "is no `http` or `https` URL without a user name",
            ));
        }
        let url = if name == ENDPOINT { below(url) } else { url };
        return Ok(Some((url, format!("${{env:{name}}}"))));
    }
    let local = || below(COLLECTOR.parse().expect("a URL"));
    Ok(section.map(|_| (local(), COLLECTOR.to_owned())))
}

/// Where traces go at a collector.
fn below(mut url: Url) -> Url {
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// `name=value,name=value`, values percent-encoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())?))
    };
    pairs.map(pair).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            out.push(u8::try_from(16 * high + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn headers(
    name: &'static str,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(HeaderName, HeaderValue)>, EnvError> {
    let wrong = || error(name, "is no list of `name=value` with a comma between");
    let Some(text) = env(name) else {
        return Ok(Vec::new());
    };
    let header = |(name, value): (String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    let pairs = pairs(&text).ok_or_else(wrong)?;
    let headers: Option<Vec<_>> = pairs.into_iter().map(header).collect();
    headers.ok_or_else(wrong)
}

fn sample(env: &impl Fn(&str) -> Option<String>) -> Result<f64, EnvError> {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let sampler = env(SAMPLER);
    match sampler
        .as_deref()
        .map(|name| name.trim_start_matches("parentbased_"))
    {
        None | Some("always_on") => Ok(1.0),
        Some("always_off") => Ok(0.0),
        Some("traceidratio") => {
            let share = env(SHARE).map_or(Ok(1.0), |share| share.trim().parse::<f64>());
            let share = share.ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| error(SHARE, "is no number from 0 to 1"))
        }
        Some(_) => Err(error(SAMPLER, "names a sampler that is not known")),
    }
}

fn resource(
    service_name: Option<String>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut all = match env(RESOURCE) {
        None => Vec::new(),
        Some(text) => pairs(&text)
            .ok_or_else(|| error(RESOURCE, "is no list of `name=value` with a comma between"))?,
    };
    let mut set = |name: &str, value: Option<String>, default: &str| {
        let old = all.iter_mut().find(|(other, _)| other == name);
        match (old, value) {
            (Some((_, old)), Some(value)) => *old = value,
            (Some(_), None) => {}
            (None, value) => {
                all.push((name.to_owned(), value.unwrap_or_else(|| default.to_owned())))
            }
        }
    };
    set(
        "service.name",
        service_name.or_else(|| env("OTEL_SERVICE_NAME")),
        "nozzle",
    );
    set("service.version", None, env!("CARGO_PKG_VERSION"));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(
        section: Option<&OtlpSettings>,
        env: &[(&str, &str)],
    ) -> Result<Option<TraceSettings>, EnvError> {
        let env = |name: &str| {
            let found = env.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve(section, env)
    }

    fn uri(section: Option<&OtlpSettings>, env: &[(&str, &str)]) -> Option<String> {
        let settings = resolved(section, env).expect("it makes sense");
        settings.map(|settings| settings.uri.to_string())
    }

    #[test]
    fn traces_go_where_the_file_says_then_where_the_environment_says() {
        let empty = OtlpSettings::default();
        let url = "http://a:1/base/".parse().expect("a URL");
        let given = OtlpSettings {
            endpoint: Some((url, "label".to_owned())),
            ..OtlpSettings::default()
        };
        let env = [(ENDPOINT, "http://b:2")];
        let own = [
            (ENDPOINT, "http://b:2"),
            (TRACES_ENDPOINT, "http://c:3/own?x=1"),
        ];

        assert_eq!(uri(None, &[]), None);
        assert_eq!(uri(None, &[(ENDPOINT, " ")]), None);
        assert_eq!(
            uri(Some(&empty), &[]).as_deref(),
            Some("http://127.0.0.1:4318/v1/traces")
        );
        assert_eq!(
            uri(Some(&given), &own).as_deref(),
            Some("http://a:1/base/v1/traces")
        );
        assert_eq!(uri(None, &env).as_deref(), Some("http://b:2/v1/traces"));
        assert_eq!(uri(None, &own).as_deref(), Some("http://c:3/own?x=1"));
        for more in [
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert_eq!(uri(None, &[env[0], more]), None, "{more:?}");
        }
    }

    #[test]
    fn the_rest_comes_from_the_environment_too() {
        let env = [
            (ENDPOINT, "http://b:2"),
            (HEADERS, "Api-Key=a%20b, x=1"),
            (TRACES_HEADERS, "x=2"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            (RESOURCE, "service.name=a,host.name=b"),
            ("OTEL_SERVICE_NAME", "c"),
        ];

        let settings = resolved(None, &env).expect("it makes sense").expect("on");

        let headers: Vec<_> = settings
            .collector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect();
        assert_eq!(headers, [("x", "2"), ("api-key", "a b")]);
        assert_eq!(settings.sample, 0.25);
        let resource: Vec<_> = settings
            .resource
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            resource,
            [
                ("service.name", "c"),
                ("host.name", "b"),
                ("service.version", env!("CARGO_PKG_VERSION"))
            ]
        );
        assert!(!format!("{settings:?}").contains("a b"), "{settings:?}");
    }

    #[test]
    fn what_makes_no_sense_is_named_and_not_shown() {
        let table = [
            ((ENDPOINT, "canary://x"), ENDPOINT),
            ((ENDPOINT, "http://canary:x@y"), ENDPOINT),
            ((HEADERS, "canary"), HEADERS),
            ((HEADERS, "a=%zz"), HEADERS),
            ((RESOURCE, "canary"), RESOURCE),
            (
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ),
            (("OTEL_TRACES_SAMPLER", "canary"), "OTEL_TRACES_SAMPLER"),
        ];
        for (variable, expected) in table {
            let env = [variable, (ENDPOINT, "http://b:2")];
            let error = resolved(None, &env).expect_err(expected);
            assert_eq!(error.name, expected);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
