//! The reference of all metrics, made of their tables.

use std::fmt::Write as _;

use super::{Kind, Metric, TABLES};

/// `docs/metrics.md`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\n<!-- Made from the code by `make bless`; edit the tables in host/src/metrics.rs. -->\n\n\
         What `/metrics` of the admin address says (`docs/observability.md`). Times are in seconds, sizes in bytes, as the names say.\n\
         A histogram has `_bucket` with the label `le`, `_sum` and `_count`.\n",
    );
    for (prefix, metrics) in TABLES {
        let of = metrics.first().map_or("", |metric| metric.of);
        let what = match (of, prefix) {
            ("", "nozzle_") => "The host itself".to_owned(),
            ("", prefix) => format!("`{prefix}*`"),
            (of, prefix) => format!("`{prefix}*`: each has the label `{of}`"),
        };
        write!(
            text,
            "\n## {what}\n\n| metric | kind | further labels | meaning |\n| --- | --- | --- | --- |\n"
        )
        .expect("a string takes it");
        for metric in metrics {
            text.push_str(&row(metric));
        }
    }
    text
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<String> = metric
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{}` | {kind} | {} | {} |\n",
        metric.name,
        labels.join(", "),
        metric.help.trim()
    )
}
