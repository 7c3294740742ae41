//! The module file that the host runs a workload with.

use std::{net::SocketAddr, path::Path};

use crate::{From, RECORD, Workload, kinesis::STREAM};

/// The module of `workload`: `records` from datagen, or the stream at `kinesis`, to the sink. `plugins` is the folder
/// of the built plugins.
pub fn text(
    workload: &Workload,
    records: u64,
    sink: SocketAddr,
    kinesis: Option<&str>,
    plugins: &Path,
) -> String {
    let plugin = plugins.join(workload.plugin).with_extension("wasm");
    // The response is nothing but a status here: no results.
    let config = if workload.plugin == "per_record" {
        ", config: { results: none }"
    } else {
        ""
    };
    let batch = if workload.per_call == 1 {
        500
    } else {
        workload.per_call
    };
    let ingress = match workload.from {
        From::Datagen => format!(
            "datagen:
      count: {records}
      seed: 7
      size: {RECORD}
      fields:
        amount: {{ float: {{ min: 0, max: 1000 }} }}
        id: {{ sequence: {{ start: 1 }} }}
        token: {{ string: {{ min-length: 16, max-length: 16 }} }}"
        ),
        // The server has none of the service's quotas.
        From::Kinesis { .. } => format!(
            "kinesis:
      stream: {STREAM}
      endpoint-url: \"{}\"
      start: earliest
      poll-interval: 1ms",
            kinesis.unwrap_or_default()
        ),
    };
    format!(
        "version: \"1\"
ingresses:
  - id: bench/in
    {ingress}
    routers:
      - to: [bench/sink]
sinks:
  - id: bench/sink
    plugin: {{ path: {}{config} }}
    endpoint: {{ url: \"http://{sink}/\" }}
    batch: {{ max-records: {batch} }}
    in-flight: {{ max-calls: {} }}
    retry: {{ initial-delay: 1ms }}
",
        plugin.display(),
        workload.in_flight
    )
}
