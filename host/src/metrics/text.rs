//! The two text formats of Prometheus: its own, 0.0.4, and OpenMetrics 1.0.

use std::fmt::{Display, Write as _};

use super::{Kind, Metric, Stats};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for: OpenMetrics only if it is named, and not liked less.
    pub fn accepted(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
                let quality = parameters
                    .split(';')
                    .find_map(|parameter| parameter.trim().strip_prefix("q="))
                    .map_or(Some(1.0), |quality| quality.trim().parse::<f64>().ok())?;
                kind.trim().eq_ignore_ascii_case(wanted).then_some(quality)
            });
            ranges.fold(0.0, f64::max)
        };
        let open = quality("application/openmetrics-text");
        if open > 0.0 && open >= quality("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// For `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Metrics as text, while it is written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    out: String,
}

impl Exposition {
    /// Without any metric yet.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            out: String::new(),
        }
    }

    /// Writes one table, of everything that has it: its id, and its numbers. Each table is written once.
    pub fn table<'a, S: Stats + 'a>(&mut self, all: impl Iterator<Item = (&'a str, &'a S)>) {
        let all: Vec<_> = all.map(|(id, stats)| (id, stats.values())).collect();
        if all.is_empty() {
            return;
        }
        for (place, metric) in S::METRICS.iter().enumerate() {
            let family = self.head(metric);
            for (id, values) in &all {
                let labels = match metric.of {
                    "" => String::new(),
                    of => label(of, id),
                };
                let mut sampler = Sampler {
                    out: &mut self.out,
                    family,
                    total: metric.kind == Kind::Counter,
                    labels,
                };
                if let Some(value) = values.get(place) {
                    value.sample(&mut sampler);
                }
            }
        }
    }

    /// The head of a family; gives its name without `_total`.
    fn head(&mut self, metric: &Metric) -> &'static str {
        let family = metric.name.trim_end_matches("_total");
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let named = match self.format {
            Format::Prometheus => metric.name,
            Format::OpenMetrics => family,
        };
        let help = escaped(metric.help.trim());
        self.line(format_args!("# HELP {named} {help}"));
        self.line(format_args!("# TYPE {named} {kind}"));
        let unit = ["seconds", "bytes"].into_iter().find(|unit| {
            let rest = family.strip_suffix(unit);
            rest.is_some_and(|rest| rest.ends_with('_'))
        });
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {named} {unit}"));
        }
        family
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.out, "{line}").expect("a string takes it");
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// Writes the samples of one value.
#[derive(Debug)]
pub struct Sampler<'a> {
    out: &'a mut String,
    family: &'static str,
    total: bool,
    labels: String,
}

impl Sampler<'_> {
    pub(super) fn write(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let suffix = if self.total { "_total" } else { "" };
        self.part(suffix, labels, value);
    }

    /// A sample with a suffix of its own.
    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let own = labels.iter().map(|(name, value)| label(name, value));
        let all: Vec<String> = [self.labels.clone()]
            .into_iter()
            .chain(own)
            .filter(|label| !label.is_empty())
            .collect();
        let labels = match all.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", all.join(",")),
        };
        writeln!(self.out, "{}{suffix}{labels} {value}", self.family).expect("a string takes it");
    }
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", escaped(value))
}

/// Backslashes, quotes and line ends, as both formats write them.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{EgressStats, IngressStats};

    #[test]
    fn openmetrics_is_written_for_those_who_ask() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let table = [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "text/plain, Application/OpenMetrics-Text",
                Format::OpenMetrics,
            ),
            (
                "text/plain, application/openmetrics-text;q=0.5",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=x", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("", Format::Prometheus),
        ];
        for (accept, expected) in table {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn samples_are_written_with_their_labels_and_units() {
        let (ingress, egress) = (IngressStats::default(), EgressStats::default());
        ingress.lag("shard\"0\\", 1250);
        ingress.watermark.set(Some(1_700_000_000_123));
        egress.write_time.record(Duration::from_millis(1));
        egress.write_time.record(Duration::from_secs(90));

        let mut text = Exposition::new(Format::OpenMetrics);
        text.table([("a/in", &ingress)].into_iter());
        text.table([("a/out", &egress)].into_iter());
        let text = text.finish();

        for line in [
            "# TYPE nozzle_ingress_bytes counter",
            "# UNIT nozzle_ingress_bytes bytes",
            "nozzle_ingress_bytes_total{ingress=\"a/in\"} 0",
            "nozzle_ingress_lag_seconds{ingress=\"a/in\",shard=\"shard\\\"0\\\\\"} 1.25",
            "nozzle_ingress_settled_watermark_timestamp_seconds{ingress=\"a/in\"} 1700000000.123",
            "nozzle_egress_write_seconds_bucket{egress=\"a/out\",le=\"0.001\"} 1",
            "nozzle_egress_write_seconds_bucket{egress=\"a/out\",le=\"60.0\"} 1",
            "nozzle_egress_write_seconds_bucket{egress=\"a/out\",le=\"+Inf\"} 2",
            "nozzle_egress_write_seconds_sum{egress=\"a/out\"} 90.001",
            "nozzle_egress_write_seconds_count{egress=\"a/out\"} 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(
            !text.contains("oldest_unsettled_timestamp_seconds{"),
            "{text}"
        );
    }
}
