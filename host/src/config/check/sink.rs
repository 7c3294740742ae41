//! Sinks: plugin, endpoint, delivery.

use super::{
    Checker,
    delivery::{batch, buffer, failures, given_up},
};
use crate::{
    config::{
        EndpointConfig, Places, SinkConfig,
        problem::{Mark, Problem},
        shape::{
            delivery::{OnOutageYaml, OrderYaml, ResultsOrderYaml},
            sink::{PluginYaml, SinkYaml},
        },
        units::Size,
    },
    delivery::settings::{
        DeliverySettings, InFlightSettings, OnOutage, Order, ResultsOrder, TimeoutSettings,
    },
    plugin::settings::{GrantSettings, PluginSettings},
};

/// What a sink may name.
pub(super) struct Ids<'a> {
    pub(super) sinks: &'a [String],
    pub(super) egresses: &'a [String],
    pub(super) endpoints: &'a [String],
}

impl Checker<'_> {
    pub(super) fn sink(
        &mut self,
        index: usize,
        yaml: SinkYaml,
        ids: &Ids<'_>,
        endpoints: &mut Vec<Option<EndpointConfig>>,
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
        let mut plugin = self.plugin(&index, yaml.plugin);
        let limits = plugin.as_ref().map(|plugin| &plugin.limits);
        let grants = self.grants(&index, &yaml.id, yaml.grants, limits);
        if let Some(plugin) = &mut plugin {
            plugin.grants = grants;
        }
        let own = self.endpoints_of_sink(
            &index,
            &yaml.id,
            (yaml.endpoint, yaml.endpoints),
            ids,
            endpoints,
        );
        let mut results_order = ResultsOrder::Arrival;
        let results = yaml.results.and_then(|results| {
            results_order = match results.order {
                ResultsOrderYaml::Arrival => ResultsOrder::Arrival,
                ResultsOrderYaml::Ingress => ResultsOrder::Ingress,
            };
            self.reference(
                &["sinks", &index, "results", "to"],
                &results.to,
                ids.egresses,
                "egress",
            )
        });
        let dead_letters = yaml.dead_letters.and_then(|letters| {
            let path = ["sinks", &index, "dead-letters"];
            self.destination(&path, &letters, (ids.sinks, ids.egresses), &[], &yaml.id)
        });
        let batch = batch(yaml.batch);
        let buffer = buffer(yaml.buffer);
        if buffer.max_records <= batch.max_records {
            let mark = self.mark_of_limit(&index, "max-records");
            let message = format!(
                "`buffer.max-records` ({}) must be larger than `batch.max-records` ({})",
                buffer.max_records, batch.max_records
            );
            self.problems.push(Problem::new(mark, message));
        }
        if buffer.max_bytes < batch.max_bytes {
            let mark = self.mark_of_limit(&index, "max-bytes");
            let message = format!(
                "`buffer.max-bytes` ({}) must not be smaller than `batch.max-bytes` ({})",
                buffer.max_bytes, batch.max_bytes
            );
            self.problems.push(Problem::new(mark, message));
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
        let mut status = self.status(&index, yaml.status);
        status.failures = failures(&yaml.failures);
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
            on_plugin_error: given_up(yaml.on_plugin_error),
        };
        Some(SinkConfig {
            id: id?,
            plugin: plugin?,
            endpoints: own?,
            delivery,
            results,
            dead_letters,
            places: Places::of(Places::SINK, |way| {
                self.mark(&[&["sinks", &*index], way].concat())
            }),
        })
    }

    /// The place of a limit that the file names: the buffer's, or the batch's where the buffer has its default.
    fn mark_of_limit(&self, index: &str, key: &str) -> Mark {
        let of = |part| ["sinks", index, part, key];
        match self.root.at(&of("buffer")) {
            Some(named) => named.mark,
            None => self.mark(&of("batch")),
        }
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
        let limits = self.limits(index, &yaml.limits);
        let source = self.source(index, &yaml);
        let signature = self.signature(index, yaml.signature, source.as_ref());
        Some(PluginSettings {
            source: source?,
            sha256,
            signature: signature?,
            config: yaml.config.to_string(),
            limits,
            grants: GrantSettings::default(),
        })
    }
}

pub(super) fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

pub(super) fn bytes(size: Size) -> Option<usize> {
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
