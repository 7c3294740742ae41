//! Sinks: plugin, endpoint, delivery.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use url::Url;

use super::Checker;
use crate::{
    batch::{BatchBy, BatchSettings},
    config::{
        SinkConfig,
        problem::Problem,
        relative,
        shape::{
            delivery::{
                BatchYaml, BufferYaml, OnOutageYaml, OnPluginErrorYaml, OrderYaml,
                ResultsOrderYaml, RetryYaml, StatusYaml, StrategyYaml,
            },
            sink::{CompressionYaml, EndpointYaml, PluginYaml, SinkYaml},
        },
        units::Size,
    },
    delivery::settings::{
        Backoff, BufferSettings, DeliverySettings, InFlightSettings, OnOutage, OnPluginError,
        Order, ResultsOrder, RetrySettings, StatusAction, StatusPolicy, TimeoutSettings,
    },
    http::settings::{Compression, EndpointSettings},
    network::is_framing,
    plugin::settings::{PluginLimits, PluginSettings},
};

impl Checker<'_> {
    pub(super) fn sink(
        &mut self,
        index: usize,
        yaml: SinkYaml,
        egresses: &[String],
    ) -> Option<SinkConfig> {
        let index = index.to_string();
        let at = |rest: &[&'static str]| -> Vec<String> {
            ["sinks", &index]
                .iter()
                .chain(rest)
                .map(|step| (*step).to_owned())
                .collect()
        };
        let id = self.id(&["sinks", &index, "id"], &yaml.id);
        let plugin = self.plugin(&index, yaml.plugin);
        let endpoint = self.endpoint(&index, yaml.endpoint);
        let mut results_order = ResultsOrder::Arrival;
        let results = yaml.results.and_then(|results| {
            results_order = match results.order {
                ResultsOrderYaml::Arrival => ResultsOrder::Arrival,
                ResultsOrderYaml::Ingress => ResultsOrder::Ingress,
            };
            self.reference(
                &["sinks", &index, "results", "to"],
                &results.to,
                egresses,
                "egress",
            )
        });
        let dead_letters = yaml.dead_letters.and_then(|letters| {
            self.reference(
                &["sinks", &index, "dead-letters"],
                &letters,
                egresses,
                "egress",
            )
        });
        let batch = batch(yaml.batch);
        let buffer = buffer(yaml.buffer);
        if buffer.max_records <= batch.max_records {
            self.sink_problem(
                &at(&["buffer", "max-records"]),
                format!(
                    "`buffer.max-records` ({}) must be larger than `batch.max-records` ({})",
                    buffer.max_records, batch.max_records
                ),
            );
        }
        if buffer.max_bytes < batch.max_bytes {
            self.sink_problem(
                &at(&["buffer", "max-bytes"]),
                format!(
                    "`buffer.max-bytes` ({}) must not be smaller than `batch.max-bytes` ({})",
                    buffer.max_bytes, batch.max_bytes
                ),
            );
        }
        if batch.max_bytes == 0 {
            self.sink_problem(
                &at(&["batch", "max-bytes"]),
                "`batch.max-bytes` must be larger than 0".to_owned(),
            );
        }
        let mut timeout = TimeoutSettings::default();
        set(
            &mut timeout.attempt,
            yaml.timeout.attempt.map(|span| span.0),
        );
        set(&mut timeout.total, yaml.timeout.total.map(|span| span.0));
        if timeout.total < timeout.attempt {
            self.sink_problem(
                &at(&["timeout"]),
                "`timeout.total` must not be shorter than `timeout.attempt`".to_owned(),
            );
        }
        let retry = self.retry(&index, &yaml.retry);
        let status = self.status(&index, yaml.status);
        let mut in_flight = InFlightSettings::default();
        set(&mut in_flight.max_calls, yaml.in_flight.max_calls);
        let delivery = DeliverySettings {
            batch,
            buffer,
            in_flight,
            timeout,
            retry,
            on_outage: match yaml.on_outage {
                OnOutageYaml::Hold => OnOutage::Hold,
                OnOutageYaml::DeadLetter => OnOutage::DeadLetter,
            },
            status,
            order: match yaml.order {
                OrderYaml::None => Order::None,
                OrderYaml::Key => Order::Key,
                OrderYaml::Strict => Order::Strict,
            },
            results_order,
            on_plugin_error: match yaml.on_plugin_error {
                OnPluginErrorYaml::DeadLetter => OnPluginError::DeadLetter,
                OnPluginErrorYaml::Halt => OnPluginError::Halt,
                OnPluginErrorYaml::Drop => OnPluginError::Drop,
            },
        };
        Some(SinkConfig {
            id: id?,
            plugin: plugin?,
            endpoint: endpoint?,
            delivery,
            results,
            dead_letters,
        })
    }

    fn sink_problem(&mut self, path: &[String], message: String) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.problems.push(Problem::new(self.mark(&path), message));
    }

    fn plugin(&mut self, index: &str, yaml: PluginYaml) -> Option<PluginSettings> {
        let config = ["sinks", index, "plugin", "config"];
        if let Some(mark) = self
            .root
            .at(&config)
            .and_then(crate::config::tree::Node::first_secret)
        {
            let problem = Problem::new(
                mark,
                "`plugin.config` holds a `${…}`, and a plugin never sees a secret",
            );
            self.problems
                .push(problem.hint("use it under `endpoint`: the host adds it behind the plugin"));
        }
        let sha256 = match yaml.sha256.as_deref().map(digest) {
            Some(None) => {
                let mark = self.mark(&["sinks", index, "plugin", "sha256"]);
                self.problems
                    .push(Problem::new(mark, "`sha256` must be 64 hexadecimal digits"));
                return None;
            }
            digest => digest.flatten(),
        };
        let mut limits = PluginLimits::default();
        set(&mut limits.memory, yaml.limits.memory.and_then(bytes));
        set(&mut limits.time, yaml.limits.time.map(|span| span.0));
        set(&mut limits.instances, yaml.limits.instances);
        let path = relative(&self.folder, &yaml.path);
        Some(PluginSettings {
            path,
            sha256,
            config: yaml.config.to_string(),
            limits,
        })
    }

    fn endpoint(&mut self, index: &str, yaml: EndpointYaml) -> Option<EndpointSettings> {
        let at = ["sinks", index, "endpoint", "url"];
        let label = self.written(&at).to_owned();
        let url = match check_url(&yaml.url) {
            Ok(url) => url,
            Err(reason) => {
                self.problems.push(Problem::new(
                    self.mark(&at),
                    format!("`{label}` is no endpoint: {reason}"),
                ));
                return None;
            }
        };
        let mut settings = EndpointSettings::new(url, label);
        for (name, value) in &yaml.headers {
            let path = ["sinks", index, "endpoint", "headers", name];
            let Some(header) = self.header(&path, name, value) else {
                continue;
            };
            if settings.headers.iter().any(|(other, _)| *other == header.0) {
                let message = format!("the header `{name}` stands twice: its case means nothing");
                self.problems.push(Problem::new(self.mark(&path), message));
            }
            settings.headers.push(header);
        }
        if let Some(auth) = &yaml.auth {
            let path = ["sinks", index, "endpoint", "auth", "header", "value"];
            if auth.header.value.trim().is_empty() {
                let message = "`value` is empty, which authenticates nobody";
                self.problems.push(Problem::new(self.mark(&path), message));
            }
            settings.auth = self
                .header(&path, &auth.header.name, &auth.header.value)
                .map(|(name, mut value)| {
                    value.set_sensitive(true);
                    (name, value)
                });
            if let Some((name, _)) = &settings.auth
                && settings.headers.iter().any(|(other, _)| other == name)
            {
                let path = ["sinks", index, "endpoint", "auth", "header", "name"];
                let message = format!("the header `{name}` stands under `headers` too");
                self.problems.push(Problem::new(self.mark(&path), message));
            }
        }
        settings.compression = yaml.compression.map(|compression| match compression {
            CompressionYaml::Gzip => Compression::Gzip,
            CompressionYaml::Zstd => Compression::Zstd,
        });
        settings.ca_file = yaml.ca_file.map(|path| relative(&self.folder, &path));
        set(
            &mut settings.connect_timeout,
            yaml.connect_timeout.map(|span| span.0),
        );
        set(
            &mut settings.max_response_head,
            yaml.max_response_head.and_then(bytes),
        );
        set(
            &mut settings.max_response_body,
            yaml.max_response_body.and_then(bytes),
        );
        Some(settings)
    }

    fn header(
        &mut self,
        path: &[&str],
        name: &str,
        value: &str,
    ) -> Option<(HeaderName, HeaderValue)> {
        match check_header(name, value) {
            Ok(header) => Some(header),
            Err(reason) => {
                self.problems.push(Problem::new(self.mark(path), reason));
                None
            }
        }
    }

    fn retry(&mut self, index: &str, yaml: &RetryYaml) -> RetrySettings {
        let mut settings = RetrySettings::default();
        set(&mut settings.max_delay, yaml.max_delay.map(|span| span.0));
        let initial = yaml
            .initial_delay
            .map_or(std::time::Duration::from_millis(200), |span| span.0);
        if initial > settings.max_delay {
            let mark = self.mark(&["sinks", index, "retry", "initial-delay"]);
            self.problems.push(Problem::new(
                mark,
                "`retry.initial-delay` must not be longer than `retry.max-delay`",
            ));
        }
        settings.backoff = match yaml.strategy {
            StrategyYaml::Exponential => Backoff::Exponential {
                initial,
                multiplier: yaml.multiplier.unwrap_or(2),
            },
            StrategyYaml::Fixed | StrategyYaml::None => Backoff::Fixed { delay: initial },
        };
        if yaml.forever && (yaml.max_attempts.is_some() || yaml.strategy == StrategyYaml::None) {
            let mark = self.mark(&["sinks", index, "retry", "forever"]);
            let problem = Problem::new(
                mark,
                "`retry.forever` excludes `max-attempts` and `strategy: none`",
            );
            self.problems.push(problem);
        }
        let unused = match yaml.strategy {
            StrategyYaml::Exponential => None,
            StrategyYaml::Fixed => yaml.multiplier.map(|_| ("multiplier", "strategy: fixed")),
            StrategyYaml::None => (yaml.multiplier.map(|_| ("multiplier", "strategy: none")))
                .or(yaml
                    .max_attempts
                    .map(|_| ("max-attempts", "strategy: none"))),
        };
        if let Some((key, strategy)) = unused {
            let mark = self.mark(&["sinks", index, "retry", key]);
            let message = format!("`retry.{key}` means nothing under `{strategy}`");
            self.problems.push(Problem::new(mark, message));
        }
        settings.max_attempts = match (yaml.forever, yaml.strategy) {
            (true, _) => None,
            (false, StrategyYaml::None) => Some(1),
            (false, _) => Some(yaml.max_attempts.unwrap_or(10)),
        };
        settings
    }

    fn status(&mut self, index: &str, yaml: BTreeMap<String, StatusYaml>) -> StatusPolicy {
        let mut policy = StatusPolicy::default();
        for (key, action) in yaml {
            let action = match action {
                StatusYaml::Delivered => StatusAction::Delivered,
                StatusYaml::Retry => StatusAction::Retry,
                StatusYaml::Reject => StatusAction::Reject,
                StatusYaml::Split => StatusAction::Split,
                StatusYaml::Halt => StatusAction::Halt,
            };
            match key.as_bytes() {
                [class @ b'1'..=b'5', b'x', b'x'] => {
                    policy.classes.insert(class - b'0', action);
                }
                [class @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                    let digits = [class, tens, ones].map(|digit| u16::from(digit - b'0'));
                    let code = digits.iter().fold(0, |code, digit| 10 * code + digit);
                    policy.codes.insert(code, action);
                }
                _ => {
                    let mark = self.mark(&["sinks", index, "status", &key]);
                    let problem = Problem::new(mark, format!("`{key}` is no status"));
                    self.problems
                        .push(problem.hint("write a code such as `409`, or a class such as `4xx`"));
                }
            }
        }
        policy
    }
}

/// Checks an endpoint's URL. The reason does not repeat it: it may be a secret.
pub(in crate::config) fn check_url(url: &str) -> Result<Url, String> {
    let url: Url = url
        .parse()
        .map_err(|error: url::ParseError| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its scheme is not `http` or `https`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or a password; use `endpoint.auth` instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("it has a fragment (`#…`)".to_owned());
    }
    Ok(url)
}

pub(in crate::config) fn check_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` is no header name"))?;
    if is_framing(&name) {
        return Err(format!("`{name}` is the host's own: it frames the message"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| {
        format!(
            "the value of `{name}` has a character that a header cannot hold, such as a line break"
        )
    })?;
    Ok((name, value))
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn bytes(size: Size) -> Option<usize> {
    usize::try_from(size.0).ok()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn batch(yaml: BatchYaml) -> BatchSettings {
    let mut settings = BatchSettings::default();
    set(&mut settings.max_records, yaml.max_records);
    set(&mut settings.max_bytes, yaml.max_bytes.and_then(bytes));
    set(&mut settings.max_wait, yaml.max_wait.map(|span| span.0));
    settings.by = if yaml.by.is_some() {
        BatchBy::Key
    } else {
        BatchBy::Any
    };
    settings
}

fn buffer(yaml: BufferYaml) -> BufferSettings {
    let mut settings = BufferSettings::default();
    set(&mut settings.max_records, yaml.max_records);
    set(&mut settings.max_bytes, yaml.max_bytes.and_then(bytes));
    settings
}
